"""Infoway: one JSON object a trade, messages by number; it greets with a sentence and answers no heartbeat.

An answer without an error says nothing: codes of a market that the connection does not have are acknowledged and never
come. Chosen where the vendor's documentation is silent: subscriptions add up; ``v`` is shares, ``vw`` yuan. "Too many
connections" before anything was subscribed is the server's count of connections that are dead: to be tried again.
Afterwards it is another login that took this one's place.
"""

from __future__ import annotations

from typing import Any, Literal

import msgspec
import orjson

from producer.feeds.codes import chunks, listed, suffixed
from producer.feeds.decoded import AnswerKind, Decoded, FeedTick
from producer.feeds.frames import answer, answered, refused, words
from producer.feeds.provider import Capabilities, Codes, Message, Options, Provider
from producer.feeds.single_feed import SingleFeed
from producer.feeds.values import numbered_sides, small

SUBSCRIBE, PUSH, UNSUBSCRIBE, HEARTBEAT = 10000, 10002, 11000, 10010
CODES = 600

CAPABILITIES = Capabilities(
    about="Shanghai and Shenzhen, Hong Kong, America and more; of Beijing nothing",
    url="wss://data.infoway.io/ws?business=stock",
    login="query",
    token_refused=frozenset({"handshake", "answer"}),
    second_login="refused",
    reconnect_apart=1.0,
    array=False,
    string=True,
    codes_per_connection=CODES,
    codes_per_message=CODES,
    acknowledgement="bare",
    messages=60,
    messages_seconds=60.0,
    heartbeat_seconds=30.0,
    silence_limit=60.0,
    carries=("volume", "turnover", "side"),
    time_unit="ms (s in bars)",
    price_form="text",
    side_codes="1 buy, 2 sell, 0 not known",
    backfill="bars and the latest trade over HTTP; ticks are not documented",
)

_ANSWERS: dict[int, AnswerKind] = {
    10001: "subscribed",
    11010: "other",
    200: "other",
    401: "unauthorised",
    429: "throttled",
    501: "throttled",
    513: "closing",
    **dict.fromkeys((404, 505, 506, 507, 515), "refused"),
}
_TOO_MANY_CONNECTIONS = 427


class _Trade(msgspec.Struct, gc=False):
    s: str
    p: str | float
    t: int | str
    td: int | str | None = None
    v: str | float | None = None
    vw: str | float | None = None


class _Push(msgspec.Struct, gc=False):
    code: Literal[10002]
    data: _Trade


class InfowayFeed(SingleFeed):
    """Infoway's stock endpoint."""

    capabilities = CAPABILITIES
    push, envelope = _Trade, _Push
    shape = "Infoway's: an object with code"
    sides = numbered_sides(buy=1, sell=2)
    login_parameter = "apikey"

    def __init__(self, options: Options) -> None:
        """See ``Feed``."""
        super().__init__(options)
        self._asked = 0
        self._subscribed = False

    def subscribe(self, codes: Codes) -> list[Message]:
        """Requests of at most 600 codes."""
        return self._requests(SUBSCRIBE, codes)

    def unsubscribe(self, codes: Codes) -> list[Message]:
        """Requests of at most 600 codes."""
        return self._requests(UNSUBSCRIBE, codes)

    def heartbeat(self) -> Message:
        """Number 10010; nothing comes back."""
        return orjson.dumps({"code": HEARTBEAT, "trace": self._trace()}).decode()

    def reset(self) -> None:
        """Forget the last connection."""
        super().reset()
        self._subscribed = False

    def tick(self, push: _Trade, received: int) -> FeedTick | None:
        """One trade."""
        return self.read(push.s, push.p, push.t, received, push.v, push.vw, push.td)

    def message(self, payload: bytes, message: dict[str, Any], error: Exception) -> Decoded:
        """An answer, or a bad trade."""
        number, text = small(message.get("code")), words(message)
        if number == PUSH:
            return refused(payload, str(error))
        if number is None:
            return refused(payload, f"not a message of {self.shape}")
        if number == _TOO_MANY_CONNECTIONS:
            return answered(answer("kicked" if self._subscribed else "throttled", text))
        kind = _ANSWERS.get(number, "other")
        self._subscribed |= kind == "subscribed"
        return answered(answer(kind, text))

    def _requests(self, number: int, codes: Codes) -> list[Message]:
        written = [suffixed(code) for code in listed("infoway", codes)]
        return [
            orjson.dumps({"code": number, "trace": self._trace(), "data": {"codes": ",".join(some)}}).decode()
            for some in chunks(written, CODES)
        ]

    def _trace(self) -> str:
        self._asked += 1
        return f"ashare-{self._asked}"


INFOWAY = Provider("infoway", CAPABILITIES, InfowayFeed)
