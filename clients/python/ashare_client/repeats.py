"""What came before: the topics deliver at least once, and here a repeated record is told by its identity.

A tick is named by `source`, `run` and `n`, and a change by those of its tick. For one code they only rise; what does
not rise is a repeat. But nobody who sends a record again changes `received`: what was received more than 60 s after the
last one is new, its name notwithstanding, and what was received later at all is counted, and warned of when it is much.

Each class is a bounded memory of one stream. It begins empty with the process, so what was delivered before a restart
and not committed comes once more after it.
"""

from __future__ import annotations

import logging
import time
from collections import OrderedDict
from collections.abc import Callable
from typing import Any, Protocol

from ashare_client.records import Bar, FeedEvent, GapMark, LineMark, Origin, PriceChange, Snapshot, Tick

log = logging.getLogger(__name__)

HEALS_US = 60_000_000
HANDFUL = 16
"""Suspicious repeats of a source in a row, past which they are warned of."""
_QUIET_SECONDS = 60.0
_SOURCES = 1_024
REMEMBERED = 200_000
"""Codes (of each partition) that are remembered; beyond, those that came up first are forgotten."""
_EVENTS = 4_096
_BARS = 16
"""Of a code; the pipeline keeps four that may still change."""


class Suspects:
    """Repeats that may be none: they were received later than what they would repeat.

    Attributes:
        count: how many there were.
    """

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        """None yet."""
        self.count = 0
        self._now = now
        self._rows: dict[str, _Row] = {}

    def add(self, source: str, code: str, last: tuple[int, int], got: tuple[int, int]) -> None:
        """A record of a source and code was dropped, which met this last name; a warning past a handful in a row."""
        self.count += 1
        now = self._now()
        row = self._rows.get(source)
        if row is None or now - row.seen > _QUIET_SECONDS:
            if row is None and len(self._rows) >= _SOURCES:
                del self._rows[next(iter(self._rows))]
            row = self._rows[source] = _Row()
        met, so_far = row.by_code.get(code, (last, 0))
        if met != last:  # the code's records passed meanwhile
            row.count -= so_far
            so_far = 0
        row.by_code[code] = (last, so_far + 1)
        row.count += 1
        row.seen = now
        if row.count > HANDFUL and (row.told is None or now - row.told > _QUIET_SECONDS):
            row.told = now
            log.warning(
                "%s records of %a in a row (%s codes) were dropped as repeated although they were received later than"
                " what they would repeat: run %s, n %s came after run %s, n %s: did its run fall, or do two producers"
                " write under this name? They are handed on again 60 s after the last one that was",
                *(f"{row.count:,}", source, f"{len(row.by_code):,}", *got, *last),
            )


class _Row:
    """The suspicious repeats of one source: by code, the name that they met and how many did."""

    __slots__ = ("by_code", "count", "seen", "told")

    def __init__(self) -> None:
        self.by_code: dict[str, tuple[tuple[int, int], int]] = {}
        self.count = 0
        self.seen = 0.0
        self.told: float | None = None


class Repeats(Protocol):
    """Tells which records have been seen."""

    @property
    def suspects(self) -> Suspects:
        """Those of them that may not have been."""

    def seen(self, partition: int, record: Any) -> bool:
        """Whether the record came before; if not, it is remembered. Called in the order of the partition."""

    def forget(self) -> None:
        """What comes from now on is of another log: nothing of it came before."""


class _Partition:
    """What is known of one partition: the last origin per code, and the latest receive time of all."""

    __slots__ = ("last", "received")

    def __init__(self) -> None:
        self.last: dict[str, tuple[int, int]] = {}
        self.received = -1


