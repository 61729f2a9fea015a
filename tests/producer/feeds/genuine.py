"""Frames as the vendors' documentation shows them, made-up values; what damage is done to in tests of every decoder."""

from __future__ import annotations

import gzip
import io
import zipfile
from typing import Any

import orjson

from producer.feeds import provider
from producer.feeds.decoded import Decoded, Frame
from producer.feeds.provider import Feed, Options

RECEIVED = 1_795_138_201_250_000
"""2026-11-20 09:30:01.25 in Shanghai."""
TIME = 1_795_138_201_123


def feed(name: str, **options: Any) -> Feed:
    """A new connection's feed."""
    return provider(name).make(Options(**options))


def read(feed: Feed, message: Any, *, binary: bool = False) -> Decoded:
    """Decode a message: bytes and text as they are, anything else as JSON."""
    if isinstance(message, str):
        message = message.encode()
    payload = message if isinstance(message, bytes) else orjson.dumps(message)
    return feed.decode(Frame(payload, binary, RECEIVED))


def fields(decoded: Decoded) -> list[dict[str, Any]]:
    """The ticks without what is null; a frame of ticks alone."""
    assert not decoded.letters, decoded.letters
    names = ("code", "exchange", "price", "time", "volume", "turnover", "side", "seq", "previous_close", "cumulative")
    return [{n: v for n in names if (v := getattr(tick, n)) is not None} for tick in decoded.ticks]


def alltick(**data: Any) -> dict[str, Any]:
    return {
        "cmd_id": 22998,
        "data": {
            "code": "600000.SH",
            "seq": "7",
            "tick_time": str(TIME),
            "price": "9.870000",
            "volume": "12",
            "turnover": "118.440000",
            "trade_direction": 1,
        }
        | data,
    }


def itick(**data: Any) -> dict[str, Any]:
    tick = {"s": "600519$SH", "ld": 1700.01, "t": TIME, "v": 300, "d": 1, "te": 0, "type": "tick"}
    return {"code": 1, "data": tick | data}


def infoway(**data: Any) -> dict[str, Any]:
    return {
        "code": 10002,
        "data": {"s": "600519.SH", "p": "1700.01", "t": TIME, "td": 1, "v": "300", "vw": "510003.0"} | data,
    }


def quote(**data: Any) -> dict[str, Any]:
    snapshot = {"symbol": "600000.SH", "last_price": 9.87, "volume": 1200, "amount": 1_184_400.0, "timestamp": TIME}
    return snapshot | {"ext": {"type": "cn_equity"}} | data


def quotes(*snapshots: dict[str, Any]) -> dict[str, Any]:
    return {"op": "quotes", "data": list(snapshots)}


def snapshot(**data: Any) -> dict[str, Any]:
    return {
        "time": TIME,
        "lastPrice": 9.869999885559082,
        "open": 9.8,
        "high": 9.9,
        "low": 9.7,
        "lastClose": 9.75,
        "amount": 1_184_400.0,
        "volume": 1200,
        "askPrice": [9.88, 9.89, 9.9, 9.91, 9.92],
        "bidPrice": [0, 0, 0, 0, 0],
        "askVol": [1, 2, 3, 4, 5],
        "bidVol": [0, 0, 0, 0, 0],
    } | data


def packet(data: dict[str, Any], *, name: str = "tick.SH.1", number: Any = 1, period: str = "tick") -> bytes:
    return orjson.dumps({"period": period, "authCode": name, "seqNo": number, "data": data})


def zipped(content: bytes, method: int = zipfile.ZIP_DEFLATED) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as file:
        file.writestr("packet.json", content)
    return buffer.getvalue()


def trade(**data: Any) -> dict[str, Any]:
    event = {"ev": "T", "sym": "AAPL", "x": 4, "i": "52", "z": 3, "p": 201.125, "s": 100, "c": [0], "t": TIME}
    return event | {"pt": TIME - 1, "q": 3} | data


def ticker(**data: Any) -> dict[str, Any]:
    shown = {
        "e": "24hrMiniTicker",
        "E": TIME,
        "s": "BTCUSDT",
        "c": "98000.10",
        "o": "97000",
        "h": "99000",
        "l": "96000",
    }
    return shown | {"v": "1200.5", "q": "117600000"} | data


GENUINE: dict[str, list[tuple[bytes, bool]]] = {
    "post": [
        (
            b'{"ticks":[{"code":"600000","price":9.87,"time":1790000000},{"code":"000001","price":"10","time":"1"}]}',
            False,
        )
    ],
    "alltick": [
        (orjson.dumps(alltick()), False),
        (b'{"ret":200,"msg":"ok","cmd_id":22005,"seq_id":1,"trace":"a","data":{}}', False),
        (b'{"ret":401,"msg":"token invalid","cmd_id":0,"seq_id":0,"trace":"","data":{}}', False),
    ],
    "xtick": [
        (gzip.compress(packet({"600000": snapshot(), "600519": snapshot(time=TIME + 3)})), True),
        (zipped(packet({"600000.SH": [snapshot(), snapshot(volume=1300)]})), True),
        (packet({"000001.SZ": snapshot()}, name="000001.SZ"), True),
        (b"kicked: the token is in use elsewhere", False),
    ],
    "itick": [
        (orjson.dumps(itick()), False),
        (b'{"code":1,"resAc":"subscribe","msg":"subscribe Successfully"}', False),
        (b'{"code":0,"resAc":"auth","msg":"auth failed"}', False),
    ],
    "infoway": [
        (orjson.dumps(infoway()), False),
        (b'{"code":10001,"trace":"a","msg":"ok"}', False),
        (b'{"code":507,"msg":"Param lost","traceId":""}', False),
    ],
    "tickflow": [
        (orjson.dumps(quotes(quote(), quote(symbol="000001.SZ"))), False),
        (orjson.dumps({"op": "quotes", "data": quote()}), False),
        (b'{"op":"subscribed","symbols":["600000.SH"],"total":1}', False),
        (b'{"op":"error","message":"no permission for channel: depth"}', False),
    ],
    "massive": [
        (orjson.dumps([trade(), trade(sym="MSFT", q=4)]), False),
        (b'[{"ev":"status","status":"auth_success","message":"authenticated"}]', False),
        (orjson.dumps([{"ev": "status", "status": "success", "message": "subscribed to: T.AAPL"}, trade()]), False),
    ],
    "binance": [
        (orjson.dumps(ticker()), False),
        (orjson.dumps([ticker(), ticker(s="ETHUSDT")]), False),
        (orjson.dumps({"stream": "!miniTicker@arr", "data": [ticker()]}), False),
        (b'{"result":null,"id":1}', False),
    ],
}
