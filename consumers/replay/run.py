"""From what the user asked for to a replay that has run: bounds to offsets, log and archive to records."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from aiokafka import TopicPartition

from broker.reader import ChunkReader
from consumers.replay import plan
from consumers.replay.bounds import Bound, Edge, ExchangeTime, Received
from consumers.replay.controls import Controls
from consumers.replay.outputs.base import Output
from consumers.replay.pace import LONGEST_PAUSE_MS, Pace
from consumers.replay.player import Player, Stock
from consumers.replay.selection import Selection
from consumers.replay.source import Archived, Source
from consumers.replay.through import Through
from market.codes import Board
from schemas import UsageError
from schemas.topics import partition_of, topics

FETCH_BYTES, TYPED_FETCH_BYTES, PACED_FETCH_BYTES = 512 << 10, 256 << 10, 64 << 10
"""Of one partition at once: less where ticks are decoded, which takes five times the memory, and least where a pace is
kept, so that reading holds up no record that is due."""
_SHOWN = 6


@dataclass(frozen=True)
class Request:
    """What to replay, and how.

    Attributes:
        kind: the record type's name in ``topics.yaml``, "" for a topic that is not declared.
        longest_pause: ms; a longer pause between two records is not waited for.
        partial: what neither log nor archive holds is left out, instead of being an error.
        scan: exchange times may be ahead of the receipt by any amount: read from the beginning to find ``start``.
        lateness: ms by which records come in after their exchange time at most; cuts the reading behind ``end``.
    """

    bootstrap: str
    topic: str
    kind: str
    start: Bound = Edge.EARLIEST
    end: Bound = Edge.END
    codes: frozenset[bytes] = frozenset()
    boards: frozenset[Board] = frozenset()
    pace: Pace = field(default_factory=Pace)
    longest_pause: int = LONGEST_PAUSE_MS
    archive: Path | None = None
    partial: bool = False
    scan: bool = False
    lateness: int | None = None


@dataclass(frozen=True)
class Summary:
    """How a replay went."""

    given: int
    left_out: int
    unreadable: int
    repeated: int
    seconds: float
    late: float


class Progress(Protocol):
    """Shows how far a replay is, while it runs."""

    async def show(self, source: Source, player: Player, offsets: int) -> None:
        """Until it is cancelled."""


async def replay(
    request: Request,
    output: Output,
    *,
    controls: Controls,
    say: Callable[[str], None],
    through: Through | None = None,
    progress: Progress | None = None,
) -> Summary:
    """Replay a range into an output.

    Args:
        say: gets a line about where the records come from.

    Raises:
        UsageError: no broker, no such topic, a range that neither log nor archive holds, an output that can't be had.
        ReadError: the log stopped giving what it had.
        DeliveryError: the output's broker did not take what was in hand.
    """
    archive = Archived(request.archive) if request.archive else None
    wants_headers = output.headers or request.kind == ""
    decoded = output.typed or through is not None
    flat_bytes = TYPED_FETCH_BYTES if decoded else FETCH_BYTES
    fetch_bytes = flat_bytes if request.pace.flat else PACED_FETCH_BYTES
    reader = ChunkReader(request.bootstrap, client_id="ashare-replay", headers=wants_headers, fetch_bytes=fetch_bytes)
    async with reader:
        planned = await _planned(request, reader, archive, say)
        source = Source(reader, archive, request.topic, planned.pieces, headers=wants_headers)
        selection = Selection(*_times(request.start, request.end), codes=request.codes, boards=request.boards)
        starts = {p: pieces[0].start if pieces else 0 for p, pieces in planned.pieces.items()}
        player = Player(
            Stock(request.topic, request.kind, starts), source, selection, output,
            pace=request.pace, controls=controls, through=through, longest_pause=request.longest_pause,
        )  # fmt: skip
        begun = time.monotonic()
        showing = asyncio.create_task(progress.show(source, player, planned.records)) if progress else None
        try:
            await player.run()
        finally:
            if showing is not None:
                showing.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await showing
    repeated = through.repeated if through else getattr(output, "repeated", 0)
    seconds = time.monotonic() - begun
    return Summary(player.given, selection.left_out, output.unreadable, repeated, seconds, player.late)


def _times(start: Bound, end: Bound) -> tuple[int | None, int | None, int | None, int | None]:
    """Bounds of exchange time and of receipt, from and to each."""
    return (
        start.ms if isinstance(start, ExchangeTime) else None,
        end.ms if isinstance(end, ExchangeTime) else None,
        start.ms if isinstance(start, Received) else None,
        end.ms if isinstance(end, Received) else None,
    )


async def _planned(
    request: Request, reader: ChunkReader, archive: Archived | None, say: Callable[[str], None]
) -> plan.Plan:
    topic = request.topic
    places = await reader.partitions(topic)
    begins, ends = await reader.begins(places), await reader.ends(places)
    wanted = _partitions(request, len(places))
    holdings = plan.Holdings(
        {tp.partition: (begins[tp], ends[tp]) for tp in places if tp.partition in wanted},
        {p: spans for p, spans in (archive.spans(topic) if archive else {}).items() if p in wanted},
    )
    now = time.time_ns() // 1_000_000
    found = {
        purpose: await _at(reader, places, archive, topic, ms)
        for purpose, ms in plan.lookups(
            request.start, request.end, now=now, scan=request.scan, lateness=request.lateness
        ).items()
    }
    planned = plan.resolve(request.start, request.end, holdings, found, partial=request.partial)
    if planned.missing:
        raise UsageError(_not_held(request, planned, holdings, archive))
    if planned.archived:
        _check_same(request, holdings)
        logged = planned.records - planned.archived
        say(f"{planned.archived:,} offsets from the archive {request.archive}, {logged:,} from the log")
    else:
        say(f"{planned.records:,} offsets from the log")
    return planned


def _check_same(request: Request, holdings: plan.Holdings) -> None:
    """Make sure, as far as offsets tell, that the archive is of this log: those of a topic made anew begin anew."""
    for partition, (_, log_end) in holdings.log.items():
        if 0 < log_end < max((end for _, end in holdings.archive.get(partition, ())), default=0):
            raise UsageError(
                f"--archive {request.archive} has records of {request.topic}/{partition} behind the log's end,"
                f" {log_end:,}: it is another cluster's, or of a topic that was made anew; name the right one"
            )


def _partitions(request: Request, count: int) -> set[int]:
    """Where the records can be: all partitions, or those of the codes, which lie where the contract puts them."""
    if not request.codes or request.boards or request.topic not in topics():
        return set(range(count))
    return {partition_of(code.decode(), count) for code in request.codes}


async def _at(
    reader: ChunkReader, places: list[TopicPartition], archive: Archived | None, topic: str, ms: int
) -> Mapping[int, int]:
    """The first offset received from then on, by partition, wherever it is held."""
    found = {tp.partition: offset for tp, offset in (await reader.at(places, ms)).items()}
    for partition, offset in (archive.at(topic, ms) if archive else {}).items():
        found[partition] = min(offset, found.get(partition, offset))
    return found


def _not_held(request: Request, planned: plan.Plan, holdings: plan.Holdings, archive: Archived | None) -> str:
    """The error's text: what is missing, what there is, what to do."""
    partitions = sorted(planned.missing)
    unknown = [p for p in partitions if p not in holdings.log]
    if unknown:
        return f"{request.topic} has no partition {unknown[0]}: it has 0 to {max(holdings.log)}"
    lacking = "; ".join(f"{p}: {_ranges(planned.missing[p])}" for p in partitions[:_SHOWN])
    log = "; ".join(f"{p}: {_ranges([holdings.log[p]])}" for p in partitions[:_SHOWN])
    more = f" (and {len(partitions) - _SHOWN} partitions more)" if len(partitions) > _SHOWN else ""
    if archive is None:
        kept = "no archive was named: --archive DIR reads one"
    else:
        days = archive.days(request.topic)
        spans = "; ".join(f"{p}: {_ranges(holdings.archive.get(p, ()))}" for p in partitions[:_SHOWN])
        kept = (
            f"the archive {archive.directory} holds {f'{spans}, days {days[0]} to {days[-1]}' if days else 'nothing'}"
        )
    return (
        f"{request.topic}: neither log nor archive holds offsets {lacking}{more}. The log holds {log}; {kept}."
        " Ask for what there is, or --partial to leave out what is not"
    )


def _ranges(ranges: object) -> str:
    shown = [f"{start:,}-{end - 1:,}" for start, end in ranges if start < end]  # type: ignore[attr-defined]
    return ", ".join(shown) or "nothing"
