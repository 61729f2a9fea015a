"""Gap marks: feed events, which tell what is missing, put on the snapshots that lack it."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from jobs.missing import Concerned, Missing, rows_of
from jobs.snapshots import SnapshotRow
from processors.streaming.agent import Table
from schemas import FeedEvent

PublishRows = Callable[[int, Iterable[SnapshotRow]], None]


class GapMarks:
    """Keeps the marks of this worker's snapshots as the feed events have them.

    Rows that are restored are marked anew, so an event that came while a partition moved is not missed.
    """

    def __init__(
        self, missing: Missing, table: Table, publish: PublishRows, concerns: Callable[[FeedEvent], bool]
    ) -> None:
        """No partition is this worker's yet.

        Args:
            missing: the snapshots job's, which takes the events in.
            publish: given a partition and those of its rows that have another mark than before.
            concerns: whether this group lost what a retention gap is about: snapshots do not lack what others lost.
        """
        self._missing, self._table, self._publish, self._concerns = missing, table, publish, concerns
        self._assigned = False

    def assigned(self) -> None:
        """Partitions are this worker's and restored."""
        self._assigned = True
        for partition, rows in self._table.held.items():
            self._mark(partition, rows.values())

    def revoked(self) -> None:
        """Partitions leave."""
        self._assigned = False

    def take(self, event: FeedEvent) -> None:
        """Take one event in."""
        if event.detected == "retention" and not self._concerns(event):
            return
        concerned = self._missing.take(event)
        if self._assigned:
            for one in concerned:
                self._look_at(one)

    def _look_at(self, concerned: Concerned) -> None:
        for partition, rows in rows_of(self._table.held, concerned).items():
            self._mark(partition, rows)

    def _mark(self, partition: int, rows: Iterable[SnapshotRow]) -> None:
        moved = [row for row in rows if row.ticks and self._missing.mark(row)]
        if moved:
            self._publish(partition, moved)
