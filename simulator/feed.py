"""What a server pushes from: a source of ticks that are due, and what a subscription selects of them."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import compress
from typing import Protocol

import orjson

from market.times import DAY_MS, SHANGHAI_MS
from simulator.clock import MarketClock
from simulator.other_kinds import Taken


@dataclass(frozen=True, slots=True)
class Batch:
    """Ticks that are due together, in order: of each its code, its JSON text and whether shares were traded."""

    codes: list[str]
    texts: list[str]
    traded: list[bool]


@dataclass(frozen=True)
class Subscription:
    """What a connection asked for; ``codes`` is ``None`` for the whole market."""

    codes: frozenset[str] | None = frozenset()
    trades_only: bool = False

    def __bool__(self) -> bool:
        return self.codes is None or bool(self.codes)

    def select(self, batch: Batch) -> list[str]:
        """The texts of a batch's ticks that belong to this subscription, in order."""
        if self.codes is None:
            return list(compress(batch.texts, batch.traded)) if self.trades_only else batch.texts
        codes = self.codes
        if self.trades_only:
            ticks = zip(batch.codes, batch.texts, batch.traded, strict=True)
            return [text for code, text, traded in ticks if traded and code in codes]
        return [text for code, text in zip(batch.codes, batch.texts, strict=True) if code in codes]


class Source(Protocol):
    """Ticks in order, each due at a time of the run."""

    @property
    def next_due(self) -> float | None:
        """Seconds from the start of the run to the next tick, ``None`` after the last."""

    def take(self, elapsed: float, limit: int) -> Batch:
        """The next ticks that are due at ``elapsed`` seconds of the run, at most ``limit``."""

    def knows(self, code: str) -> bool:
        """Whether a client may subscribe this code."""


class EqualTrades:
    """A source in which some trades share millisecond, price and volume with the one before, as real ones do.

    Of Shanghai's trades one fifth does. Such a trade takes the place of another tick, so that the rate stays the same.
    """

    def __init__(self, source: Source, share: float, seed: int) -> None:
        """``share`` of all ticks, 0 to 1; the seed says which."""
        self._source = source
        self._share = share
        self._draw = random.Random(f"equal trades {seed}").random
        self._before: tuple[str, str] | None = None

    @property
    def next_due(self) -> float | None:
        """As ``Source.next_due``."""
        return self._source.next_due

    def take(self, elapsed: float, limit: int) -> Batch:
        """As ``Source.take``; one tick asks for one draw, so that the batches' sizes change nothing."""
        batch = self._source.take(elapsed, limit)
        before, draw, share = self._before, self._draw, self._share
        if before is not None and batch.texts and _day(before[1]) != _day(batch.texts[0]):
            before = None
        for i, text in enumerate(batch.texts):
            if draw() < share and before is not None:
                batch.codes[i], batch.texts[i] = before
                batch.traded[i] = True
            else:
                before = (batch.codes[i], text) if batch.traded[i] else None
        self._before = before
        return batch

    def knows(self, code: str) -> bool:
        """As ``Source.knows``."""
        return self._source.knows(code)


def _day(text: str) -> int:
    """The date in China of a tick's JSON, as a number of days."""
    return int((orjson.loads(text)["time"] + SHANGHAI_MS) // DAY_MS)


class GeneratedFeed:
    """The drawn market on its clock: the seed fixes the ticks, the schedule and the clock fix their times."""

    def __init__(self, market: Taken, clock: MarketClock, schedule: Iterator[float]) -> None:
        """``schedule`` gives each tick's due time, without end."""
        self._market = market
        self._clock = clock
        self._schedule = schedule
        self._due = next(schedule)

    @property
    def next_due(self) -> float:
        """As ``Source.next_due``; this market never ends."""
        return self._due

    def take(self, elapsed: float, limit: int) -> Batch:
        """As ``Source.take``; it ends with a trading day, so that the next begins from that day's closes."""
        due, at, schedule = self._due, self._clock.at, self._schedule
        times: list[int] = []
        while due <= elapsed and len(times) < limit:
            time = at(due)
            if self._market.day != self._clock.window.day:
                if times:
                    break
                self._market.open_day(self._clock.window.day)
            times.append(time)
            due = next(schedule)
        self._due = due
        return Batch(*self._market.take(times))

    def knows(self, code: str) -> bool:
        """As ``Source.knows``: the listings."""
        return code in self._market.codes
