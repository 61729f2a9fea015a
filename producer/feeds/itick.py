"""iTick: one JSON object a trade, side 1 sell and 2 buy; one connection an account, a second login ends the first.

Chosen where the vendor's documentation is silent: subscriptions add up; a push names a code as it was subscribed,
``600519$SH``, or in any other form that ``market.codes`` reads; ``v`` is shares. The answer to the token repeats
it, so nothing but its words is shown. Of the types that one connection can carry only ``tick`` is asked for:
the volume of a ``quote`` is the day's. Turnover is not carried for stocks.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import msgspec
import orjson

from producer.feeds.codes import chunks, listed, suffixed
from producer.feeds.decoded import Answer, Decoded, FeedTick
from producer.feeds.json_feed import LATER_SECONDS, JsonFeed
from producer.feeds.optional import Fields, Loose
from producer.feeds.provider import Capabilities, Codes, Message, Options, Provider, Units
from producer.feeds.values import RefusedError, message_of, price, refused, shares, small, words

CAPABILITIES = Capabilities(
    about="Shanghai, Shenzhen, Hong Kong, America and more",
    url="wss://api.itick.org/stock",
    login="header",
    logged_in_by_answer=True,
    token_refused=frozenset({"answer", "close"}),
    connections=1,
    second_login="kicks the first",
    reconnect_apart=1.0,
    array=False,
    string=True,
    codes_per_connection=500,
    codes_per_message=500,
    acknowledgement="bare",
    heartbeat_seconds=30.0,
    heartbeat_reply=True,
    carries=("volume", "side"),
    time_unit="ms",
    price_form="number",
    side_codes="1 sell, 2 buy, 0 neutral",
    units=Units(turnover="none"),
    backfill="bars and the latest trade over HTTP; ticks are not documented",
)

_SIDES: dict[int | str | None, Literal["buy", "sell"] | None] = {
    1: "sell", 2: "buy", 0: None, "1": "sell", "2": "buy", "0": None, "": None, None: None,
}  # fmt: skip


class _Tick(msgspec.Struct, gc=False):
    s: str
    ld: float | str
    t: int | str
    type: Literal["tick"]
    v: float | str | None = None
    d: int | str | None = None


class _Push(msgspec.Struct, gc=False):
    data: _Tick


class _RawPush(msgspec.Struct, gc=False):
    data: msgspec.Raw


class ITickFeed(JsonFeed):
    """iTick's stock endpoint."""

    capabilities = CAPABILITIES

    def __init__(self, options: Options) -> None:
        """See ``Feed``."""
        super().__init__(options)
        self._push = msgspec.json.Decoder(_Push).decode
        self._raw_push = msgspec.json.Decoder(_RawPush).decode
        self._loose_tick = Loose(_Tick)

    def headers(self, token: str | None) -> Mapping[str, str]:
        """The token goes into a header of its own."""
        return {"token": token} if token else {}

    def subscribe(self, codes: Codes) -> list[Message]:
        """Requests of at most 500 codes."""
        return self._requests("subscribe", codes)

    def unsubscribe(self, codes: Codes) -> list[Message]:
        """Requests of at most 500 codes."""
        return self._requests("unsubscribe", codes)

    def heartbeat(self) -> Message:
        """A ping with the time in ms, which comes back."""
        return orjson.dumps({"ac": "ping", "params": str(self._options.clock())}).decode()

    def at_once(self, payload: bytes, received: int, tick: _Tick | None = None) -> Decoded:
        """One trade; the one that is given, where it was read already."""
        if tick is None:
            tick = self._push(payload).data
        place = self._places.get(tick.s) or self._places.find(tick.s)
        value = price(tick.ld)
        if not value:
            return Decoded([], [], [], unpriced=1)
        time = tick.t
        if not (isinstance(time, int) and self._earliest <= time < self._latest):
            time = self._moment(time, received)
        unread = None
        try:
            side = _SIDES[tick.d]
            volume = shares(tick.v, place.shares)
            turnover = self.turnover(None, value, volume)
        except (RefusedError, KeyError):
            self.attend, read = True, Fields()
            side = read("side", _SIDES.__getitem__, tick.d)
            volume = read("volume", shares, tick.v, place.shares)
            turnover = read("turnover", self.turnover, None, value, volume)
            unread = read.unread
        found = FeedTick(place.code, place.exchange, value, time, volume, turnover, side, None, None, None, unread)
        return Decoded([found], [], [])

    def piece_by_piece(self, payload: bytes, received: int, error: Exception) -> Decoded:
        """An answer, a push of another type, or a bad trade."""
        try:
            tick = self._loose_tick(self._raw_push(payload).data)
        except msgspec.ValidationError as why:
            error = why
        else:
            return self.at_once(payload, received, tick)
        message = message_of(payload)
        if not isinstance(message, dict):
            return refused(payload, "no message of iTick's: an object with code")
        data = message.get("data")
        if "resAc" not in message and isinstance(data, dict) and "s" in data:
            kind = "kline" if "k" in data else data.get("type")  # bars carry no type
            if kind in ("quote", "depth", "kline"):
                return Decoded([], [], [Answer("other", f"a push of type {kind}, which was not asked for")])
            return refused(payload, str(error))
        if "code" not in message and "resAc" not in message:
            return refused(payload, "neither a push nor an answer: neither code nor resAc")
        return Decoded([], [], [_answer(message)])

    def _requests(self, action: str, codes: Codes) -> list[Message]:
        written = [suffixed(code, "$") for code in listed("itick", codes)]
        return [
            orjson.dumps({"ac": action, "params": ",".join(some), "types": "tick"}).decode()
            for some in chunks(written, CAPABILITIES.codes_per_message)
        ]


def _answer(message: dict[str, object]) -> Answer:
    about = message.get("resAc")
    text = words({name: message.get(name) for name in ("code", "resAc", "msg")} if about == "auth" else message)
    said = words(message.get("msg", "")).lower()
    if small(message.get("code", 1)) == 1:
        if about == "subscribe":
            return Answer("subscribed", text)
        return Answer("logged_in" if about == "auth" else "pong" if about == "pong" else "other", text)
    if "too many" in said:
        return Answer("throttled", text, wait=LATER_SECONDS)
    if "connection" in said:
        return Answer("kicked", text)
    return Answer("unauthorised" if about == "auth" else "refused", text)


ITICK = Provider("itick", CAPABILITIES, ITickFeed)
