"""Workers that join while others take their partitions up."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from deploy.embedded import KafkaBroker, free_port
from processors.options import AGENTS
from tests.processors.test_kill import PARTITIONS, WorkerProcess

ROOT = Path(__file__).parents[2]


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


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_worker_that_is_asked_to_end_while_it_starts_ends_in_order(tmp_path: Path, number: signal.Signals) -> None:
    """Its web server answers before anything else is there; whoever sees it answer may send the signal."""
    port, log = free_port(), tmp_path / "log"
    command = [sys.executable, "-P", "-m", "cli", "process", "--bootstrap", "127.0.0.1:1", "--web-port", str(port)]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("ASHARE_")}
    with log.open("wb") as output:
        process = subprocess.Popen(
            command, cwd=tmp_path, stdout=output, stderr=output, env=environment | {"PYTHONPATH": str(ROOT)}
        )
    try:
        deadline = time.monotonic() + 60
        while not _listens(port):
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < deadline
            time.sleep(0.01)
        process.send_signal(number)
        assert process.wait(30) == 0, log.read_text()
        assert "Traceback" not in log.read_text()
    finally:
        process.kill()
        process.wait()


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
