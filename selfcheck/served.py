"""What a worker serves that stood still and goes on: nothing that is older than what its group has done meanwhile."""

from __future__ import annotations

import asyncio
import json
import time
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
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

    def add(self, committed: Mapping[int, int], snapshots: Sequence[Json]) -> None:
        """Take one answer; one that is none holds no snapshots.

        Args:
            committed: by partition, the position that was committed before the question.
        """
        self.answers += bool(snapshots)
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
    url: str,
    codes: Sequence[str],
    committed: Callable[[], Mapping[int, int]],
    check: ServedCheck,
    go_on: Callable[[], None],
) -> None:
    """Ask a worker for what it serves, again and again, from just before it goes on.

    Args:
        codes: that it is asked for one by one, beside all at once: what needs no other worker is answered first.
        committed: by partition, what its group has committed as of now.
        go_on: has it go on.
    """
    paths = ["/snapshots", *(f"/snapshots/{code}" for code in codes)]
    loop = asyncio.get_running_loop()
    with ThreadPoolExecutor(len(paths), "asking") as pool:
        until: float | None = None
        while until is None or time.monotonic() < until:
            before = committed()
            answers = [loop.run_in_executor(pool, _snapshots, url + path) for path in paths]
            await asyncio.sleep(_LOOK)
            if until is None:  # these questions wait at its door
                go_on()
                until = time.monotonic() + POLL_SECONDS
            for answer in answers:
                check.add(before, await answer)


def one_of_each_partition(url: str) -> list[str]:
    """Codes that a worker serves: one of each partition; none if it does not answer."""
    return sorted({one["origin"]["partition"]: one["code"] for one in _snapshots(f"{url}/snapshots")}.values())


def _snapshots(url: str) -> list[Json]:
    """None if it does not serve any."""
    try:
        with urllib.request.urlopen(url, timeout=_TIMEOUT) as answer:  # noqa: S310 - http:// of the stack's own
            found: Json = json.load(answer)
            return [found] if "origin" in found else found["snapshots"]
    except (OSError, ValueError, KeyError):
        return []
