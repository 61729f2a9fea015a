"""What a usable tick is, a second time from ``docs/decisions.md``: its bounds in plain comparisons."""

from __future__ import annotations

import json
import math
from typing import Any

Json = dict[str, Any]

_EARLIEST_MS = 631_152_000_000  # 1990-01-01
_END_MS = 4_102_444_800_000  # 2100-01-01
_DAY_MS = 86_400_000
_HOUR_MS = 3_600_000
_TEXTS = {"code": 32, "exchange": 1 << 20, "source": 255}
_DEEPEST = 32


def read(value: bytes | None, timestamp: int = -1) -> Json | None:
    """A record of the ticks topic as a dict, ``None`` if it is not a usable tick, whatever its bytes are.

    Args:
        timestamp: the record's, ms since the epoch, where it is known.
    """
    if value is None or _depth(value) > _DEEPEST:
        return None
    try:
        tick = json.loads(value.decode("utf-8"), parse_constant=_refuse)
    except (ValueError, RecursionError):
        return None
    if not isinstance(tick, dict) or not usable(tick):
        return None
    return None if timestamp >= _EARLIEST_MS and tick["received"] > (timestamp + _HOUR_MS) * 1000 else tick


def usable(tick: Json) -> bool:
    """Whether a tick lies within the bounds of the page."""
    return _named(tick) and _priced(tick)


def _named(tick: Json) -> bool:
    numbers: list[Any] = [tick.get(name) for name in ("time", "received", "run", "n")]
    if any(type(number) is not int or number < 0 for number in numbers):
        return False
    time, received, run, n = numbers
    quality, side, seq = tick.get("quality"), tick.get("side"), tick.get("seq")
    return (
        _EARLIEST_MS <= time < _END_MS
        and received < _END_MS * 1000
        and run < _END_MS
        and run <= received / 1000 + _DAY_MS
        and n < 1 << 53
        and all(_text(tick.get(name), most) for name, most in _TEXTS.items())
        and (quality is None or _text(quality, 256))
        and side in (None, "buy", "sell")
        and (seq is None or (type(seq) is int and abs(seq) < 1 << 63))
    )


def _priced(tick: Json) -> bool:
    price, close, volume, turnover = (tick.get(name) for name in ("price", "previous_close", "volume", "turnover"))
    return (
        _number(price, 1e9, 0.0001)
        and (close is None or _number(close, 1e9, 0.0001))
        and (volume is None or _number(volume, 1e15))
        and (turnover is None or _number(turnover, 1e18))
    )


def _number(value: Any, most: float, least: float = 0) -> bool:
    return type(value) in (int, float) and least <= value <= most and math.isfinite(value)


def _text(value: Any, most: int) -> bool:
    if not isinstance(value, str) or not 0 < len(value) <= most:
        return False
    try:
        value.encode()
    except UnicodeEncodeError:  # half a surrogate pair
        return False
    return True


def _refuse(token: str) -> None:
    raise ValueError(token)


def _depth(value: bytes) -> int:
    """Levels of brackets, texts left out."""
    depth = deepest = 0
    inside = escaped = False
    if value.count(b"[") + value.count(b"{") <= _DEEPEST:
        return 0
    for byte in value:
        if escaped:
            escaped = False
        elif inside:
            escaped, inside = byte == 0x5C, byte != 0x22
        elif byte == 0x22:
            inside = True
        elif byte in b"[{":
            depth += 1
            deepest = max(deepest, depth)
        elif byte in b"]}":
            depth -= 1
    return deepest
