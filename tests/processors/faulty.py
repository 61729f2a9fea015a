"""A worker of which one part fails as it does in the field: ``python faulty.py FAULT BOOTSTRAP AGENTS PORT STORE``.

The watchdog's checks are the worker's own; only their patience is cut short.
"""

from __future__ import annotations

import asyncio
import logging
import sys
import time
from collections.abc import Callable
from typing import Any

from broker.http_access import LOOPBACK
from jobs.thresholds import parse_overrides
from processors.streaming import runner as running
from processors.streaming.runner import AgentRunner
from processors.worker import Worker, WorkerOptions, parse_agents

PATIENCE = 3.0


async def forever(*_args: Any, **_kwargs: Any) -> Any:
    """Never answers."""
    await asyncio.Event().wait()


def runner(worker: Worker) -> AgentRunner:
    """Its first agent's."""
    return worker.parts.runners[0]


def client(worker: Worker) -> Any:
    """What the agent uses to talk to Kafka."""
    return runner(worker).consumer._thread


def block_the_loop(_worker: Worker) -> None:
    """A call that does not end, which lets other threads run."""
    time.sleep(600)


def keep_the_interpreter(_worker: Worker) -> None:
    """A call into C that keeps the interpreter's lock: nothing of Python's runs, the watchdog's thread neither."""
    sys.stderr.write(f"{7 ** (7**9) > 0}")


def stop_coordinating(worker: Worker) -> None:
    """The group's task ends, and nobody makes the client anew."""
    client(worker)._upkeep.cancel()
    client(worker)._works = lambda _consumer: True
    client(worker)._consumer._coordinator._coordination_task.cancel()


def never_assign_again(worker: Worker) -> None:
    """A rebalance begins and does not end."""
    client(worker)._rebalance_listener.on_partitions_assigned = forever
    client(worker).rebuild("a test")


def hang_an_agent(worker: Worker) -> None:
    """An agent that does not come back with a chunk."""
    runner(worker).agent.handle = forever  # type: ignore[method-assign]


def never_confirm_a_commit(worker: Worker) -> None:
    """The coordinator does not answer."""
    client(worker).commit = forever


def stop_fetching(worker: Worker) -> None:
    """What asks for more asks no more, in this client and in the next ones, and no task of theirs ends."""
    _deaf(worker)
    connected = client(worker)._connected

    async def deaf() -> Any:
        consumer = await connected()
        asyncio.get_running_loop().call_soon(_deaf, worker)
        return consumer

    client(worker)._connected = deaf


def stop_fetching_once(worker: Worker) -> None:
    """The same, in this client only."""
    _deaf(worker)


def _deaf(worker: Worker) -> None:
    fetching = client(worker)._fetching
    fetching.ask = lambda: None
    fetching._fetcher._proc_fetch_request = forever
    for loop in fetching._loops.values():
        loop.forget()
        loop.ask = lambda: None


def end(task: str) -> Callable[[Worker], None]:
    """One of aiokafka's tasks ends."""

    def ends(worker: Worker) -> None:
        consumer = client(worker)._consumer
        tasks = {
            "metadata": lambda: consumer._client._sync_task,
            "fetcher": lambda: consumer._fetcher._fetch_task,
            "coordination": lambda: consumer._coordinator._coordination_task,
            "heartbeat": lambda: consumer._coordinator._heartbeat_task,
        }
        tasks[task]().cancel()

    return ends


FAULTS: dict[str, Callable[[Worker], None]] = {
    "event loop": block_the_loop,
    "starved": keep_the_interpreter,
    "coordinator": stop_coordinating,
    "rebalance": never_assign_again,
    "progress": hang_an_agent,
    "commit": never_confirm_a_commit,
    "fetch": stop_fetching,
    "fetch once": stop_fetching_once,
    "end metadata": end("metadata"),
    "end fetcher": end("fetcher"),
    "end coordination": end("coordination"),
    "end heartbeat": end("heartbeat"),
    "none": lambda _: None,
}


async def strike(worker: Worker, fault: str) -> None:
    """Wait until the worker works, then have it fail, and the check of that name complain for less time."""
    first = runner(worker)
    while not (first.running and first.recovered and first.handled):  # noqa: ASYNC110 - looked at, not told
        await asyncio.sleep(0.1)
    dog, named = worker.parts.watchdog, {fault, f"{first.agent.name}: {fault}"}
    dog._checks = {name: (check, PATIENCE if name in named else wait) for name, (check, wait) in dog._checks.items()}
    if fault == "starved":
        dog._starved = 2 * PATIENCE
        await asyncio.sleep(2.0)
    sys.stderr.write("struck\n")
    asyncio.get_running_loop().call_soon(FAULTS[fault], worker)


def main(fault: str, bootstrap: str, agents: str, port: str, store: str) -> int:
    """Run it."""
    logging.basicConfig(level=logging.INFO, stream=sys.stderr)
    # Workers of one broker that do not disturb each other.
    running.group_of = lambda agent: f"faulty-{fault.replace(' ', '-')}-{agent}"  # type: ignore[attr-defined]
    thresholds = parse_overrides("0", "")
    options = WorkerOptions(
        bootstrap, parse_agents(agents), store, thresholds, LOOPBACK, int(port), f"http://127.0.0.1:{port}"
    )
    worker = Worker(options)
    started, tasks = worker.start, []

    async def start() -> None:
        await started()
        tasks.append(asyncio.create_task(strike(worker, fault)))

    worker.start = start  # type: ignore[method-assign]
    return worker.run()


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
