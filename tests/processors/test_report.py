"""What a worker says of itself in its log."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from typing import Any

import pytest

from processors.report import Report, counted

STATUS: dict[str, Any] = {
    "agents": {"storage": {}, "changes": {}},
    "ticks": 12_000,
    "stored": 11_990,
    "changes": 300,
    "snapshots": 0,
    "repeated": 0,
    "dead_letters": 2,
    "lost_to_retention": 0,
    "lag_total": 10,
}


def test_the_counters_of_the_agents_that_run() -> None:
    """What went wrong is told where something did."""
    assert counted(STATUS) == "12,000 ticks, 11,990 stored, 300 price changes, 2 dead letters"
    assert counted(STATUS | {"agents": {"snapshots": {}}, "dead_letters": 0}) == "12,000 ticks, 0 snapshots"


@pytest.mark.asyncio
async def test_now_and_then_and_at_the_end(caplog: pytest.LogCaptureFixture) -> None:
    """The rate is that since the line before."""
    ticks = iter([1_000, 1_100])
    report = Report(lambda: STATUS | {"ticks": next(ticks, 1_100)}, every=0.05)
    with caplog.at_level(logging.INFO, "processors.report"):
        running = asyncio.create_task(report.run())
        await asyncio.sleep(0.08)
        running.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await running
        report.last()
    first, *_, last = [record.getMessage() for record in caplog.records]
    assert first == "2000 ticks/s; so far 1,100 ticks, 11,990 stored, 300 price changes, 2 dead letters; lag 10"
    assert last == "stopped: 1,100 ticks, 11,990 stored, 300 price changes, 2 dead letters"
