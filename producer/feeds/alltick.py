"""AllTick: one JSON object a trade; requests by number, ``cmd_id``; the whole list again to change a subscription.

Chosen where the vendor's documentation is silent: Beijing's suffix is ``.BJ``; ``volume`` is lots, and ``turnover``
price × lots, so it is computed from price and shares; direction 0 means that the side is not known. ``seq`` counts
trades and order books together, so a hole in it is not a loss; it shows copies of a tick. The server takes the first
3,000 codes of a longer list and gives the same answer, so a line never sends more.
"""

from __future__ import annotations

from typing import Any, Literal

import msgspec
import orjson

from producer.feeds.codes import listed, suffixed
from producer.feeds.decoded import Answer, AnswerKind, Decoded, FeedTick
from producer.feeds.frames import THROTTLED_SECONDS, answered, refused, words
from producer.feeds.provider import Capabilities, Codes, Message, Options, Provider, Units
from producer.feeds.repeats import SequenceNumbers
from producer.feeds.single_feed import SingleFeed
from producer.feeds.values import numbered_sides, small
from schemas import UsageError

HEARTBEAT, SUBSCRIBE, CANCEL, PUSH = 22000, 22004, 22006, 22998
CODES = 3_000

CAPABILITIES = Capabilities(
    about="Shanghai, Shenzhen, Hong Kong, America; a code's last trade at most every 3 s; no ST shares",
    url="wss://quote.alltick.co/quote-stock-b-ws-api",
    login="query",
    token_refused=frozenset({"handshake", "answer"}),
    connections=10,
    second_login="refused",
    reconnect_apart=3.0,
    array=True,
    codes_per_connection=CODES,
    codes_per_message=CODES,
    changes="replace",
    acknowledgement="bare",
    messages_apart=1.0,
    heartbeat_seconds=10.0,
    heartbeat_reply=True,
    silence_limit=30.0,
    sequence="code",
    repeats_known=True,
    carries=("volume", "turnover", "side", "seq"),
    time_unit="ms, or s by its digits; text or number",
    price_form="text with six decimals",
    side_codes="1 buy, 2 sell, 0 not known",
    units=Units(volume="lots", turnover="computed"),
    backfill="bars of one minute over HTTP; no ticks",
)

_ANSWERS: dict[int, AnswerKind] = {22001: "pong", 22005: "subscribed"}
_ERRORS: dict[int, AnswerKind] = {401: "unauthorised", 429: "throttled", 605: "throttled", 606: "throttled"}
_OK = 200


class _Trade(msgspec.Struct, gc=False):
    code: str
    tick_time: int | str
    price: str | float
    volume: str | float | None = None
    turnover: str | float | None = None
    trade_direction: int | str | None = None
    seq: int | str | None = None


class _Push(msgspec.Struct, gc=False):
    cmd_id: Literal[22998]
    data: _Trade


class AllTickFeed(SingleFeed):
    """AllTick's stock endpoint."""

    capabilities = CAPABILITIES
    push, envelope = _Trade, _Push
    shape = "AllTick's: an object with cmd_id"
    sides = numbered_sides(buy=1, sell=2)
    login_parameter = "token"

    def __init__(self, options: Options) -> None:
        """See ``Feed``."""
        super().__init__(options)
        self._numbers = SequenceNumbers()
        self._asked = 0

    def subscribe(self, codes: Codes) -> list[Message]:
        """One request with the whole list; to have nothing is to cancel."""
        wanted = listed("alltick", codes)
        if len(wanted) > CODES:
            raise UsageError(f"alltick takes {CODES:,} codes a connection, not {len(wanted):,}: give more --lines")
        if not wanted:
            return [self._request(CANCEL, {"cancel_type": 2})]
        return [self._request(SUBSCRIBE, {"symbol_list": [{"code": suffixed(code)} for code in wanted]})]

    def unsubscribe(self, codes: Codes) -> list[Message]:  # noqa: ARG002 - no code can be taken out alone
        """Nothing: the whole list is sent again."""
        return []

    def heartbeat(self) -> Message:
        """Number 22000."""
        return self._request(HEARTBEAT, {})

    def reset(self) -> None:
        """Forget the last connection."""
        super().reset()
        self._numbers.forget()

    def tick(self, push: _Trade, received: int) -> FeedTick | None:
        """One trade."""
        return self.read(
            push.code, push.price, push.tick_time, received, push.volume, push.turnover, push.trade_direction, push.seq
        )

    def repeated(self, tick: FeedTick) -> bool:
        """By the trade's number."""
        return self._numbers.repeats(tick.code, tick.seq, tick.time)

    def message(self, payload: bytes, message: dict[str, Any], error: Exception) -> Decoded:
        """An answer, another push, or a bad trade."""
        command, status = message.get("cmd_id"), message.get("ret")
        if command == PUSH:
            return refused(payload, str(error))
        if status is None and not isinstance(command, int):
            return refused(payload, "neither cmd_id nor ret")
        return answered(_answer(command, status, words(message)))

    def _request(self, command: int, data: object) -> str:
        self._asked += 1
        trace = f"{command}-{self._asked}"
        return orjson.dumps({"cmd_id": command, "seq_id": self._asked, "trace": trace, "data": data}).decode()


def _answer(command: object, status: object, text: str) -> Answer:
    """The answer that a message is. An error that names no request belongs to the one without an answer."""
    number = small(status)
    if status is not None and number != _OK:
        kind = "refused" if number is None else _ERRORS.get(number, "refused")
        wait = None if kind != "throttled" else CAPABILITIES.reconnect_apart if number == 606 else THROTTLED_SECONDS
        return Answer(kind, text, wait=wait)
    return Answer(_ANSWERS.get(small(command) or 0, "other"), text)


ALLTICK = Provider("alltick", CAPABILITIES, AllTickFeed)
