"""Workers as processes: the members of the agents' consumer groups."""

from __future__ import annotations

import asyncio
import contextlib
import time
import urllib.error
import urllib.request
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from aiokafka.errors import KafkaError

from deploy.embedded.server import HOST, free_port
from deploy.local.groups import groups_of
from deploy.local.part import Part
from schemas.topics import TICKS
from selfcheck.log import LogReader

ALL = "snapshots,storage,changes"
THRESHOLD = "2ticks"
UP_SECONDS = 120.0
_LEAVE_SECONDS = 5.0
STOP_SECONDS = 15.0
"""Within which a worker that is asked to end has done what it holds, committed it and left."""


class Member:
    """One ``ashare process``, which can be started again on its port."""

    def __init__(self, bootstrap: str, directory: Path, agents: str = ALL, *options: str) -> None:
        """Started at once."""
        self.agents = agents
        self.port = free_port()
        self._log = directory / f"{self.port}.log"
        self._arguments = [
            *("process", "--bootstrap", bootstrap, "--agents", agents, "--threshold", THRESHOLD),
            *("--store", f"sqlite:///{directory / 'store'}", "--web-port", str(self.port), *options),
        ]
        self.start()

    def start(self) -> None:
        """Start it, or start it again."""
        self.part = Part(f"worker {self.agents}", self._arguments, self._log)

    @property
    def url(self) -> str:
        """Where its HTTP answers."""
        return f"http://{HOST}:{self.port}"

    @property
    def well(self) -> bool:
        """Whether it has its partitions, and complains of nothing."""
        try:
            with urllib.request.urlopen(f"{self.url}/health", timeout=2.0) as answer:  # noqa: S310 - http://
                return bool(answer.status == 200)
        except OSError:
            return False


@contextlib.contextmanager
def members(bootstrap: str, directory: Path, agents: Sequence[str], *options: str) -> Iterator[list[Member]]:
    """Workers that share the partitions; whichever are in the list at the end are ended, and so leave their groups."""
    started: list[Member] = []
    try:
        for some in agents:
            started.append(Member(bootstrap, directory, some, *options))  # noqa: PERF401 - what has started is ended
        yield started
    finally:
        for member in started:
            member.part.ask_to_end()
        until = time.monotonic() + _LEAVE_SECONDS
        for member in started:
            member.part.end(until - time.monotonic())


async def up(some: Iterable[Member]) -> list[str]:
    """Wait until all are well; gives the groups that they are in."""
    waiting, until = list(some), time.monotonic() + UP_SECONDS
    urls = [member.url for member in waiting]
    while waiting:
        await asyncio.sleep(0.1)
        for member in waiting:
            member.part.check()
            if time.monotonic() > until:
                raise member.part.failure(f"was not well after {UP_SECONDS:g} s")
        waiting = [member for member in waiting if not await asyncio.to_thread(lambda one: one.well, member)]
    return await asyncio.to_thread(groups_of, urls)


async def begun(bootstrap: str, some: Sequence[Member]) -> list[str]:
    """Wait until all groups of the members have begun to commit, well or not yet; gives the groups."""
    groups: list[str] = []
    before: dict[str, int] = {}
    async with asyncio.timeout(UP_SECONDS), LogReader(bootstrap) as reader:
        while True:
            for member in some:
                member.part.check()
            # A broker whose first group this is has no coordinator yet.
            with contextlib.suppress(OSError, KafkaError):
                groups = groups or await asyncio.to_thread(groups_of, [member.url for member in some])
                done = {name: sum((await reader.committed([name], TICKS)).values()) for name in groups}
                before = before or done
                if all(done[name] > before[name] for name in groups):
                    return groups
            await asyncio.sleep(0.05)


async def stopped(some: Iterable[Member]) -> None:
    """Have members end with SIGTERM, all at once; each has to end by itself, in time and with code 0."""
    ending = list(some)
    for member in ending:
        member.part.ask_to_end()
    clean = await asyncio.gather(*(asyncio.to_thread(member.part.end, STOP_SECONDS) for member in ending))
    for member, by_itself in zip(ending, clean, strict=True):
        if not by_itself:
            raise member.part.failure(f"did not end within {STOP_SECONDS:g} s of SIGTERM")
        if member.part.code:
            raise member.part.failure(f"ended with code {member.part.code} after SIGTERM")
