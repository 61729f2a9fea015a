"""Waiting for the end: the market has stopped, its ticks are published, every one of them is through the workers."""

from __future__ import annotations

import asyncio
import json
import time
import urllib.request
from pathlib import Path
from typing import Any

from deploy.local.stack import Stack
from selfcheck.ledger import Finished, Tape, finished
from selfcheck.log import LogReader

TICKS = "ashare.ticks.v1"
_COUNTED = ("stored", "ticks", "chunks")
"""Of a worker's ``/status``, what is summed up."""

_LOOK = 0.25
_LATE = 60.0
"""Seconds beyond the asked ones, after which a market that has not stopped never met its client."""
_UNPUBLISHED = 15.0
"""Seconds without a new record, after which what is not in the topic is lost."""
_STUCK = 60.0
"""Seconds without any progress of the workers, after which they are stuck."""


class NotDrainedError(Exception):
    """The pipeline did not come to the end of what it was given; the text says where it stands."""


class Drain:
    """Watches a stack come to the end of its load.

    Attributes:
        stored_at: when the workers' count of stored ticks last rose, µs since the epoch, as often as it was looked at.
        ticks_a_chunk: that a worker was handed at once, on average over the run; ``None`` before the first.
    """

    def __init__(self, stack: Stack, reader: LogReader, ledger: Path, tape: Tape = "sent") -> None:
        """Nothing is looked at yet; ``tape`` is what of the ledger is due."""
        self._stack = stack
        self._reader = reader
        self._ledger = ledger
        self._tape = tape
        self._counts = {url: Counts() for url in stack.workers}
        self._stored = 0
        self.stored_at = 0.0
        self.ticks_a_chunk: float | None = None

    async def market_stopped(self, seconds: float) -> Finished:
        """Wait until the market, which pushes for ``seconds``, has stopped.

        Raises:
            NotDrainedError: it has not, in good time.
            PartError: a part ended.
            LedgerError: the ledger's summary can't be understood.
        """
        deadline = time.monotonic() + seconds + _LATE
        while True:
            sent = finished(self._ledger, self._tape)
            if sent is not None:
                return sent
            if time.monotonic() > deadline:
                raise NotDrainedError(
                    f"the market did not stop within {seconds + _LATE:g} s: did the producer subscribe?"
                )
            await self._look()

    async def drained(self, sent: Finished) -> None:
        """Wait until everything published is committed by every worker; commits follow stores, changes and snapshots.

        Raises:
            NotDrainedError: nothing moves any more, and it is not.
            PartError: a part ended.
        """
        moved, before = time.monotonic(), (-1, -1, -1)
        while True:
            ends = await self._reader.ends(TICKS)
            done = await self._reader.committed(self._stack.groups, TICKS)
            published, behind = sum(ends.values()), sum(end - done.get(number, 0) for number, end in ends.items())
            # Of the whole market, some may never have been anybody's.
            patience = _UNPUBLISHED if self._tape != "market" else _UNPUBLISHED / 3
            complete = published >= sent.ticks or time.monotonic() - moved > patience
            if complete:
                # A market that has ended looks like one that is silent, and a producer would soon say so.
                await asyncio.to_thread(self._stack.end, "producer")
            if behind <= 0 and complete:
                await self._look()
                return
            now = (published, behind, self._stored)
            if now != before:
                moved, before = time.monotonic(), now
            elif time.monotonic() - moved > _STUCK:
                raise NotDrainedError(
                    f"stuck: of {sent.ticks:,} ticks sent {published:,} are published, {behind:,} of these are not"
                    f" committed by {', '.join(self._stack.groups)}; the workers say {self._stored:,} stored"
                )
            await self._look()

    async def _look(self) -> None:
        self._stack.check()
        told = await asyncio.gather(*(asyncio.to_thread(_status, url) for url in self._stack.workers))
        for url, status in zip(self._stack.workers, told, strict=True):
            self._counts[url].add(status)
        stored, ticks, chunks = (sum(one.of(name) for one in self._counts.values()) for name in _COUNTED)
        if chunks:
            self.ticks_a_chunk = round(ticks / chunks, 2)
        if stored > self._stored:
            self._stored, self.stored_at = stored, time.time() * 1e6
        await asyncio.sleep(_LOOK)


class Counts:
    """A worker's counters, over all of its starts."""

    def __init__(self) -> None:
        """It has said nothing yet."""
        self._before = dict.fromkeys(_COUNTED, 0)
        self._now = dict.fromkeys(_COUNTED, 0)

    def add(self, status: dict[str, Any]) -> None:
        """Take what it says of itself: a counter that falls is that of a new process."""
        for name in _COUNTED:
            if name in status:
                count = int(status[name] or 0)
                if count < self._now[name]:
                    self._before[name] += self._now[name]
                self._now[name] = count

    def of(self, name: str) -> int:
        """The counter's sum."""
        return self._before[name] + self._now[name]


def _status(url: str) -> dict[str, Any]:
    """What a worker says of itself, nothing if it does not answer."""
    try:
        with urllib.request.urlopen(f"{url}/status", timeout=2.0) as answer:  # noqa: S310 - http:// of the stack's own
            status: dict[str, Any] = json.load(answer)
            return status
    except (OSError, ValueError):
        return {}
