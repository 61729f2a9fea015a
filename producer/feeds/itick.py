"""iTick: one JSON object a trade, side 1 sell and 2 buy; one connection an account, a second login ends the first.

Chosen where the vendor's documentation is silent: subscriptions add up; a push names a code as it was subscribed,
``600519$SH``, or in any other form that ``market.codes`` reads; ``v`` is shares. The answer to the token repeats
it, so nothing but its words is shown. Of the types that one connection can carry only ``tick`` is asked for:
the volume of a ``quote`` is the day's. Turnover is not carried for stocks.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import msgspec
import orjson

from producer.feeds.codes import chunks, listed, suffixed
from producer.feeds.decoded import Answer, Decoded, FeedTick
from producer.feeds.frames import answer, answered, refused, words
from producer.feeds.provider import Capabilities, Codes, Message, Provider, Units
from producer.feeds.single_feed import SingleFeed
from producer.feeds.values import numbered_sides, small

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


class _Tick(msgspec.Struct, gc=False):
    s: str
    ld: float | str
    t: int | str
    type: Literal["tick"]
    v: float | str | None = None
    d: int | str | None = None


class _Push(msgspec.Struct, gc=False):
    data: _Tick


class ITickFeed(SingleFeed):
    """iTick's stock endpoint."""

    capabilities = CAPABILITIES
    push, envelope = _Tick, _Push
    shape = "iTick's: an object with code"
    sides = numbered_sides(buy=2, sell=1)

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

    def tick(self, push: _Tick, received: int) -> FeedTick | None:
        """One trade."""
        return self.read(push.s, push.ld, push.t, received, push.v, None, push.d)

    def message(self, payload: bytes, message: dict[str, Any], error: Exception) -> Decoded:
        """An answer, a push of another type, or a bad trade."""
        data = message.get("data")
        if "resAc" not in message and isinstance(data, dict) and "s" in data:
            kind = "kline" if "k" in data else data.get("type")  # bars carry no type
            if kind in ("quote", "depth", "kline"):
                return answered(answer("other", f"a push of type {kind}, which was not asked for"))
            return refused(payload, str(error))
        if "code" not in message and "resAc" not in message:
            return refused(payload, "neither a push nor an answer: neither code nor resAc")
        return answered(_answer(message))

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
            return answer("subscribed", text)
        return answer("logged_in" if about == "auth" else "pong" if about == "pong" else "other", text)
    if "too many" in said:
        return answer("throttled", text)
    if "connection" in said:
        return answer("kicked", text)
    return answer("unauthorised" if about == "auth" else "refused", text)


ITICK = Provider("itick", CAPABILITIES, ITickFeed)