class Origins:
    """Snapshots, and changes without a cause: the offset of a code's originating tick only rises.

    After a crash the pipeline emits a stretch again, later in the same partition and identical. So a record whose
    origin is not above the code's last one is a repeat, unless the tick topic was deleted and made anew: its offsets
    then begin at 0 again. That is told by the receive time: a repeat was received before something that has been seen,
    but the first record of a new topic was received after everything. The partition's memory then begins anew.
    """

    def __init__(self, limit: int = REMEMBERED) -> None:
        """Nothing was seen yet."""
        self.suspects = Suspects()
        self._limit = limit
        self._partitions: dict[int, _Partition] = {}

    def forget(self) -> None:
        """As `Repeats.forget`."""
        self._partitions.clear()

    def renew(self, partition: int, record: PriceChange | Snapshot) -> None:
        """Remember a record that is new by its name; where its offset is not above the last one, the topic is."""
        known = self._partitions.get(partition)
        if known is None:
            known = self._partitions[partition] = _Partition()
        origin, code = record.origin, record.code
        last = known.last.get(code)
        if last is None and len(known.last) >= self._limit:
            del known.last[next(iter(known.last))]
        elif last is not None and origin.partition == last[0] and origin.offset <= last[1]:
            known.last.clear()
            known.received = -1
        known.last[code] = (origin.partition, origin.offset)
        known.received = max(known.received, record.received)

    def seen(self, partition: int, record: PriceChange | Snapshot) -> bool:
        """As `Repeats.seen`."""
        known = self._partitions.get(partition)
        if known is None:
            known = self._partitions[partition] = _Partition()
        origin, received, code = record.origin, record.received, record.code
        place = (origin.partition, origin.offset)
        last = known.last.get(code)
        if last is not None and place[0] == last[0] and place[1] <= last[1]:
            if received <= known.received:
                return True
            known.last.clear()
        elif last is None and len(known.last) >= self._limit:
            del known.last[next(iter(known.last))]
        known.last[code] = place
        known.received = max(known.received, received)
        return False


class Causes:
    """Changes: by the tick that caused them, and one without a cause, as version 0.1 wrote them, by its origin."""

    def __init__(self, limit: int = REMEMBERED) -> None:
        """Nothing was seen yet."""
        self.suspects = Suspects()
        self._limit = limit
        self._origins = Origins(limit)
        self._last: dict[tuple[str, str], tuple[int, int, int]] = {}

    def forget(self) -> None:
        """As `Repeats.forget`."""
        self._origins.forget()
        self._last.clear()

    def seen(self, partition: int, record: PriceChange) -> bool:
        """As `Repeats.seen`."""
        cause = record.cause
        if cause is None:
            return self._origins.seen(partition, record)
        key, received = (record.code, cause.source), record.received
        last = self._last.get(key)
        if last is None:
            # It may have come before without its cause.
            if self._origins.seen(partition, record):
                return True
            if len(self._last) >= self._limit:
                del self._last[next(iter(self._last))]
        elif _again(self.suspects, record.code, cause, received, last):
            return True
        elif (cause.run, cause.n) > last[:2]:
            self._origins.renew(partition, record)
        elif self._origins.seen(partition, record):
            return True  # emitted again, from before a clock stepped back
        self._last[key] = (cause.run, cause.n, received)
        return False


class States:
    """Snapshots: as `Origins`, but one whose gap mark is another is not a repeat, though no tick has come since.

    Nor is one whose lines have gone on, wherever in a topic of ticks its last one lies.
    """

    def __init__(self, limit: int = REMEMBERED) -> None:
        """Nothing was seen yet."""
        self.suspects = Suspects()
        self._limit = limit
        self._origins = Origins(limit)
        self._marks: dict[str, tuple[Origin, GapMark | None, list[LineMark]]] = {}

    def forget(self) -> None:
        """As `Repeats.forget`."""
        self._origins.forget()
        self._marks.clear()

    def seen(self, partition: int, record: Snapshot) -> bool:
        """As `Repeats.seen`."""
        before = self._marks.get(record.code)
        repeated = self._origins.seen(partition, record)
        if repeated and before is not None and _gone_on(before[2], record.lines):
            self._origins.renew(partition, record)
        elif repeated and (before is None or before[0] != record.origin or before[1] == record.gap):
            return True
        if before is None and len(self._marks) >= self._limit:
            del self._marks[next(iter(self._marks))]
        self._marks[record.code] = (record.origin, record.gap, record.lines)
        return False


