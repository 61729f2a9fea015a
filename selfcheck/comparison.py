"""The whole comparison: ledger against topics, store and snapshots, when everything is through."""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
import urllib.request
from collections.abc import Callable, Sequence
from typing import Any

from deploy.local.stack import Stack
from selfcheck import gaps, missing
from selfcheck.bars import BarCheck
from selfcheck.books import BookCheck
from selfcheck.changes import ChangeCheck
from selfcheck.exact import Rule
from selfcheck.findings import Findings
from selfcheck.ledger import Ledger, Tape
from selfcheck.log import Entry, LogReader
from selfcheck.marks import MarkCheck, due
from selfcheck.missing import Launch
from selfcheck.reference import ChangeReference, SessionReference
from selfcheck.relisting import Relisting
from selfcheck.rising import Rising
from selfcheck.rows import RowCheck
from selfcheck.served import ServedCheck
from selfcheck.snapshots import check_snapshots
from selfcheck.stores import questdb_bars, questdb_rows, sqlite_bars, sqlite_rows
from selfcheck.thresholds import Rules
from selfcheck.ticks import TickCheck
from selfcheck.verdict import Verdict

Json = dict[str, Any]

TICKS = "ashare.ticks.v1"
SNAPSHOTS = "ashare.snapshots.v1"
CHANGES = "ashare.price-changes.v1"
BARS = "ashare.bars-1m.v1"
BARS_STATE = "ashare.bars-1m-state.v1"
DEAD_LETTERS = "ashare.dead-letters.v1"
FEED_EVENTS = "ashare.feed-events.v1"
THRESHOLDS = "ashare.thresholds.v1"
THRESHOLD_MARKS = "ashare.threshold-marks.v1"

_MARKED = 10.0
"""Seconds within which the end of the feed shows in every snapshot that the worker serves."""
_BARS_STORED = 20.0
"""Seconds within which the store has the last bars that were published."""
_PUBLISHED = 1.0
"""Seconds within which they are published."""


async def compare(
    stack: Stack,
    reader: LogReader,
    rule: Rule,
    verdict: Verdict,
    *,
    tape: Tape = "sent",
    relisting: Relisting | None = None,
    launches: Sequence[Launch] = (),
    served: ServedCheck | None = None,
    books: bool = False,
) -> None:
    """Compare everything and enter it into the verdict.

    Args:
        tape: what of the ledger is due.
        launches: of a producer that was killed and started anew; then what nobody got may be missing, if announced.
        served: what a worker served that had stood still.
        books: the book and the day's figures beside each tick too.

    Memory: some thirty bytes a tick, sixteen more with ``books``, and the price changes of one partition at a time.

    Raises:
        LedgerError: the ledger can't be read.
        LogError: a topic can't be read.
    """
    findings = verdict.findings
    folder = stack.plan.directory / "ledger"
    ledger = await asyncio.to_thread(Ledger.read, folder, tape, books=books)
    verdict.sent = ledger.ticks
    events = gaps.read_events(entry.value for entry in await _all(reader, FEED_EVENTS))
    rules = Rules(rule, findings, await _all(reader, THRESHOLDS))
    for entry in await _all(reader, THRESHOLD_MARKS):
        rules.mark(entry)
    verdict.thresholds = rules.settings
    beside = BookCheck(ledger.besides) if books else None
    ticks = TickCheck(ledger, findings, beside)
    changes = ChangeCheck(ChangeReference(rule), findings)
    sessions = SessionReference()
    bars = BarCheck(findings) if any("bars" in agents.split(",") for agents in stack.plan.workers) else None
    await compare_changes(reader, ticks, changes, sessions, rules=rules, served=served, bars=bars)
    if bars is not None:
        verdict.bars = await compare_bars(reader, bars, events)
        if any("bar-store" in agents.split(",") for agents in stack.plan.workers):
            await _compare_stored_bars(stack, reader, bars)
    await check_committed(reader, stack.groups, findings)
    await asyncio.to_thread(_compare_gaps, ledger, events, ticks, launches, verdict)
    if relisting is not None:
        verdict.watchlist = await asyncio.to_thread(relisting.check, folder, ticks.lost, findings)
    verdict.published, verdict.changes = ticks.records - ticks.repeated, changes.records
    verdict.repeated = ticks.repeated + changes.repeated
    verdict.books = None if beside is None else beside.compared
    verdict.missing_announced, verdict.flaws = ticks.told, dict(ticks.flaws)
    verdict.dead_letters = sum((await reader.ends(DEAD_LETTERS)).values())
    verdict.stored = await asyncio.to_thread(_rows, stack, ticks, findings)
    verdict.marks = await _compare_snapshots(stack, reader, MarkCheck(due(events), findings), sessions, findings)


