"""Ticks that the market makes but that look wrong: for all connections alike, and none of them is lost."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import replace

import orjson

from market.times import day_start, shanghai_date
from simulator.feeds.prints import Print
from simulator.feeds.provider import Provider
from simulator.misbehaviour.kind import Kind, PrintKind

_NOON_MS = 12 * 3_600_000


class OutOfSession(PrintKind):
    """A tick whose time lies in the lunch break of its day. A right client passes it on, with a mark if it likes."""

    name = "out-of-session"

    def prints(self, prints: Sequence[Print], draw: random.Random) -> tuple[list[Print], list[Print]]:
        """One of the round has its time at noon."""
        at = draw.randrange(len(prints))
        noon = day_start(shanghai_date(prints[at].time)) + _NOON_MS + draw.randrange(60_000)
        return [*prints[:at], _timed(prints[at], noon), *prints[at + 1 :]], []


class Late(PrintKind):
    """A tick comes after later ones of its code.

    A right client passes it on, in the order of arrival; without a volume, where the day's sums are pushed.
    """

    name = "late"

    def prints(self, prints: Sequence[Print], draw: random.Random) -> tuple[list[Print], list[Print]]:
        """One of the round is kept for later."""
        at = draw.randrange(len(prints))
        return [*prints[:at], *prints[at + 1 :]], [prints[at]]


class CumulativeReset(Kind):
    """The day's volumes begin at 0 again. A right client gives no volume where the difference would be negative."""

    name = "cumulative-reset"

    def suits(self, provider: Provider) -> bool:
        """Those that push the day's sums."""
        return provider.cumulative


class EqualMs(Kind):
    """One fifth of the trades share millisecond, price and volume with the one before.

    A right client keeps them all.
    """

    name = "equal-ms"
    standing = True
    share = 0.2


def _timed(one: Print, time: int) -> Print:
    text = orjson.dumps(orjson.loads(one.text) | {"time": time}).decode()
    return replace(one, time=time, text=text)


TRADING: tuple[type[Kind], ...] = (OutOfSession, Late, CumulativeReset, EqualMs)