class Latest:
    """Bars: of one `start` and `auction`, what neither has a later tick nor is a later revision came before.

    After a crash the pipeline publishes some again. Of each code only the latest bars are remembered, as only these
    may still change.
    """

    def __init__(self, limit: int = REMEMBERED) -> None:
        """Nothing was seen yet."""
        self.suspects = Suspects()
        self._limit = limit
        self._last: dict[str, OrderedDict[tuple[int, str | None], tuple[int, int]]] = {}

    def forget(self) -> None:
        """As `Repeats.forget`."""
        self._last.clear()

    def seen(self, partition: int, record: Bar) -> bool:  # noqa: ARG002 - a code has one partition
        """As `Repeats.seen`."""
        known = self._last.get(record.code)
        if known is None:
            if len(self._last) >= self._limit:
                del self._last[next(iter(self._last))]
            known = self._last[record.code] = OrderedDict()
        key, now = (record.start, record.auction), (record.origin.offset, record.revision)
        last = known.pop(key, None)
        repeated = last is not None and now[0] <= last[0] and now[1] <= last[1]
        known[key] = now if last is None or not repeated else last
        if len(known) > _BARS:
            known.popitem(last=False)
        return repeated


class Numbers:
    """Ticks: the run and number of a line only rise for one code."""

    def __init__(self, limit: int = REMEMBERED) -> None:
        """Nothing was seen yet."""
        self.suspects = Suspects()
        self._limit = limit
        self._last: dict[tuple[str, str], tuple[int, int, int]] = {}

    def forget(self) -> None:
        """As `Repeats.forget`."""
        self._last.clear()

    def seen(self, partition: int, record: Tick) -> bool:  # noqa: ARG002 - a code has one partition
        """As `Repeats.seen`."""
        key = (record.code, record.source)
        last = self._last.get(key)
        if last is not None:
            if _again(self.suspects, record.code, record, record.received, last):
                return True
        elif len(self._last) >= self._limit:
            del self._last[next(iter(self._last))]
        self._last[key] = (record.run, record.n, record.received)
        return False


def _again(suspects: Suspects, code: str, named: Tick | LineMark, received: int, last: tuple[int, int, int]) -> bool:
    """Whether a name, with when it was received, repeats the last one of its code and source."""
    run, n, before = last
    if named.run > run or (named.run == run and named.n > n) or received > before + HEALS_US:
        return False
    if received > before:
        suspects.add(named.source, code, (run, n), (named.run, named.n))
    return True


def _gone_on(before: list[LineMark], now: list[LineMark]) -> bool:
    """Whether some line of a snapshot is further than it was."""
    known = {line.source: (line.run, line.n) for line in before}
    return bool(known) and any((line.run, line.n) > known.get(line.source, (-1, -1)) for line in now)


class Events:
    """Feed events: rare, so each is remembered whole."""

    def __init__(self, limit: int = _EVENTS) -> None:
        """Nothing was seen yet."""
        self.suspects = Suspects()
        self._limit = limit
        self._recent: OrderedDict[tuple[Any, ...], None] = OrderedDict()

    def forget(self) -> None:
        """As `Repeats.forget`."""
        self._recent.clear()

    def seen(self, partition: int, record: FeedEvent) -> bool:  # noqa: ARG002 - an event says itself which it is
        """As `Repeats.seen`."""
        key = (record.source, record.run, record.n, record.event, record.at, record.start, record.end)
        if key in self._recent:
            return True
        if len(self._recent) >= self._limit:
            self._recent.popitem(last=False)
        self._recent[key] = None
        return False