async def compare_changes(
    reader: LogReader,
    ticks: TickCheck,
    changes: ChangeCheck,
    sessions: SessionReference,
    *,
    rules: Rules | None = None,
    served: ServedCheck | None = None,
    bars: BarCheck | None = None,
) -> None:
    """Read the ticks' topic, from which all that is due follows, and compare the changes' topic with it.

    Raises:
        LogError: a topic can't be read.
    """
    for partition in await reader.partitions(TICKS):
        async for entries in reader.read(TICKS, partition):
            for entry in entries:
                tick = ticks.add(entry)
                if tick is None:
                    continue
                if sessions.apply(tick) and served is not None:
                    served.tick(partition, entry.offset, tick["code"])
                if bars is not None:
                    bars.reference.apply(partition, entry.offset, tick)
                changes.tick(entry.offset, tick, None if rules is None else rules.of(partition, entry.offset, tick))
        async for entries in reader.read(CHANGES, partition):
            for entry in entries:
                changes.change(entry)
        changes.finish_partition(partition)


async def compare_bars(reader: LogReader, bars: BarCheck, events: Sequence[Json]) -> int:
    """Compare the bars' topic and state with what the ticks give; gives how many bars were compared.

    Raises:
        LogError: a topic can't be read.
    """
    # What a row says was published is in the topic: rows first.
    for entry in await _all(reader, BARS_STATE):
        bars.row(entry)
    for partition in await reader.partitions(BARS):
        async for entries in reader.read(BARS, partition):
            for entry in entries:
                bars.bar(entry)
    bars.finish(due(events))
    return bars.compared


async def _compare_stored_bars(stack: Stack, reader: LogReader, bars: BarCheck) -> None:
    """Compare the store with the bars' topic, which is at rest but for marks of the feed's end."""
    deadline = time.monotonic() + _BARS_STORED
    while True:
        for partition in await reader.partitions(BARS):
            async for entries in reader.read(BARS, partition):
                for entry in entries:
                    bars.bar(entry)
        if stack.plan.store == "questdb":
            wrong = await asyncio.to_thread(lambda: bars.unlike(questdb_bars(stack.store_url)))
        else:
            wrong = await asyncio.to_thread(lambda: bars.unlike(sqlite_bars(stack.store_directory)))
        if not wrong or time.monotonic() > deadline:
            break
        await asyncio.sleep(_PUBLISHED)
    for example in wrong:
        bars.not_stored(example)


async def check_committed(reader: LogReader, groups: Sequence[str], findings: Findings) -> None:
    """Every group of the workers has committed each partition to its end, and no further."""
    ends = await reader.ends(TICKS)
    for group in groups:
        positions = await reader.committed([group], TICKS)
        for partition, end in ends.items():
            position = positions.get(partition, 0)
            if position != end:
                findings.add(
                    "uncommitted", count=abs(end - position), group=group, partition=partition, at=position, end=end
                )


