"""One push of every provider, with a tick's values as they are wanted."""

from __future__ import annotations

from typing import Any

import orjson

from producer.feeds import provider
from producer.feeds.decoded import FeedTick, Frame
from producer.feeds.provider import Feed
from tests.producer.feeds import genuine
from tests.producer.feeds.genuine import RECEIVED, TIME

NAMES = ("post", "alltick", "xtick", "itick", "infoway", "tickflow", "massive", "binance")
FIELDS: dict[str, dict[str, str]] = {
    "post": {
        "code": "code",
        "price": "price",
        "time": "time",
        "volume": "volume",
        "turnover": "turnover",
        "side": "side",
        "seq": "seq",
        "previous_close": "previous_close",
    },
    "alltick": {
        "code": "code",
        "price": "price",
        "time": "tick_time",
        "volume": "volume",
        "turnover": "turnover",
        "side": "trade_direction",
        "seq": "seq",
    },
    "xtick": {
        "price": "lastPrice",
        "time": "time",
        "volume": "volume",
        "turnover": "amount",
        "previous_close": "lastClose",
    },
    "itick": {"code": "s", "price": "ld", "time": "t", "volume": "v", "side": "d"},
    "infoway": {"code": "s", "price": "p", "time": "t", "volume": "v", "turnover": "vw", "side": "td"},
    "tickflow": {
        "code": "symbol",
        "price": "last_price",
        "time": "timestamp",
        "volume": "volume",
        "turnover": "amount",
    },
    "massive": {"code": "sym", "price": "p", "time": "t", "volume": "s", "seq": "q"},
    "binance": {"code": "s", "price": "c", "time": "E"},
}
"""How each provider names the fields that it carries."""
CODES = {"massive": "AAPL", "binance": "BTCUSDT"}


def tick(name: str, **values: Any) -> dict[str, Any]:
    """A tick's JSON, in the provider's own words; ``values`` by our names."""
    code = values.get("code", CODES.get(name, "688981.SH"))
    named = {FIELDS[name][field]: value for field, value in values.items() if field != "code"}
    match name:
        case "post":
            base = {"code": code, "price": 9.87, "time": TIME}
        case "alltick":
            base = genuine.alltick(code=code)["data"]
        case "xtick":
            base = {"": code} | genuine.snapshot()
        case "itick":
            base = genuine.itick(s=code)["data"]
        case "infoway":
            base = genuine.infoway(s=code)["data"]
        case "tickflow":
            base = genuine.quote(symbol=code)
        case "massive":
            base = genuine.trade(sym=code)
        case _:
            base = genuine.ticker(s=code)
    return base | named


def frame(name: str, *ticks: dict[str, Any]) -> bytes:
    """A push of them, as bytes; of the providers that push one tick a frame, of the first."""
    first = ticks[0]
    match name:
        case "post":
            message: Any = {"ticks": list(ticks)}
        case "alltick":
            message = {"cmd_id": 22998, "data": first}
        case "xtick":
            data = {one[""]: {key: value for key, value in one.items() if key} for one in ticks}
            message = {"period": "tick", "authCode": "tick.SH.1", "seqNo": 1, "data": data}
        case "itick":
            message = {"code": 1, "data": first}
        case "infoway":
            message = {"code": 10002, "data": first}
        case "tickflow":
            message = {"op": "quotes", "data": list(ticks)}
        case "massive":
            message = list(ticks)
        case _:
            message = list(ticks)
    return orjson.dumps(message)


def decode(live: Feed, name: str, payload: bytes) -> Any:
    """What the feed makes of a frame."""
    return live.decode(Frame(payload, name == "xtick", RECEIVED))


def traded(live: Feed, name: str, **values: Any) -> FeedTick:
    """The tick of a push, after a first one with a volume and turnover of 0, where those are the day's so far."""
    if provider(name).capabilities.volume_is == "cumulative":
        earlier = {"time": values["time"] - 1} if isinstance(values.get("time"), int) else {"time": TIME - 3_000}
        decode(live, name, frame(name, tick(name, **values | {"volume": 0, "turnover": 0} | earlier)))
    (one,) = decode(live, name, frame(name, tick(name, **values))).ticks
    found: FeedTick = one
    return found
