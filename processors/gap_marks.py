"""Gap marks: feed events, which tell what is missing, put on the rows that lack it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Generic, Protocol, TypeVar

from jobs.missing import Concerned, rows_of
from processors.streaming.agent import Table
from schemas import FeedEvent


class MarkableRow(Protocol):
    """A row that may bear marks: none while it has no ticks."""

    @property
    def ticks(self) -> int:
        """How much there is to mark."""

    def came_by(self, source: str) -> bool:
        """Whether a tick of the line was applied."""
        ...


R = TypeVar("R", bound=MarkableRow)
R_contra = TypeVar("R_contra", bound=MarkableRow, contravariant=True)


class Marker(Protocol[R_contra]):
    """Takes events in, and marks rows by them (``jobs.missing.Missing`` does for snapshots)."""

    def take(self, event: FeedEvent) -> list[Concerned]:
        """Take one event in; whose marks are to be looked at anew."""

    def mark(self, row: R_contra) -> bool:
        """Mark a row; whether its mark is another than before."""


class GapMarks(Generic[R]):
    """Keeps the marks of this worker's rows as the feed events have them.

    Rows that are restored are marked anew, so an event that came while a partition moved is not missed.
    """

    def __init__(
        self,
        missing: Marker[R],
        table: Table,
        publish: Callable[[int, Iterable[R]], object],
        concerns: Callable[[FeedEvent], bool],
    ) -> None:
        """No partition is this worker's yet.

        Args:
            missing: the job's, which takes the events in.
            publish: given a partition and those of its rows that have another mark than before.
            concerns: whether this group lost what a retention gap is about: its rows do not lack what others lost.
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

    def _mark(self, partition: int, rows: Iterable[R]) -> None:
        moved = [row for row in rows if row.ticks and self._missing.mark(row)]
        if moved:
            self._publish(partition, moved)
