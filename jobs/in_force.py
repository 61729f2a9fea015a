"""Which thresholds are in force at which tick of a partition: the settings', and over them those set at run time.

A threshold that is set at run time takes effect at an offset of each partition, its mark. The mark is durable before a
tick is judged by it, so whoever judges a tick again judges it as it was judged before, wherever its chunk begins.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import lru_cache

from jobs.thresholds import Threshold, Thresholds, layered, parse, read_scope
from schemas import RecordError, ThresholdMark, ThresholdStep, UsageError, decode
from schemas import Threshold as ThresholdRecord
from schemas.topics import THRESHOLD_MARKS, partition_of, topics

HISTORY = 32
"""Steps of a scope that a mark holds. Those that nothing uncommitted needs are left out; where more are needed, a new
threshold waits until a commit has freed one."""

_END = 1 << 63

_parsed = lru_cache(maxsize=4096)(parse)


class MarkRow:
    """What is known of one scope in one partition.

    Attributes:
        steps: offset of the first tick judged by it, and the threshold as text (``None``: unset); oldest first.
        version: offset in the thresholds' topic of what set the last step.
        number: of the scope's marks in the partition, this one's.
    """

    __slots__ = ("key", "number", "scope", "steps", "version")

    def __init__(self, scope: str, steps: list[tuple[int, str | None]], version: int, number: int = 1) -> None:
        """A scope with at least one step."""
        self.scope = scope
        self.key = scope.encode()
        self.steps = steps
        self.version = version
        self.number = number

    @property
    def start(self) -> int:
        """Where the last step begins."""
        return self.steps[-1][0]

    @property
    def threshold(self) -> str | None:
        """The last step's threshold."""
        return self.steps[-1][1]

    @property
    def marks(self) -> dict[str, tuple[int, int]]:
        """What tells a late copy of an older mark from a newer one."""
        return {"": (self.number, 0)}

    def at(self, offset: int) -> str | None:
        """What is set at an offset."""
        for start, threshold in reversed(self.steps):
            if start <= offset:
                return threshold
        return None

    def then(self, threshold: str | None, start: int, version: int, committed: int | None) -> MarkRow | None:
        """The row with one more step; ``None`` where there is no room for it yet.

        Args:
            start: the partition's first tick that nobody can have judged.
            committed: no tick before it is judged again; ``None`` where every tick may be.
        """
        # The tick log begins anew where a step lies beyond its end: no tick of this log was judged by any of them.
        kept = [step for step in self.steps if step[0] < start] if self.start <= start else []
        needed = 0
        if committed is not None:
            needed = max((index for index, step in enumerate(kept) if step[0] <= committed), default=0)
        kept = kept[needed:]
        if len(kept) >= HISTORY:
            return None
        return MarkRow(self.scope, [*kept, (start, threshold)], version, self.number + 1)

    def record(self) -> ThresholdMark:
        """The row as its compacted topic keeps it."""
        return ThresholdMark(
            scope=self.scope,
            threshold=self.threshold,
            start=self.start,
            version=self.version,
            number=self.number,
            earlier=[ThresholdStep(threshold, start) for start, threshold in self.steps[:-1]],
        )


def restore(value: bytes) -> tuple[str, MarkRow]:
    """Scope and row of a mark's record.

    Raises:
        RecordError: it is none.
    """
    mark = decode(ThresholdMark, value)
    steps = [(step.start, step.threshold) for step in mark.earlier] + [(mark.start, mark.threshold)]
    try:
        _check(mark.scope)
        for _, threshold in steps:
            if threshold is not None:
                _parsed(threshold)
    except UsageError as error:
        raise RecordError(f"ThresholdMark: {error}") from error
    return mark.scope, MarkRow(mark.scope, steps, mark.version, mark.number)


def _check(scope: str) -> None:
    if read_scope(scope) != scope:
        raise UsageError(f"threshold scope {scope!r}: write {read_scope(scope)}")


def _read(scope: str, value: bytes | None) -> str | None:
    """The threshold that a record of the thresholds' topic sets for the scope that is its key, ``None`` to unset."""
    if value is None:
        return None
    record = decode(ThresholdRecord, value)
    _parsed(record.threshold)
    if record.scope != scope:
        raise UsageError(f"threshold scope {record.scope!r} under the key {scope!r}: the key repeats the scope")
    return record.threshold


