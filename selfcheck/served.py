"""What a worker serves that stood still and goes on: nothing that is older than what its group has done meanwhile."""

from __future__ import annotations

import asyncio
import json
import time
import urllib.request
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from selfcheck.findings import Findings

Json = dict[str, Any]

POLL_SECONDS = 8.0
"""How long it is asked after it goes on: with what it held from before, a worker answers in the first second."""
_LOOK = 0.2
_TIMEOUT = 10.0


class ServedCheck:
    """Takes snapshots that were served with HTTP 200, and then every tick.

    A group commits a tick when its snapshot is published. So a row that is served must have every tick in it that was
    committed before it was asked for.
    """

    def __init__(self, findings: Findings) -> None:
        """Nothing was served yet."""
        self.answers = 0
        self.findings = findings
        self._shown: dict[tuple[str, int, int], int] = {}
        """By code and place of the row's last tick: up to where ticks were committed when it was asked for."""
        self._by_code: dict[str, list[tuple[int, int, int]]] | None = None

    def add(self, committed: Mapping[int, int], snapshots: Iterable[Json]) -> None:
        """Take one answer.

        Args:
            committed: by partition, the position that was committed before the question.
        """
        self.answers += 1
        for snapshot in snapshots:
            partition, offset = snapshot["origin"]["partition"], snapshot["origin"]["offset"]
            until = committed.get(partition, 0)
            if offset < until - 1:
                place = snapshot["code"], partition, offset
                self._shown[place] = max(until, self._shown.get(place, 0))

    def tick(self, partition: int, offset: int, code: str) -> None:
        """Take a tick that took effect on its code's session, after all answers."""
        if not self._shown:
            return
        if self._by_code is None:
            self._by_code = {}
            for (named, *place), until in self._shown.items():
                self._by_code.setdefault(named, []).append((place[0], place[1], until))
        shown = self._by_code.get(code)
        if not shown:
            return
        old = [one for one in shown if one[0] == partition and one[1] < offset < one[2]]
        if old:
            self.findings.add("served_old", code=code, partition=partition, served=old[0][1], tick=offset)
            self._by_code[code] = [one for one in shown if one not in old]


async def ask(
    url: str, committed: Callable[[], Mapping[int, int]], check: ServedCheck, go_on: Callable[[], None]
) -> None:
    """Ask a worker for all that it serves, again and again, from just before it goes on.

    Args:
        committed: by partition, what its group has committed as of now.
        go_on: has it go on.
    """
    before = committed()
    first = asyncio.create_task(asyncio.to_thread(_snapshots, url))
    await asyncio.sleep(_LOOK)  # the question waits at its door
    go_on()
    until = time.monotonic() + POLL_SECONDS
    check.add(before, await first)
    while time.monotonic() < until:
        before = committed()
        check.add(before, await asyncio.to_thread(_snapshots, url))
        await asyncio.sleep(_LOOK)


def _snapshots(url: str) -> list[Json]:
    """None if it does not serve any."""
    try:
        with urllib.request.urlopen(f"{url}/snapshots", timeout=_TIMEOUT) as answer:  # noqa: S310 - of the stack's own
            snapshots: list[Json] = json.load(answer)["snapshots"]
            return snapshots
    except (OSError, ValueError):
        return []
