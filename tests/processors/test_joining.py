"""Workers that join while others take their partitions up."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from deploy.embedded import KafkaBroker
from processors.options import AGENTS
from tests.processors.test_kill import PARTITIONS, WorkerProcess


@pytest.mark.timeout(240)
async def test_a_worker_that_joins_ends_none_that_seeks_its_offsets(broker: KafkaBroker, tmp_path: Path) -> None:
    """An assignment that overtakes the last one's seek is taken up instead: all run on, and share the work."""
    joined: list[WorkerProcess] = []
    try:
        # The second meets the first in the middle of it; each later one meets all before.
        for name in ("first", "second", "third"):
            joined.append(WorkerProcess(broker.bootstrap, tmp_path, name))  # noqa: PERF401 - what has started is ended
        async with asyncio.timeout(120):
            while True:
                assert [worker.process.poll() for worker in joined] == [None, None, None], "one has ended"
                states = [await worker.status() for worker in joined]
                ready = [state["agents"] for state in states if state and state["recovered"]]
                held = {name: [set(agents[name]["lag"]) for agents in ready] for name in AGENTS}
                if len(ready) == len(joined) and all(
                    sum(map(len, some)) == len(set.union(*some)) == PARTITIONS for some in held.values()
                ):
                    break
                await asyncio.sleep(0.2)
    finally:
        for worker in joined:
            worker.kill()
