"""Several lines that bring the same codes become one stream: of what comes twice, the first arrival. Pure; no I/O.

*Repeats.* Where both lines give a tick the same number, by number. Where there is none, by counting: of each key (code,
time, price, volume; ``Matching`` has what lines of two providers have in common) every line's occurrences are counted,
and the k-th on one line is the k-th on any other. A tick goes on only when its line's count exceeds how many went on
before. So two genuine trades of the same ms, price and volume both go on, whichever lines bring them in whatever
interleaving: what comes out of a key is as many as the line that brought most of it.

*Order.* A line that (re)connects may be ahead of one that was there before, and what it missed may still be on its way
on that one. So a code's ticks of the younger line are held until the older one brings the first of them, or until it
is plain that they are behind; for ``hold`` at the most, or until the older line is lost. Without a loss that nobody
noticed, the stream is in the feed's order, code by code. With one, the tick that the line ahead lost goes on when
another brings it, late: better than never, and the quality gate marks it ``backwards``.

*Windows.* Counts are kept for ``window``, and the latest tick of each code longer, as a feed may repeat it when it is
subscribed again. At most ``limit`` of them are kept; beyond that, the oldest are forgotten early. A tick as old as what
was forgotten without its line having brought it is taken for its copy and dropped, counted as ``too_late``.

*Resets.* A line that was lost begins to count anew: what it repeats after it reconnects is what it brought before.
Where a feed's time is coarser than a reconnect, a genuine trade that equals an earlier one can't be told apart.

There is one ``Arbiter`` a stream, shared by the pipelines of its lines, each with its own number. ``connected`` is
called when a line is subscribed, ``reset`` as soon as its connection has ended, however it ended, so that nothing is
held for good. The stream has one ``source``, ``run`` and ``n``, without holes, whichever line brought a tick;
``received`` is when that line's frame came.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from itertools import takewhile
from typing import NamedTuple

import msgspec

from producer.feeds.decoded import FeedTick
from producer.feeds.limits import CODES
from producer.pipeline.matching import BY_NUMBER, Key, Matching
from producer.pipeline.statistics import LineStatistics

WINDOW = 30_000_000
"""µs; what lines were seen to be apart at the close of a busy day is 18 s."""
HOLD = 500_000
"""µs; so that a line which takes over does so within a second."""
LIMIT = 250_000
"""Some 100 MB; 8,000 ticks/s for ``WINDOW``."""
HELD = 50_000
"""Ticks; beyond them the oldest go on at once."""
_AHEAD_MS = 60_000

Admitted = list[tuple[int, list[FeedTick]]]
"""Ticks to send on, in order, beside when their frame came off its socket (µs since the epoch)."""


_BITS = 20
_MOST = (1 << _BITS) - 1


_SAME = Matching()


class _Held(NamedTuple):
    """A tick that waits; ``epoch`` is the connection that brought it."""

    tick: FeedTick
    key: Key
    received: int
    epoch: int


class _Row:
    """A code: what went on lately, and where each line stands with it.

    Attributes:
        seen: the connection of each line that its counts are of.
        level: the connection of each line that is known to have missed nothing of this code which may still come.
        held: of each line, what waits.
        missed: of each line, the latest time of what was forgotten without its having brought it.
        newest: the key that went on last.
        pinned: that key, where it has outlived the window.
        at, cumulative: time and cumulative volume of what went on last but for what was late.
    """

    __slots__ = (
        *("at", "cumulative", "entries", "held", "level"),
        *("missed", "newest", "pinned", "seen", "waiting"),
    )

    def __init__(self, lines: int) -> None:
        self.entries: dict[Key, _Entry] = {}
        self.seen = [0] * lines
        self.level = [0] * lines
        self.held: list[deque[_Held]] = [deque() for _ in range(lines)]
        self.waiting = 0
        self.missed = [-1] * lines
        self.newest: Key | None = None
        self.pinned: Key | None = None
        self.at = 0
        self.cumulative: float = 0


class _Entry(msgspec.Struct, gc=False):
    """A key that went on: when first and by which line, how often, and how often each line brought it.

    ``counts`` has ``_BITS`` for each line. There are a quarter of a million of these: one object each, and none that
    the garbage collector has to visit.
    """

    row: _Row
    key: Key
    received: int
    line: int
    passed: int = 0
    counts: int = 0


class Arbiter:
    """Makes one stream of several lines.

    Attributes:
        statistics: of each line.
        forgotten: keys that were dropped early, since there were more than ``limit``.
        due: when ``expire`` has something to do, µs since the epoch; ``None`` while nothing is held.
    """

    def __init__(
        self,
        lines: int = 2,
        matching: Matching = _SAME,
        *,
        window: int = WINDOW,
        hold: int = HOLD,
        limit: int = LIMIT,
    ) -> None:
        """Nobody is connected yet.

        Args:
            window: µs for which a tick is remembered.
            hold: µs that a line which has just connected waits for the others, at the most.
            limit: ticks that are remembered.
        """
        self.statistics = [LineStatistics() for _ in range(lines)]
        self.forgotten = 0
        self.due: int | None = None
        self._lines = lines
        self._key = matching.key()
        self._resolution = matching.resolution
        self._window, self._hold, self._limit = window, hold, limit
        self._rows: dict[str, _Row] = {}
        self._order: deque[_Entry] = deque()
        self._waiting: deque[tuple[int, _Row, int]] = deque()
        self._held = 0
        self._epochs = [1] * lines
        self._up: list[int] = []
        """Lines that are there, the longest one first."""
        self._groups: Admitted = []
        self._group: list[FeedTick] = []
        self._received = 0

    def connected(self, line: int) -> None:
        """A line brings everything from now on; where nobody announced it, its first ticks do."""
        if line not in self._up:
            self._up.append(line)

    def admit(self, line: int, ticks: Sequence[FeedTick], received: int) -> Admitted:
        """Take a frame's ticks of a line, by its number from 0; gives what goes on now, which may be of others too."""
        self.connected(line)
        self._begin(received)
        self._expire(received)
        self._forget(received)
        self._switch(received)
        key_of, rows, epoch = self._key, self._rows, self._epochs[line]
        for tick in ticks:
            row = rows.get(tick.code)
            if row is None:
                row = self._row(tick.code)
            key = key_of(tick)
            if row.waiting and (row.level[line] == epoch or self._up[0] == line):
                self._meet(row, key, line)
                self._switch(received)
            if row.level[line] == epoch and not row.held[line]:
                self._pass(row, key, tick, line, received)
            else:
                self._join(row, key, tick, line, received)
            if row.waiting:
                self._follow(row)
                self._switch(received)
        return self._end()

    def reset(self, line: int, now: int) -> Admitted:
        """A line's connection has ended, ``now`` in µs since the epoch; gives what waited for it."""
        self._epochs[line] += 1
        self._begin(now)
        if line in self._up:
            longest = self._up[0] == line
            self._up.remove(line)
            if longest:
                self._release(None if not self._up else self._up[0])
        return self._end()

    def expire(self, now: int) -> Admitted:
        """Gives what has waited for too long; to be called at ``due``."""
        self._begin(now)
        self._expire(now)
        return self._end()

    # What goes on is gathered in groups of one receipt.

    def _begin(self, received: int) -> None:
        self._groups, self._group, self._received = [], [], received

    def _switch(self, received: int) -> None:
        if received != self._received:
            if self._group:
                self._groups.append((self._received, self._group))
                self._group = []
            self._received = received

    def _end(self) -> Admitted:
        if self._group:
            self._groups.append((self._received, self._group))
        groups, self._groups, self._group = self._groups, [], []
        return groups

    def _pass(self, row: _Row, key: Key, tick: FeedTick, line: int, received: int) -> None:
        """Count a tick of a line that stands level with the others; it goes on where the count says so."""
        mine, entry = self.statistics[line], row.entries.get(key)
        if entry is None:
            if key[0] <= row.missed[line]:  # type: ignore[operator]
                mine.too_late += 1
                return
            entry = row.entries[key] = _Entry(row, key, received, line)
            self._order.append(entry)
        entry.counts += 1 << _BITS * line
        if _count(entry, line) <= entry.passed or (entry.passed and len(key) == BY_NUMBER):
            mine.second += 1
            if entry.line != line:
                mine.behind.add(received - entry.received)
            else:
                mine.repeated += 1
            return
        entry.passed += 1
        if tick.cumulative is not None:
            tick = self._counted_once(row, tick, tick.cumulative)
        row.newest = key
        if row.pinned is not None and row.pinned != key:
            self._drop(row, row.pinned)
            row.pinned = None
        mine.first += 1
        self._group.append(tick)

    @staticmethod
    def _counted_once(row: _Row, tick: FeedTick, cumulative: float) -> FeedTick:
        """A push that comes late, since the line ahead lost it: what it traded is in the volume of a later one."""
        if tick.time < row.at and cumulative < row.cumulative:
            return msgspec.structs.replace(tick, volume=None, turnover=None)
        row.at, row.cumulative = tick.time, cumulative
        return tick

    def _join(self, row: _Row, key: Key, tick: FeedTick, line: int, received: int) -> None:
        """A tick of a line that has just connected: is it behind the others, or ahead of what they still bring?"""
        epoch = self._epochs[line]
        if row.seen[line] != epoch:
            row.seen[line] = epoch
            for known in row.entries.values():
                known.counts -= _count(known, line) << _BITS * line
        waits = bool(row.held[line])
        if not waits and self._up[0] == line:
            row.level[line] = epoch
            self._pass(row, key, tick, line, received)
            return
        entry = row.entries.get(key)
        if not waits and entry is not None and (_count(entry, line) < entry.passed or len(key) == BY_NUMBER):
            self._pass(row, key, tick, line, received)
            if key == row.newest and _count(entry, line) >= entry.passed:
                row.level[line] = epoch
            return
        row.held[line].append(_Held(tick, key, received, epoch))
        row.waiting += 1
        self._held += 1
        self.statistics[line].held += 1
        self._waiting.append((received + self._hold, row, line))
        if self.due is None:
            self.due = received + self._hold
        while self._held > HELD:
            self._expire(self._waiting[0][0])

    def _row(self, code: str) -> _Row:
        if len(self._rows) >= CODES:
            self.forgotten += len(self._order)
            self._rows.clear()
        row = self._rows[code] = _Row(self._lines)
        return row

    def _meet(self, row: _Row, key: Key, line: int) -> None:
        """A line brings a tick that others hold: what they hold before it, this line has missed, and it goes on now."""
        for other, held in enumerate(row.held):
            if held and other != line:
                at = next((index for index, one in enumerate(held) if one.key == key), None)
                if at is not None:
                    row.level[other] = held[at].epoch
                    self._let_go(row, other, at)

    def _follow(self, row: _Row) -> None:
        """Let go what is held of lines that have become level: behind the tick that made them so."""
        for other, held in enumerate(row.held):
            if held and row.level[other] == held[0].epoch:
                self._let_go(row, other, _of_one_connection(held))

    def _let_go(self, row: _Row, line: int, count: int) -> None:
        """Count the first of what is held of a line as if they came now."""
        held = row.held[line]
        for _ in range(count):
            one = held.popleft()
            row.waiting -= 1
            self._held -= 1
            self._switch(one.received)
            self._pass(row, one.key, one.tick, line, one.received)

    def _expire(self, now: int) -> None:
        waiting = self._waiting
        while waiting and (waiting[0][0] <= now or not waiting[0][1].held[waiting[0][2]]):
            deadline, row, line = waiting.popleft()
            held = row.held[line]
            if held and held[0].received + self._hold <= deadline:
                count = _of_one_connection(held)
                self.statistics[line].expired += count
                row.level[line] = held[0].epoch
                self._let_go(row, line, count)
        self.due = waiting[0][0] if waiting else None

    def _release(self, line: int | None) -> None:
        """The longest line is gone: let go what the next one holds, all of it where there is none."""
        for _, row, other in self._waiting:
            held = row.held[other]
            if held and line in {None, other}:
                row.level[other] = held[-1].epoch
                self._let_go(row, other, len(held))
        self._expire(0)

    def _forget(self, now: int) -> None:
        """Drop what is older than the window, or more than there is room for."""
        order, horizon = self._order, now - self._window
        while order and (order[0].received < horizon or len(order) > self._limit):
            entry = order.popleft()
            if entry.received >= horizon:
                self.forgotten += 1
            if entry.key == entry.row.newest:
                entry.row.pinned = entry.key
            else:
                self._drop(entry.row, entry.key)

    def _drop(self, row: _Row, key: Key) -> None:
        entry = row.entries.pop(key)
        time = key[0]
        assert isinstance(time, int)
        if time * self._resolution > entry.received // 1000 + _AHEAD_MS:
            return  # a time that can't be true shows nothing of what is as old
        for line in range(self._lines):
            if (_count(entry, line) < entry.passed or row.seen[line] != self._epochs[line]) and time > row.missed[line]:
                row.missed[line] = time


def _count(entry: _Entry, line: int) -> int:
    """How often a line has brought what an entry stands for."""
    return entry.counts >> _BITS * line & _MOST


def _of_one_connection(held: Sequence[_Held]) -> int:
    """How many at the beginning of what a line holds came over one connection."""
    return sum(1 for _ in takewhile(lambda one: one.epoch == held[0].epoch, held))
