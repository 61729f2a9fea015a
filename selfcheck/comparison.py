"""The whole comparison: ledger against topics, store and snapshots, when everything is through."""

from __future__ import annotations

import asyncio
import json
import time
import urllib.request
from collections.abc import Callable
from functools import partial
from typing import Any

from deploy.local.stack import Stack
from selfcheck import gaps
from selfcheck.changes import ChangeCheck
from selfcheck.exact import Rule
from selfcheck.findings import Findings
from selfcheck.ledger import Ledger
from selfcheck.log import Entry, LogReader
from selfcheck.marks import MarkCheck, due
from selfcheck.reference import ChangeReference
from selfcheck.relisting import Relisting
from selfcheck.rows import RowCheck
from selfcheck.snapshots import check_snapshots
from selfcheck.stores import questdb_rows, sqlite_rows
from selfcheck.thresholds import Rules
from selfcheck.ticks import TickCheck
from selfcheck.verdict import Verdict

Json = dict[str, Any]

TICKS = "ashare.ticks.v1"
SNAPSHOTS = "ashare.snapshots.v1"
CHANGES = "ashare.price-changes.v1"
DEAD_LETTERS = "ashare.dead-letters.v1"
FEED_EVENTS = "ashare.feed-events.v1"
THRESHOLDS = "ashare.thresholds.v1"
THRESHOLD_MARKS = "ashare.threshold-marks.v1"

_MARKED = 10.0
"""Seconds within which the end of the feed shows in every snapshot that the worker serves."""
_PUBLISHED = 1.0
"""Seconds within which they are published."""


async def compare(
    stack: Stack,
    reader: LogReader,
    rule: Rule,
    verdict: Verdict,
    *,
    doubled: bool = False,
    relisting: Relisting | None = None,
) -> None:
    """Compare everything and enter it into the verdict; ``doubled``: two lines were sent the same ticks.

    Memory: some thirty bytes a tick, and the price changes of one partition at a time.

    Raises:
        LedgerError: the ledger can't be read.
        LogError: a topic can't be read.
    """
    findings = verdict.findings
    folder = stack.plan.directory / "ledger"
    ledger = await asyncio.to_thread(partial(Ledger.read, folder, doubled=doubled))
    verdict.sent = ledger.ticks
    events = [json.loads(entry.value or b"{}") for entry in await _all(reader, FEED_EVENTS)]
    # Of two lines, what one was not sent came by the other.
    verdict.gaps = gaps.check([] if doubled else gaps.injected(folder), gaps.announced(events), findings)
    rules = Rules(rule, findings, await _all(reader, THRESHOLDS))
    for entry in await _all(reader, THRESHOLD_MARKS):
        rules.mark(entry)
    verdict.thresholds = rules.settings
    ticks = TickCheck(ledger, findings)
    changes = ChangeCheck(ChangeReference(rule), TICKS, findings)
    for partition in await reader.partitions(TICKS):
        async for entries in reader.read(TICKS, partition):
            for entry in entries:
                tick = ticks.add(entry)
                if tick is not None:
                    changes.tick(entry.offset, tick, rules.of(partition, entry.offset, tick))
        async for entries in reader.read(CHANGES, partition):
            for entry in entries:
                changes.change(entry)
        changes.finish_partition(partition)
    ticks.finish()
    if relisting is not None:
        verdict.watchlist = await asyncio.to_thread(relisting.check, folder, ticks.lost, findings)
    verdict.published, verdict.changes = ticks.records, changes.records
    verdict.dead_letters = sum((await reader.ends(DEAD_LETTERS)).values())
    verdict.stored = await asyncio.to_thread(_rows, stack, ticks, findings)
    verdict.marks = await _compare_snapshots(stack, reader, MarkCheck(due(events), findings), ledger, findings)


async def _compare_snapshots(
    stack: Stack, reader: LogReader, marks: MarkCheck, ledger: Ledger, findings: Findings
) -> int:
    """Compare what is served and what is published; gives how many gap marks there were."""
    served = await _served(stack, marks)
    latest = await _compacted(reader, findings, marks.add)
    marks.finish()
    for snapshots, place in ((served, "worker"), (latest, SNAPSHOTS)):
        check_snapshots(ledger.sessions.codes, snapshots, place, findings)
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


async def _served(stack: Stack, marks: MarkCheck) -> dict[str, Json]:
    """By code, every snapshot that the worker with that agent serves, when it had the time to mark the last gap."""
    deadline = time.monotonic() + _MARKED
    while True:
        served = await asyncio.to_thread(_snapshots, stack)
        if time.monotonic() > deadline or not marks.wrong(served):
            await asyncio.sleep(_PUBLISHED)
            return served
        await asyncio.sleep(_PUBLISHED / 4)


def _snapshots(stack: Stack) -> dict[str, Json]:
    """Nothing if it does not answer."""
    for url, agents in zip(stack.workers, stack.plan.workers, strict=True):
        if "snapshots" in agents:
            try:
                with urllib.request.urlopen(f"{url}/snapshots", timeout=30.0) as answer:  # noqa: S310 - http://
                    return {snapshot["code"]: snapshot for snapshot in json.load(answer)["snapshots"]}
            except (OSError, ValueError, KeyError):
                return {}
    return {}


async def _compacted(reader: LogReader, findings: Findings, each: Callable[[Json], None]) -> dict[str, Json]:
    """By code, the last record of each key; ``each`` is given all of them."""
    latest: dict[str, Json] = {}
    for partition in await reader.partitions(SNAPSHOTS):
        async for entries in reader.read(SNAPSHOTS, partition):
            for entry in entries:
                key = (entry.key or b"").decode(errors="replace")
                try:
                    if entry.value is None:
                        latest.pop(key, None)
                    else:
                        latest[key] = snapshot = json.loads(entry.value)
                        each(snapshot)
                except ValueError:
                    findings.add("snapshot_mismatches", place=SNAPSHOTS, code=key, why="no JSON", offset=entry.offset)
    return latest
