"""AllTick: one JSON object a trade; requests by number, ``cmd_id``; the whole list again to change a subscription.

Chosen where the vendor's documentation is silent: Beijing's suffix is ``.BJ``; ``volume`` is lots, and ``turnover``
price × lots, so it is computed anew from price and shares; direction 0 says nothing. ``seq`` is the trade's and the
order book's together, so its holes are none; it tells copies of a tick. The first 3,000 codes of a longer list are
taken, and the answer is the same: a line never sends more.
"""

from __future__ import annotations

from typing import Literal

import msgspec
import orjson

from producer.feeds.codes import listed, suffixed
from producer.feeds.cumulative import Numbers
from producer.feeds.decoded import Answer, AnswerKind, Decoded, FeedTick
from producer.feeds.json_feed import LATER_SECONDS, JsonFeed
from producer.feeds.optional import Fields, Loose
from producer.feeds.provider import Capabilities, Codes, Message, Options, Provider, Units, with_query
from producer.feeds.values import RefusedError, message_of, price, refused, sequence, shares, small, words
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

_SIDES: dict[int | str | None, Literal["buy", "sell"] | None] = {
    1: "buy", 2: "sell", 0: None, "1": "buy", "2": "sell", "0": None, "": None, None: None,
}  # fmt: skip
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


class _RawPush(msgspec.Struct, gc=False):
    cmd_id: Literal[22998]
    data: msgspec.Raw


class AllTickFeed(JsonFeed):
    """AllTick's stock endpoint."""

    capabilities = CAPABILITIES

    def __init__(self, options: Options) -> None:
        """See ``Feed``."""
        super().__init__(options)
        self._numbers = Numbers()
        self._asked = 0
        self._push = msgspec.json.Decoder(_Push).decode
        self._raw_push = msgspec.json.Decoder(_RawPush).decode
        self._loose_trade = Loose(_Trade)

    def address(self, url: str, token: str | None, codes: Codes) -> str:  # noqa: ARG002 - they go into a request
        """The token goes into the query."""
        return with_query(url, "token", token) if token else url

    def subscribe(self, codes: Codes) -> list[Message]:
        """One request with the whole list; to have nothing is to cancel."""
        wanted = listed("alltick", codes)
        if len(wanted) > CODES:
            raise UsageError(f"alltick takes {CODES:,} codes a connection, not {len(wanted):,}: give more --lines")
        if not wanted:
            return [self._request(CANCEL, {"cancel_type": 2})]
        return [self._request(SUBSCRIBE, {"symbol_list": [{"code": suffixed(code)} for code in wanted]})]

    def unsubscribe(self, codes: Codes) -> list[Message]:  # noqa: ARG002 - no code can be taken out alone
        """None: the whole list is sent again."""
        return []

    def heartbeat(self) -> Message:
        """Number 22000."""
        return self._request(HEARTBEAT, {})

    def reset(self) -> None:
        """Forget the last connection."""
        super().reset()
        self._numbers.forget()

    def at_once(self, payload: bytes, received: int, trade: _Trade | None = None) -> Decoded:
        """One trade; the one that is given, where it was read already."""
        if trade is None:
            trade = self._push(payload).data
        place = self._places.get(trade.code) or self._places.find(trade.code)
        value = price(trade.price)
        if not value:
            return Decoded([], [], [], unpriced=1)
        time = trade.tick_time
        if not (isinstance(time, int) and self._earliest <= time < self._latest):
            time = self._moment(time, received)
        unread = None
        try:
            seq = None if trade.seq is None else sequence(trade.seq)
            volume = shares(trade.volume, place.shares)
            turnover = self.turnover(trade.turnover, value, volume)
            side = _SIDES[trade.trade_direction]
        except (RefusedError, KeyError):
            self.attend, read = True, Fields()
            seq = None if trade.seq is None else read("seq", sequence, trade.seq)
            volume = read("volume", shares, trade.volume, place.shares)
            turnover = read("turnover", self.turnover, trade.turnover, value, volume)
            side = read("side", _SIDES.__getitem__, trade.trade_direction)
            unread = read.unread
        if self._numbers.repeats(place.code, seq, time):
            return Decoded([], [], [], repeats=1)
        tick = FeedTick(place.code, place.exchange, value, time, volume, turnover, side, seq, None, None, unread)
        return Decoded([tick], [], [])

    def piece_by_piece(self, payload: bytes, received: int, error: Exception) -> Decoded:
        """An answer, another push, or a bad trade."""
        try:
            trade = self._loose_trade(self._raw_push(payload).data)
        except msgspec.ValidationError as why:
            error = why
        else:
            return self.at_once(payload, received, trade)
        message = message_of(payload)
        if not isinstance(message, dict):
            return refused(payload, "no message of AllTick's: an object with cmd_id")
        command, status = message.get("cmd_id"), message.get("ret")
        if command == PUSH:
            return refused(payload, str(error))
        if status is None and not isinstance(command, int):
            return refused(payload, "neither cmd_id nor ret")
        return Decoded([], [], [_answer(command, status, words(message))])

    def _request(self, command: int, data: object) -> str:
        self._asked += 1
        trace = f"{command}-{self._asked}"
        return orjson.dumps({"cmd_id": command, "seq_id": self._asked, "trace": trace, "data": data}).decode()


def _answer(command: object, status: object, text: str) -> Answer:
    """What an answer says. An error without a number of its own belongs to the request that has no answer yet."""
    number = small(status)
    if status is not None and number != _OK:
        kind = "refused" if number is None else _ERRORS.get(number, "refused")
        wait = None if kind != "throttled" else CAPABILITIES.reconnect_apart if number == 606 else LATER_SECONDS
        return Answer(kind, text, wait=wait)
    return Answer(_ANSWERS.get(small(command) or 0, "other"), text)


ALLTICK = Provider("alltick", CAPABILITIES, AllTickFeed)
