"""Infoway: one JSON object a trade, messages by number; it greets with a sentence and answers no heartbeat.

An answer without an error says nothing: codes of a market that the connection does not have are acknowledged and never
come. Chosen where the vendor's documentation is silent: subscriptions add up; ``v`` is shares, ``vw`` yuan. "Too many
connections" before anything was subscribed is the server's count of connections that are dead: to be tried again.
Afterwards it is another login that took this one's place.
"""

from __future__ import annotations

from typing import Literal

import msgspec
import orjson

from producer.feeds.codes import chunks, listed, suffixed
from producer.feeds.decoded import Answer, AnswerKind, Decoded, FeedTick
from producer.feeds.json_feed import LATER_SECONDS, JsonFeed
from producer.feeds.optional import Fields, Loose
from producer.feeds.provider import Capabilities, Codes, Message, Options, Provider, with_query
from producer.feeds.values import RefusedError, message_of, price, refused, shares, small, words

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

_SIDES: dict[int | str | None, Literal["buy", "sell"] | None] = {
    1: "buy", 2: "sell", 0: None, "1": "buy", "2": "sell", "0": None, "": None, None: None,
}  # fmt: skip
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


class _RawPush(msgspec.Struct, gc=False):
    code: Literal[10002]
    data: msgspec.Raw


class InfowayFeed(JsonFeed):
    """Infoway's stock endpoint."""

    capabilities = CAPABILITIES

    def __init__(self, options: Options) -> None:
        """See ``Feed``."""
        super().__init__(options)
        self._push = msgspec.json.Decoder(_Push).decode
        self._raw_push = msgspec.json.Decoder(_RawPush).decode
        self._loose_trade = Loose(_Trade)
        self._asked = 0
        self._subscribed = False

    def address(self, url: str, token: str | None, codes: Codes) -> str:  # noqa: ARG002 - they go into a request
        """The token goes into the query as ``apikey``."""
        return with_query(url, "apikey", token) if token else url

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

    def at_once(self, payload: bytes, received: int, trade: _Trade | None = None) -> Decoded:
        """One trade; the one that is given, where it was read already."""
        if trade is None:
            trade = self._push(payload).data
        place = self._places.get(trade.s) or self._places.find(trade.s)
        value = price(trade.p)
        if not value:
            return Decoded([], [], [], unpriced=1)
        time = trade.t
        if not (isinstance(time, int) and self._earliest <= time < self._latest):
            time = self._moment(time, received)
        unread = None
        try:
            side = _SIDES[trade.td]
            volume = shares(trade.v, place.shares)
            turnover = self.turnover(trade.vw, value, volume)
        except (RefusedError, KeyError):
            self.attend, read = True, Fields()
            side = read("side", _SIDES.__getitem__, trade.td)
            volume = read("volume", shares, trade.v, place.shares)
            turnover = read("turnover", self.turnover, trade.vw, value, volume)
            unread = read.unread
        tick = FeedTick(place.code, place.exchange, value, time, volume, turnover, side, None, None, None, unread)
        return Decoded([tick], [], [])

    def piece_by_piece(self, payload: bytes, received: int, error: Exception) -> Decoded:
        """An answer, or a bad trade."""
        try:
            trade = self._loose_trade(self._raw_push(payload).data)
        except msgspec.ValidationError as why:
            error = why
        else:
            return self.at_once(payload, received, trade)
        message = message_of(payload)
        number = small(message.get("code")) if isinstance(message, dict) else None
        if number == PUSH:
            return refused(payload, str(error))
        if number is None:
            return refused(payload, "no message of Infoway's: an object with code")
        text = words(message)
        if number == _TOO_MANY_CONNECTIONS:
            answer = Answer("kicked", text) if self._subscribed else Answer("throttled", text, wait=LATER_SECONDS)
        else:
            kind = _ANSWERS.get(number, "other")
            self._subscribed |= kind == "subscribed"
            answer = Answer(kind, text, wait=LATER_SECONDS if kind == "throttled" else None)
        return Decoded([], [], [answer])

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
