"""From places to offsets: where reading begins and ends in each partition, given what log and archive hold."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from ashare_client.errors import ArgumentError, RangeError
from ashare_client.log import Log
from ashare_client.older import Older, Range, shown
from ashare_client.places import Offsets, Place, Time, Word, told

log = logging.getLogger(__name__)

Missing = Literal["raise", "skip"]


@dataclass
class Plan:
    """Where to begin: at `place` in the log, after the ranges `older` of the archive; `skipped` offsets are gone."""

    place: int
    older: list[Range] = field(default_factory=list)
    skipped: int = 0

    @property
    def first(self) -> int:
        """The offset at which reading begins, in the archive or in the log."""
        return self.older[0][0] if self.older else self.place


class Holdings:
    """What log and archive hold of one topic at this moment."""

    def __init__(self, log_: Log, older: Older, missing: Missing) -> None:
        """Nothing is asked yet."""
        self._log = log_
        self._older = older
        self._missing = missing

    async def plans(self, start: Place, partitions: list[int]) -> dict[int, Plan]:
        """Where to begin in each partition that is read.

        Raises:
            ArgumentError: partitions are named that the topic does not have.
            RangeError: what was asked for is gone, or not there yet.
        """
        match start:
            case Offsets(named):
                self._check_named("start", named, partitions)
                ends = await self._log.ends(named)
                for partition, offset in named.items():
                    if offset > ends[partition]:
                        raise self._early("start", partition, offset, ends[partition])
                begins = await self._log.begins(named)
                return {p: self.plan(p, offset, begins[p]) for p, offset in named.items()}
            case Time(ms):
                return await self._plans_at(ms, partitions)
            case Word("latest"):
                return {p: Plan(end) for p, end in (await self._log.ends(partitions)).items()}
            case _:
                begins = await self._log.begins(partitions)
                return {p: self._earliest(p, begin) for p, begin in begins.items()}

    async def ends(self, end: Place, partitions: list[int], *, named: bool) -> dict[int, int]:
        """Where to end in each partition, exclusive.

        Args:
            partitions: those that are read.
            named: whether `start` named them.

        Raises:
            ArgumentError: the end lies in the future, or names other partitions.
            RangeError: an offset is not there yet.
        """
        ends = await self._log.ends(partitions)
        match end:
            case Offsets(wanted):
                if named and wanted.keys() != set(partitions):
                    raise ArgumentError(f"end: name the partitions that start names: {sorted(partitions)}")
                self._check_named("end", wanted, partitions)
                for partition, offset in wanted.items():
                    if offset > ends[partition]:
                        raise self._early("end", partition, offset, ends[partition])
                return dict(wanted)
            case Time(ms):
                if ms > time.time() * 1000:
                    raise ArgumentError("end: it lies in the future: read without an end, or up to 'now'")
                found = await self._log.at(partitions, ms)
                begins = await self._log.begins(partitions)
                older = self._older.at(ms)
                return {
                    p: _first(ends[p], found[p], older.get(p) if (found[p] or 0) <= begins[p] else None)
                    for p in partitions
                }
            case _:
                return ends

    def check_order(self, start: Place, end: Place, plans: Mapping[int, Plan], ends: Mapping[int, int]) -> None:
        """That no partition ends before it begins, now that both places are offsets.

        Raises:
            ArgumentError: one does; the text names both.
            RangeError: what lies before the end is gone.
        """
        named = start.by_partition if isinstance(start, Offsets) else {}
        for partition, plan in sorted(plans.items()):
            first = named.get(partition, plan.first)
            if ends[partition] >= first:
                continue
            text = (
                f"end: {told(end)}, which is offset {ends[partition]:,} of {self._log.topic}/{partition}, lies before"
                f" start: {told(start)}, which is offset {first:,}"
            )
            if start == Word("earliest"):
                raise RangeError(f"{text}: what was before is gone")
            raise ArgumentError(f"{text}: give an end after it")

    def plan(self, partition: int, offset: int, begin: int) -> Plan:
        """How to read a partition from an offset, when the log begins at `begin`.

        Raises:
            RangeError: part of it is nowhere, and `missing` is not `"skip"`.
        """
        if offset >= begin:
            return Plan(offset)
        cover = self._older.cover(partition, offset, begin)
        if cover.holes and self._missing == "raise":
            raise self.gone(partition, cover.holes, begin)
        skipped = sum(end - start for start, end in cover.holes)
        if skipped:
            log.warning("%s/%d: skipped %s, which is gone", self._log.topic, partition, shown(cover.holes))
        return Plan(begin, list(cover.parts), skipped)

    def gone(self, partition: int, holes: Sequence[Range], begin: int) -> RangeError:
        """The error of ranges that are nowhere."""
        place = f"{self._log.topic}/{partition}"
        archive = (
            f"the archive {self._older.directory} holds {shown(self._older.spans(partition))}"
            if self._older.directory is not None
            else "no archive was given (archive=DIR)"
        )
        return RangeError(
            f"{place}: {shown(holes)} is gone: the log begins at {begin:,}, {archive};"
            " missing='skip' reads what there is"
        )

    async def _plans_at(self, ms: int, partitions: list[int]) -> dict[int, Plan]:
        begins, ends = await self._log.begins(partitions), await self._log.ends(partitions)
        found, older = await self._log.at(partitions, ms), self._older.at(ms)
        places = {p: ends[p] if (offset := found[p]) is None else offset for p in partitions}
        # Where the log's oldest record is late enough, one before it may have been, too.
        open_ended = [p for p in partitions if places[p] <= begins[p] and begins[p] > 0]
        kept = not open_ended or ms >= await self._log.keeps_since()
        plans = {}
        for p in partitions:
            begin, spans = begins[p], self._older.spans(p)
            if p in open_ended and p in older and older[p] < begin:
                plans[p] = self.plan(p, older[p], begin)
                continue
            if p in open_ended and not kept and not (spans and spans[-1][1] >= begin) and self._missing == "raise":
                raise self.gone(p, [(spans[-1][1] if spans else 0, begin)], begin)
            plans[p] = Plan(places[p])
        return plans

    def _earliest(self, partition: int, begin: int) -> Plan:
        spans = self._older.spans(partition)
        return self.plan(partition, min(spans[0][0], begin), begin) if spans else Plan(begin)

    def _early(self, argument: str, partition: int, offset: int, end: int) -> RangeError:
        return RangeError(f"{argument}: {self._log.topic}/{partition} ends at {end:,}: {offset:,} is not there yet")

    def _check_named(self, argument: str, named: Mapping[int, int], partitions: list[int]) -> None:
        if unknown := named.keys() - set(partitions):
            raise ArgumentError(
                f"{argument}: {self._log.topic} has no partition {min(unknown)}, or start leaves it out: there are"
                f" {partitions}"
            )


def _first(end: int, in_log: int | None, in_archive: int | None) -> int:
    """The earliest of the offsets that are known, at most the end."""
    return min(offset for offset in (end, in_log, in_archive) if offset is not None)
