"""Gap marks: feed events, which tell what is missing, put on the snapshots that lack it."""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from jobs.missing import Concerned, Missing
from jobs.snapshots import SnapshotRow
from processors.events import group_of
from processors.streaming.follower import Follower
from processors.streaming.tables import StateTable
from schemas import FeedEvent, RecordError, decode
from schemas.topics import FEED_EVENTS, SNAPSHOTS, partition_of, topics

log = logging.getLogger(__name__)

Publish = Callable[[int, Iterable[SnapshotRow]], None]


class GapMarks:
    """Keeps the marks of this worker's snapshots as the feed events have them.

    Rows that are restored are marked anew, so an event that came while a partition moved is not missed.
    """

    def __init__(
        self,
        bootstrap: str,
        missing: Missing,
        table: StateTable,
        publish: Publish,
        *,
        group: str,
        also: Callable[[FeedEvent], None],
    ) -> None:
        """Nothing connects before ``start``.

        Args:
            missing: the snapshots job's, which takes the events in.
            publish: given a partition and those of its rows that have another mark than before.
            group: of this worker: what another group lost to retention, these snapshots do not lack.
            also: given every event.
        """
        self._missing, self._table, self._publish = missing, table, publish
        self._group, self._also = group, also
        self._follower = Follower(bootstrap, FEED_EVENTS, self._took)
        self._assigned = False

    async def start(self) -> None:
        """Read all events that there are, then follow.

        Raises:
            KafkaError, TimeoutError: the broker stops answering.
        """
        await self._follower.start()

    async def stop(self) -> None:
        """Stop following."""
        self._assigned = False
        await self._follower.stop()

    def reread(self) -> None:
        """Another log stands behind the events' name: read it from its beginning."""
        self._follower.reread()

    def assigned(self) -> None:
        """Partitions are this worker's and restored."""
        self._assigned = True
        for partition, rows in self._table.partitions_held.items():
            self._mark(partition, rows.values())

    def forget(self) -> None:
        """Partitions were revoked."""
        self._assigned = False

    def _took(self, records: Sequence[Any], _position: int) -> None:
        for record in records:
            try:
                event = decode(FeedEvent, record.value or b"")
            except RecordError as error:
                log.error("%s: a record is no event: offset %d: %s", FEED_EVENTS, record.offset, error)  # noqa: TRY400
                continue
            self._also(event)
            if event.detected == "retention" and group_of(event.source) != self._group:
                continue
            concerned = self._missing.take(event)
            if self._assigned:
                for one in concerned:
                    self._look_at(one)

    def _look_at(self, concerned: Concerned) -> None:
        held = self._table.partitions_held
        if concerned.codes is None:
            for partition, by_code in held.items():
                self._mark(partition, [row for row in by_code.values() if row.came_by(concerned.source)])
            return
        count = topics()[SNAPSHOTS].partitions
        found: defaultdict[int, list[SnapshotRow]] = defaultdict(list)
        for code in concerned.codes:
            partition = partition_of(code, count)
            row = held.get(partition, {}).get(code)
            if row is not None:
                found[partition].append(row)
        for partition, rows in found.items():
            self._mark(partition, rows)

    def _mark(self, partition: int, rows: Iterable[SnapshotRow]) -> None:
        moved = [row for row in rows if row.ticks and self._missing.mark(row)]
        if moved:
            self._publish(partition, moved)