class Wanted:
    """What the thresholds' topic holds, as far as it was read.

    Attributes:
        scopes: by scope, the threshold as text (``None``: unset) and its record's offset.
        position: offset of the first record that was not read yet.
        revision: rises with each record.
    """

    def __init__(self) -> None:
        """Nothing was read."""
        self.scopes: dict[str, tuple[str | None, int]] = {}
        self.position = 0
        self.revision = 0
        self._unreadable: set[str] = set()  # bounded as scopes are: by the codes and boards that there are

    def take(self, key: bytes | None, value: bytes | None, offset: int) -> str:
        """Take one record of the topic.

        Returns:
            The scope that it sets or unsets.

        Raises:
            RecordError: it is not a threshold; what its scope had before stays in force.
        """
        self.position, self.revision = offset + 1, self.revision + 1
        scope = (key or b"").decode("utf-8", "replace")
        try:
            _check(scope)
        except UsageError as error:
            raise RecordError(f"offset {offset}: {error}") from error
        try:
            threshold = _read(scope, value)
        except (RecordError, UsageError) as error:
            self.scopes.pop(scope, None)
            self._unreadable.add(scope)
            raise RecordError(f"offset {offset}: {error}") from error
        self._unreadable.discard(scope)
        self.scopes[scope] = threshold, offset
        return scope

    def reached(self, position: int) -> None:
        """The topic holds no more records before this offset: compaction may have taken the last ones."""
        self.position = max(self.position, position)

    def of(self, scope: str, marked: int) -> tuple[str | None, int] | None:
        """What is wanted of a scope that was marked up to the version ``marked``; ``None`` if nothing newer.

        A scope that the topic holds no more was unset so long ago that compaction has taken the tombstone too.
        """
        found = self.scopes.get(scope)
        if found is None:
            gone = self.position > marked + 1 and scope not in self._unreadable
            return (None, self.position - 1) if gone else None
        return found if found[1] > marked else None

    def set(self) -> dict[str, str]:
        """What is set, by scope."""
        return {scope: text for scope, (text, _) in self.scopes.items() if text is not None}


class InForce:
    """The thresholds of one partition, tick by tick.

    Attributes:
        rows: the partition's marks by scope; new ones enter by ``take`` when they are durable.
        next: the first offset that nobody can have judged; a new threshold begins there.
        revision: of the ``Wanted`` whose marks are all taken.
    """

    def __init__(
        self, base: Thresholds, partition: int, rows: dict[str, MarkRow], first: int, versions: int = _END
    ) -> None:
        """A partition whose ticks from ``first`` on nobody has judged.

        Args:
            versions: the end of the thresholds' topic: a mark of a version beyond it is of a topic that was deleted.
        """
        self.rows = rows
        self.next = first
        self.revision = -1
        self._base = base
        self._partition = partition
        self._partitions = topics()[THRESHOLD_MARKS].partitions
        self._outlived = {scope for scope, row in rows.items() if row.version >= versions}
        self._since = self._until = 0
        self._thresholds = base

    def throughout(self, start: int, end: int) -> Thresholds | None:
        """The thresholds of all offsets from ``start`` to before ``end``, the same object as long as nothing changed.

        ``None`` where they may change in between: ``spans`` tells.
        """
        return self._thresholds if self._since <= start and end <= self._until else None

    def spans(self, start: int, end: int) -> Iterator[tuple[int, Thresholds]]:
        """The offsets from ``start`` to before ``end``, cut where the thresholds change.

        Returns:
            The end of each part and its thresholds, the same object as before as long as nothing changed.
        """
        while True:
            if not self._since <= start < self._until:
                self._look(start)
            if self._until >= end:
                yield end, self._thresholds
                return
            yield self._until, self._thresholds
            start = self._until

    def judged(self, end: int) -> None:
        """The ticks before ``end`` are judged."""
        self.next = max(self.next, end)

    def _look(self, offset: int) -> None:
        starts = {start for row in self.rows.values() for start, _ in row.steps}
        self._since = max((start for start in starts if start <= offset), default=0)
        self._until = min((start for start in starts if start > offset), default=_END)
        found: dict[str, Threshold] = {}
        for scope, row in self.rows.items():
            text = row.at(offset)
            if text is not None:
                found[scope] = _parsed(text)
        self._thresholds = layered(self._base, found) if found else self._base

    def due(self, wanted: Wanted, committed: int | None) -> tuple[list[MarkRow], bool]:
        """The marks that are to be made durable, and whether that is all of them: some may have to wait for a commit.

        Args:
            committed: the partition's committed offset, ``None`` without one.
        """
        due: list[MarkRow] = []
        complete = True
        for scope in {**wanted.scopes, **self.rows}:
            if scope.startswith("code:") and partition_of(scope[5:], self._partitions) != self._partition:
                continue
            row = self.rows.get(scope)
            anew = row is None or scope in self._outlived or row.start > self.next
            asked = wanted.of(scope, -1 if row is None or anew else row.version)
            if asked is None:
                continue
            threshold, version = asked
            if row is None:
                made = None if threshold is None else MarkRow(scope, [(self.next, threshold)], version)
            elif threshold == row.threshold and row.start <= self.next:
                made = None
            else:
                made = row.then(threshold, self.next, version, committed)
                complete &= made is not None
            if made is not None:
                due.append(made)
        return due, complete

    def take(self, rows: list[MarkRow]) -> None:
        """These marks are durable."""
        for row in rows:
            self.rows[row.scope] = row
            self._outlived.discard(row.scope)
        if rows:
            self._since = self._until = 0

    def now(self) -> Mapping[str, str]:
        """What is set at run time for the ticks to come, by scope."""
        return {scope: text for scope, row in self.rows.items() if (text := row.at(self.next)) is not None}
