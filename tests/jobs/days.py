"""Days of ticks for the bars job, and their bars computed the plain way: all ticks at hand, minute after minute."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from hypothesis import strategies as st

from schemas import Bar, Tick

MIDNIGHT = 1_795_104_000_000
"""2026-11-20 00:00 in Shanghai, ms since the epoch."""
CODES = ("600519", "000001", "688001")
Key = tuple[str, int, str | None]


def at(clock: str, day: int = 0) -> int:
    """An exchange time of that day: ``"09:30:00.500"``, or ``"09:30"``."""
    hour, minute, *second = clock.split(":")
    seconds = Decimal(second[0]) if second else Decimal(0)
    return MIDNIGHT + day * 86_400_000 + (int(hour) * 60 + int(minute)) * 60_000 + int(seconds * 1000)


def tick(n: int, time: int, price: float, code: str = "600519", **more: Any) -> Tick:
    """The ``n``-th tick of a run, received 200 ms after its time."""
    fields: dict[str, Any] = {"volume": 100, "turnover": price * 100, "received": time * 1000 + 200_000} | more
    exchange = "SSE" if code.startswith("6") else "SZSE"
    return Tick(code=code, exchange=exchange, price=price, time=time, source="line", run=1, n=n, **fields)


@dataclass
class PlainBar:
    """What a bar holds: prices of those that count, sums."""

    prices: list[float] = field(default_factory=list)
    volume: int = 0
    turnover: Decimal = Decimal(0)


def plain_bars(ticks: list[Tick], midnight: int = MIDNIGHT) -> dict[Key, tuple[Any, ...]]:
    """Open, high, low, close, volume, turnover and ticks of each minute, by ticks without flaws."""
    bars: dict[Key, PlainBar] = {}
    kept: defaultdict[str, list[tuple[int, int]]] = defaultdict(list)
    for one in ticks:
        since_midnight = one.time - midnight
        minute = since_midnight // 60_000
        auction, order = None, 0
        if 565 <= minute < 570:
            minute, auction = 565, "opening"
        elif minute in {690, 900}:
            auction, order = (None, 0) if minute == 690 else ("closing", 1)
            minute -= 1
        elif not (570 <= minute < 690 or 780 <= minute < 900):
            continue
        if one.volume == 0:
            continue
        place = minute, order
        if place not in kept[one.code]:
            if len(kept[one.code]) == 4 and place < kept[one.code][0]:
                continue
            kept[one.code] = sorted([*kept[one.code], place])[-4:]
        bar = bars.setdefault((one.code, midnight + minute * 60_000, auction), PlainBar())
        bar.prices.append(one.price)
        bar.volume += int(one.volume or 0)
        bar.turnover += Decimal(repr(one.turnover)).quantize(Decimal("0.0001"))
    return {
        key: (b.prices[0], max(b.prices), min(b.prices), b.prices[-1], b.volume, float(b.turnover), len(b.prices))
        for key, b in bars.items()
    }


def shown(bar: Bar) -> tuple[Any, ...]:
    """The same of a record."""
    return bar.open, bar.high, bar.low, bar.close, bar.volume, bar.turnover, bar.ticks


_INSTANTS = ["09:15", "09:25", "09:27:30", "09:29:59.9", "09:30", "11:29", "11:29:59.999", "11:30", "11:30:03", "11:31"]
_INSTANTS += ["13:00", "14:56:59", "14:58", "14:59:59.999", "15:00", "15:00:03", "15:01", "15:10", "12:15"]


@st.composite
def days(draw: st.DrawFn) -> list[Tick]:
    """Ticks of three codes over a day, in the order in which they come: late by up to some minutes now and then."""
    times = draw(
        st.lists(
            st.sampled_from([at(instant) for instant in _INSTANTS]) | st.integers(at("09:30"), at("09:40")),
            min_size=1,
            max_size=60,
        )
    )
    late = draw(st.lists(st.sampled_from([0, 0, 0, 1500, 20_000, 70_000, 200_000]), min_size=len(times)))
    arriving = sorted(zip(times, late, strict=False), key=lambda one: one[0] + one[1])
    return [
        tick(
            n,
            time,
            draw(st.integers(900, 1100)) / 100,
            draw(st.sampled_from(CODES)),
            volume=draw(st.sampled_from([0, 100, 300, 700])),
            received=(time + lateness) * 1000,
        )
        for n, (time, lateness) in enumerate(arriving, 1)
    ]