def _compare_gaps(
    ledger: Ledger, events: Sequence[Json], ticks: TickCheck, launches: Sequence[Launch], verdict: Verdict
) -> None:
    """Compare what was missing with what was announced, and so the ticks with the ledger."""
    findings, folder = verdict.findings, ledger.directory
    if launches:
        restarts = missing.Restarts(launches, events, ticks.heard)
        restarts.check(findings)
        verdict.gaps = gaps.GapCheck(len(restarts.due), restarts.announced, 0)
        ticks.finish(restarts.outages())
        return
    # Of two lines, what one was not sent came by the other.
    was = [] if ledger.tape == "doubled" else gaps.injected(folder)
    verdict.gaps = gaps.check(was, gaps.announced(events), findings)
    if ledger.tape == "sent":
        missing.check_withheld(folder, missing.announced(events), findings)
    ticks.finish()


async def _compare_snapshots(
    stack: Stack, reader: LogReader, marks: MarkCheck, sessions: SessionReference, findings: Findings
) -> int:
    """Compare what is served and what is published; gives how many gap marks there were."""
    served = await _served(stack, marks)
    latest = await compacted(reader, findings, marks.add)
    marks.finish()
    for snapshots, place in (*served, (latest, SNAPSHOTS)):
        check_snapshots(sessions.codes, snapshots, place, findings)
        marks.check(snapshots, place)
    return marks.borne


async def _all(reader: LogReader, topic: str) -> list[Entry]:
    return [
        entry
        for partition in await reader.partitions(topic)
        async for entries in reader.read(topic, partition)
        for entry in entries
    ]


def _rows(stack: Stack, ticks: TickCheck, findings: Findings) -> int:
    rows = RowCheck(ticks, TICKS, findings)
    if stack.plan.store == "questdb":
        rows.add(questdb_rows(stack.store_url, ticks.records))
    else:
        rows.add(sqlite_rows(stack.store_directory, findings))
    rows.finish()
    return rows.rows


async def _served(stack: Stack, marks: MarkCheck) -> list[tuple[dict[str, Json], str]]:
    """By code, every snapshot that each worker with that agent serves, when it had the time to mark the last gap."""
    deadline = time.monotonic() + _MARKED
    while True:
        served = await asyncio.to_thread(_snapshots, stack)
        if time.monotonic() > deadline or not any(marks.wrong(snapshots) for snapshots, _ in served):
            await asyncio.sleep(_PUBLISHED)
            return served
        await asyncio.sleep(_PUBLISHED / 4)


def _snapshots(stack: Stack) -> list[tuple[dict[str, Json], str]]:
    """What each worker with that agent serves: all of the group's snapshots; none if it does not answer."""
    found: list[tuple[dict[str, Json], str]] = []
    for number, (url, agents) in enumerate(zip(stack.workers, stack.plan.workers, strict=True), 1):
        if "snapshots" in agents:
            snapshots: dict[str, Json] = {}
            with (
                contextlib.suppress(OSError, ValueError, KeyError),
                urllib.request.urlopen(f"{url}/snapshots", timeout=30.0) as answer,  # noqa: S310 - http://
            ):
                snapshots = {snapshot["code"]: snapshot for snapshot in json.load(answer)["snapshots"]}
            found.append((snapshots, f"worker {number}"))
    return found


async def compacted(
    reader: LogReader, findings: Findings, each: Callable[[Json], None] = lambda _: None
) -> dict[str, Json]:
    """By code, the last record of each key; ``each`` is given all of them. None may go back."""
    latest: dict[str, Json] = {}
    rising = Rising(findings)
    for partition in await reader.partitions(SNAPSHOTS):
        async for entries in reader.read(SNAPSHOTS, partition):
            for entry in entries:
                key = (entry.key or b"").decode(errors="replace")
                try:
                    if entry.value is None:
                        latest.pop(key, None)
                    else:
                        latest[key] = snapshot = json.loads(entry.value)
                        rising.add(key, snapshot)
                        each(snapshot)
                except (ValueError, TypeError, KeyError):
                    findings.add(
                        "snapshot_mismatches", place=SNAPSHOTS, code=key, why="no snapshot", offset=entry.offset
                    )
    return latest
