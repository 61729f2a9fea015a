"""What came out, against what the self-check's reference makes of the ticks that were sent; the jobs have no say."""

from __future__ import annotations

import asyncio
import json
import time
import urllib.request
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from selfcheck.changes import ChangeCheck
from selfcheck.comparison import TICKS, check_committed, compacted, compare_changes
from selfcheck.exact import Rule
from selfcheck.findings import Findings, Kind
from selfcheck.log import Entry, LogReader
from selfcheck.reference import ChangeReference, SessionReference
from selfcheck.rows import RowCheck
from selfcheck.served import ServedCheck
from selfcheck.snapshots import check_snapshots
from selfcheck.stores import sqlite_rows
from selfcheck.ticks import TickCheck
from tests.processors.rebalance.load import Load
from tests.processors.rebalance.members import THRESHOLD, Member

_PATIENCE = 60.0


@dataclass(frozen=True)
class Judgement:
    """What is wrong, as counts and examples; how many price changes there were, and how many came again."""

    wrong: Mapping[Kind, int]
    examples: Mapping[Kind, Any]
    changes: int
    repeated: int


class OwnReader(LogReader):
    """Reads what is of some codes alone: tests share the topics."""

    def __init__(self, bootstrap: str, codes: Iterable[str]) -> None:
        """Nothing connects before ``async with``."""
        super().__init__(bootstrap)
        self._keys = {code.encode() for code in codes}

    async def read(self, topic: str, partition: int) -> AsyncIterator[list[Entry]]:
        """As ``LogReader.read``, without others' records."""
        async for entries in super().read(topic, partition):
            yield [entry for entry in entries if entry.key in self._keys]


async def settled(bootstrap: str, groups: Sequence[str], running: Sequence[Member]) -> None:
    """Wait until every group has committed all that there is, or nothing is expected to come of waiting longer."""
    until = time.monotonic() + _PATIENCE
    async with LogReader(bootstrap) as reader:
        while time.monotonic() < until:
            ends, done = await reader.ends(TICKS), await reader.committed(groups, TICKS)
            if all(done.get(partition, 0) >= end for partition, end in ends.items()):
                return
            for member in running:
                member.part.check()
            await asyncio.sleep(0.25)


async def judged(
    bootstrap: str,
    load: Load,
    groups: Sequence[str],
    running: Sequence[Member],
    *,
    store: Path,
    served: ServedCheck | None = None,
) -> Judgement:
    """Compare all that was made of a load with what is due.

    Args:
        groups: of every agent that was at work.
        running: the workers that are asked what they serve.
        store: where the rows are.
        served: what was served by a worker that had stood still.
    """
    await settled(bootstrap, groups, running)
    findings = served.findings if served is not None else Findings()
    ticks, sessions = TickCheck(load.ledger(), findings), SessionReference()
    changes = ChangeCheck(ChangeReference(Rule.parse(THRESHOLD)), findings)
    async with OwnReader(bootstrap, load.codes) as reader:
        await compare_changes(reader, ticks, changes, sessions, served=served)
        await check_committed(reader, groups, findings)
        latest = await compacted(reader, findings)
    ticks.finish()
    check_snapshots(sessions.codes, latest, "the topic", findings)
    for member in running:
        if "snapshots" in member.agents:
            check_snapshots(sessions.codes, await _served(member, load), member.part.name, findings)
    own, rows = set(load.codes), RowCheck(ticks, TICKS, findings)
    rows.add(row for row in sqlite_rows(store, findings) if row[0] in own)
    rows.finish()
    assert changes.records > 100, "a load without changes is not a test of them"
    return Judgement(dict(findings.counts), findings.examples, changes.records, changes.repeated)


async def _served(member: Member, load: Load) -> dict[str, Any]:
    def ask() -> dict[str, Any]:
        with urllib.request.urlopen(f"{member.url}/snapshots", timeout=30.0) as answer:  # noqa: S310 - http://
            return {snapshot["code"]: snapshot for snapshot in json.load(answer)["snapshots"]}

    found = await asyncio.to_thread(ask)
    return {code: found[code] for code in load.codes if code in found}
