"""When ticks are due: an opening that bursts and calms down, or a steady rate. Both are pure and endless."""

from __future__ import annotations

import math
import random
from collections.abc import Iterator
from itertools import count

from simulator.clock import MarketClock

BURST = (300, 400)
"""Ticks in each second of a morning's first minute: what openings peak at on a retail feed."""
_CALM = 110.0
_BURST_SECONDS = 60.0
_CALMING_SECONDS = 240.0
_AFTERNOON = 0.5
"""The afternoon opens with half the burst of the morning."""


def steady(rate: float) -> Iterator[float]:
    """The due times, in seconds of the run, of ``rate`` ticks a second."""
    return (i / rate for i in count())


def opening(clock: MarketClock, seed: int) -> Iterator[float]:
    """The due times of a market whose rate follows the exchange's day; the ``clock`` is used up by it."""
    draw = random.Random(f"schedule {seed}")
    for second in count():
        ticks = round(_rate(clock, second, draw.uniform(*BURST), draw.uniform(0.85, 1.15)))
        for i in range(ticks):
            yield second + i / ticks


def _rate(clock: MarketClock, second: int, burst: float, noise: float) -> float:
    since = (clock.at(second) - clock.window.opens) / 1000.0
    if not clock.window.morning:
        burst *= _AFTERNOON
    if since < _BURST_SECONDS:
        return burst
    calm = _CALM * noise
    return calm + (burst - calm) * math.exp((_BURST_SECONDS - since) / _CALMING_SECONDS)
