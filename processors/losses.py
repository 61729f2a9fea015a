"""What this worker's group lost to retention, until an operator takes note of it.

The log was deleted up to behind the committed offset before its records were read: nothing brings them back, and every
figure made of them is too small. So the partition's codes get a gap mark, and health is red until it is acknowledged.
Both are in the topic of feed events, so a restart changes neither.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable, Mapping
from typing import Any

from broker.chunk import Chunk
from jobs.marks import Marked
from processors.events import Teller, group_of
from processors.streaming.groups import earlier_groups_of
from schemas import FeedEvent

log = logging.getLogger(__name__)

REMEMBERED = 1_024
"""Losses that are remembered until they are acknowledged; of more the first are counted, and not named."""
_NAMED = 3


class Losses:
    """The losses of one consumer group that nobody has acknowledged yet. Takes the feed events in, in their order."""

    def __init__(self, group: str, agent: str) -> None:
        """None.

        Args:
            agent: whose group it is; the groups of earlier versions that it was part of lost records for it as well.
        """
        self.group = group
        self._agent = agent
        self._open: dict[str, FeedEvent] = {}
        self._more = 0
        self._told: dict[str, None] = {}

    def take(self, event: FeedEvent) -> None:
        """Take one event in; other events change nothing."""
        if event.event == "gap" and event.detected == "retention" and self.concerns(event):
            if len(self._open) >= REMEMBERED:
                del self._open[next(iter(self._open))]
                self._more += 1
            self._open[event.id or str(event.at)] = event
            if len(self._told) >= REMEMBERED:
                del self._told[next(iter(self._told))]
            self._told[event.reason or ""] = None
        elif event.event == "acknowledged" and event.end is not None:
            self._open = {name: loss for name, loss in self._open.items() if loss.at > event.end}
            self._more = 0

    def concerns(self, event: FeedEvent) -> bool:
        """Whether it was announced by a worker of the group."""
        group = group_of(event.source)
        return group is not None and (group == self.group or group in earlier_groups_of(self._agent, [group]))

    def knows(self, reason: str) -> bool:
        """Whether a loss was told of in these words, which name its offsets: a worker may die before it commits."""
        return reason in self._told

    @property
    def open(self) -> list[FeedEvent]:
        """Those that nobody has acknowledged, in their order."""
        return list(self._open.values())

    @property
    def complaint(self) -> str | None:
        """What health says of them."""
        if not self._open:
            return None
        count = len(self._open) + self._more
        named = "; ".join(loss.reason or "" for loss in list(self._open.values())[:_NAMED])
        return f"{named}{f'; and {count - _NAMED:,} more' if count > _NAMED else ''}: `ashare acknowledge` clears this"


async def tell(teller: Teller, losses: Losses, expected: int, chunk: Chunk, rows: Iterable[Marked]) -> None:
    """Announce, once, that the log begins at a chunk, and lost what lay before it from the expected offset on.

    Returns when the event is acknowledged: what follows in the log may be committed then, and not before.
    """
    known = list(rows)
    codes = sorted(code for row in known if isinstance(code := getattr(row, "code", None), str))
    last = max((received or 0 for row in known for _, _, received in row.marks.values()), default=0)
    until = chunk.timestamps[0] * 1000 if chunk.timestamps else time.time_ns() // 1000
    place, lost = f"{chunk.topic}/{chunk.partition}", chunk.start - expected
    reason = (
        f"retention deleted {lost:,} records of {place} (offsets {expected} to {chunk.start - 1}) before {losses.group}"
        " had read them"
    )
    if losses.knows(reason):
        return
    teller.say(
        "gap",
        reason,
        start=min(last, until),
        end=until,
        codes=codes or "all",
        detected="retention",
        line=place,
        count=lost,
    )
    await teller.told()


def rows_of(tables: Iterable[Mapping[int, Mapping[str, Any]]], partition: int) -> list[Marked]:
    """A partition's rows in the first table that has any of codes."""
    for table in tables:
        rows = [row for row in table.get(partition, {}).values() if isinstance(row, Marked)]
        if rows:
            return rows
    return []
