"""What came before: the topics deliver at least once, and here a repeated record is told by its identity.

Each class is a bounded memory of one stream. It begins empty with the process, so what was delivered before a restart
and not committed comes once more after it.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Any, Protocol

from ashare_client.records import FeedEvent, GapMark, Origin, PriceChange, Snapshot, Tick

REMEMBERED = 200_000
"""Codes (of each partition) that are remembered; beyond, those that came up first are forgotten."""
_EVENTS = 4_096


class Repeats(Protocol):
    """Tells which records have been seen."""

    def seen(self, partition: int, record: Any) -> bool:
        """Whether the record came before; if not, it is remembered. Called in the order of the partition."""


class _Partition:
    """What is known of one partition: the last origin per code, and the latest receive time of all."""

    __slots__ = ("last", "received")

    def __init__(self) -> None:
        self.last: dict[str, tuple[int, int]] = {}
        self.received = -1


class Origins:
    """Changes and snapshots: the offset of a code's originating tick only rises, and what comes again does not rise.

    After a crash the pipeline emits a stretch again, later in the same partition and identical. So a record whose
    origin is not above the code's last one is a repeat, unless the tick topic was deleted and made anew: its offsets
    then begin at 0 again. That is told by the receive time: a repeat was received before something that has been seen,
    but the first record of a new topic was received after everything. The partition's memory then begins anew.
    """

    def __init__(self, limit: int = REMEMBERED) -> None:
        """Nothing was seen yet."""
        self._limit = limit
        self._partitions: dict[int, _Partition] = {}

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


class States:
    """Snapshots: as `Origins`, but one whose gap mark is another is no repeat, though no tick has come since."""

    def __init__(self, limit: int = REMEMBERED) -> None:
        """Nothing was seen yet."""
        self._limit = limit
        self._origins = Origins(limit)
        self._marks: dict[str, tuple[Origin, GapMark | None]] = {}

    def seen(self, partition: int, record: Snapshot) -> bool:
        """As `Repeats.seen`."""
        before, now = self._marks.get(record.code), (record.origin, record.gap)
        repeated = self._origins.seen(partition, record)
        if repeated and (before is None or before[0] != record.origin or before == now):
            return True
        if before is None and len(self._marks) >= self._limit:
            del self._marks[next(iter(self._marks))]
        self._marks[record.code] = now
        return False


class Numbers:
    """Ticks: the run and number of a line only rise for one code."""

    def __init__(self, limit: int = REMEMBERED) -> None:
        """Nothing was seen yet."""
        self._limit = limit
        self._last: dict[tuple[str, str], tuple[int, int]] = {}

    def seen(self, partition: int, record: Tick) -> bool:  # noqa: ARG002 - a code has one partition
        """As `Repeats.seen`."""
        key, number = (record.code, record.source), (record.run, record.n)
        last = self._last.get(key)
        if last is not None:
            if number <= last:
                return True
        elif len(self._last) >= self._limit:
            del self._last[next(iter(self._last))]
        self._last[key] = number
        return False


class Events:
    """Feed events: rare, so each is remembered whole."""

    def __init__(self, limit: int = _EVENTS) -> None:
        """Nothing was seen yet."""
        self._limit = limit
        self._recent: OrderedDict[tuple[Any, ...], None] = OrderedDict()

    def seen(self, partition: int, record: FeedEvent) -> bool:  # noqa: ARG002 - an event says itself which it is
        """As `Repeats.seen`."""
        key = (record.source, record.run, record.n, record.event, record.at, record.start, record.end)
        if key in self._recent:
            return True
        if len(self._recent) >= self._limit:
            self._recent.popitem(last=False)
        self._recent[key] = None
        return False
