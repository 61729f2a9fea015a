"""Ticks that the market makes but that look wrong: for all connections alike, and none of them is lost."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import replace

import orjson

from market.times import DAY_MS, day_start, shanghai_date
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
        return [*prints[:at], timed(prints[at], noon), *prints[at + 1 :]], []


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


class VolumeGlitch(PrintKind):
    """A push carries 0 as the day's volume and turnover, and the next one goes on from before it.

    A right client gives no volume for the 0, and afterwards the difference to the push before it: a fall within a day
    is believed once later pushes have risen from it.
    """

    name = "volume-glitch"

    def suits(self, provider: Provider) -> bool:
        """Those that push the day's sums."""
        return provider.cumulative

    def prints(self, prints: Sequence[Print], draw: random.Random) -> tuple[list[Print], list[Print]]:
        """Behind one of the round, the same with sums of 0."""
        at = draw.randrange(len(prints))
        return [*prints[: at + 1], replace(prints[at], day_volume=0, day_turnover=0.0), *prints[at + 1 :]], []


class DaysAhead(PrintKind):
    """A tick whose time is three days ahead.

    A right client passes it on, with the mark ``future`` where it goes by the clock: it belongs to the session of its
    receipt, and the code's next tick is the latest again. Not where the day's sums are pushed: there a day begins.
    """

    name = "days-ahead"
    days = 3

    def suits(self, provider: Provider) -> bool:
        """Those that push trades."""
        return not provider.cumulative

    def prints(self, prints: Sequence[Print], draw: random.Random) -> tuple[list[Print], list[Print]]:
        """One of the round is dated ahead."""
        at = draw.randrange(len(prints))
        return [*prints[:at], timed(prints[at], prints[at].time + self.days * DAY_MS), *prints[at + 1 :]], []


class ClockOff(PrintKind):
    """Every time is eight hours behind: the provider writes UTC where Shanghai's time is due.

    A right client passes all ticks on, marked by the clock's difference where it goes by the clock, and says in plain
    words, after a minute, by how much the feed is off. Hours of trading can't be told by such times, so this is not
    part of ``all``.
    """

    name = "clock-off"
    survivable = False
    standing = True
    hours = 8

    def prints(self, prints: Sequence[Print], draw: random.Random) -> tuple[list[Print], list[Print]]:  # noqa: ARG002
        """All of them, eight hours behind."""
        return [timed(one, one.time - self.hours * 3_600_000) for one in prints], []


class EqualMs(Kind):
    """One fifth of the trades share millisecond, price and volume with the one before.

    A right client keeps them all.
    """

    name = "equal-ms"
    standing = True
    share = 0.2


def timed(one: Print, time: int) -> Print:
    """The same tick at another time, ms since the epoch."""
    text = orjson.dumps(orjson.loads(one.text) | {"time": time}).decode()
    return replace(one, time=time, text=text)


TRADING: tuple[type[Kind], ...] = (
    OutOfSession, Late, CumulativeReset, VolumeGlitch, DaysAhead, ClockOff, EqualMs,
)  # fmt: skip
