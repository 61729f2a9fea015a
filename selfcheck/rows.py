"""The rows of a store against the records of the ticks topic."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Any

from selfcheck.findings import Findings
from selfcheck.ticks import COLUMNS, Identity, TickCheck, row_mark

Row = tuple[Any, ...]
"""A row: the values of ``COLUMNS``, then topic, partition, offset and timestamp (ms) of its place in Kafka."""


class RowCheck:
    """Every record of the topic in one row, equal in every field; and no other row.

    A record that the producer sent again has one row for both, at the place of either.
    """

    def __init__(self, ticks: TickCheck, topic: str, findings: Findings) -> None:
        """Nothing was read yet; ``ticks`` holds the whole topic."""
        self.rows = 0
        self._ticks = ticks
        self._topic = topic
        self._findings = findings
        repeated = set(ticks.copies.values())
        self._at_first: Counter[Identity] = Counter(dict.fromkeys(repeated, 0))
        self._at_copy: Counter[Identity] = Counter()

    def add(self, rows: Iterable[Row]) -> None:
        """Take rows, in any order."""
        width = len(COLUMNS)
        for row in rows:
            self.rows += 1
            topic, number, offset, timestamp = row[width:]
            partition = self._ticks.partitions.get(number)
            index = offset - partition.first if partition else -1
            if topic != self._topic or partition is None or not 0 <= index < len(partition.marks):
                self._wrong("no such record in the topic", row)
                continue
            if partition.marks[index] != row_mark((*row[:width], timestamp)):
                self._wrong("fields differ from the record", row)
            elif partition.seen[index]:
                self._wrong("a second row for the record", row)
            elif self._at_first:
                self._repeated(row, (number, offset))
            partition.seen[index] = 1

    def _repeated(self, row: Row, place: tuple[int, int]) -> None:
        identity: Identity = row[5:8]
        if identity in self._at_first:
            if self._at_first[identity] + self._at_copy[identity]:
                self._wrong("a second row for a tick that was sent again", row)
            (self._at_copy if place in self._ticks.copies else self._at_first)[identity] += 1

    def finish(self) -> None:
        """Count the records that have no row."""
        missing = 0
        example: dict[str, int] = {}
        for number, partition in self._ticks.partitions.items():
            index = partition.seen.find(0)
            while index >= 0:
                place = (number, partition.first + index)
                if place not in self._ticks.copies:
                    missing += 1
                    example = example or {"partition": place[0], "offset": place[1]}
                index = partition.seen.find(0, index + 1)
        # The row of a tick that was sent again may stand at the copy's place; its first place is then not missing.
        missing -= sum(1 for identity in self._at_copy if not self._at_first[identity])
        if missing > 0:
            self._findings.add("store_mismatches", count=missing, why="no row for the record", first=example)

    def _wrong(self, why: str, row: Row) -> None:
        names = (*COLUMNS, "kafka_topic", "kafka_partition", "kafka_offset", "kafka_timestamp")
        self._findings.add("store_mismatches", why=why, row=dict(zip(names, row, strict=True)))
