"""The demo's live status: what a running pipeline does, measured from outside and shown calmly."""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
import time
import urllib.request
from collections import deque
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

from rich.console import Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from broker import security
from cli.tables import hanging, width
from cli.terminal import console, live
from selfcheck.latency import Latency, LatencyWatch, summary, watched
from selfcheck.log import LogReader

TICKS = "ashare.ticks.v1"
CHANGES = "ashare.price-changes.v1"

_WINDOW = 10
"""Looks over which rates and latencies are taken, one a second: calm, and still soon to show a change."""
_PLAIN_SECONDS = 3.0
"""Seconds between two lines where the output is not a terminal."""


@dataclass(frozen=True)
class Status:
    """One look: totals since the meter began, rates per second and latency over the window."""

    ticks: int
    ticks_rate: float
    stored: int
    stored_rate: float
    changes: int
    changes_rate: float
    lag: int
    latency: Latency


class Meter:
    """Looks at a pipeline once a second: ends of topics, the workers' status, the age of price changes."""

    def __init__(self, bootstrap: str, workers: Sequence[str], rate: float) -> None:
        """Nothing connects before ``async with``; ``rate`` is about what is to come, ticks/s."""
        self._bootstrap = bootstrap
        self._workers = workers
        self._rate = rate
        self._reader = LogReader(bootstrap, security.options())
        self._watch: LatencyWatch | None = None
        self._watching: asyncio.Task[None] | None = None
        self._before = (0, 0)
        self._totals: deque[tuple[float, int, int, int]] = deque(maxlen=_WINDOW + 1)
        self._ages: deque[list[int]] = deque(maxlen=_WINDOW)

    async def __aenter__(self) -> Self:
        """Connect."""
        await self._reader.__aenter__()
        partitions = watched(await self._reader.partitions(CHANGES), self._rate)
        self._watch = LatencyWatch(self._bootstrap, CHANGES, partitions, security.options())
        await self._watch.start()
        self._before = await self._records()
        self._watching = asyncio.create_task(self._watch.run())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Disconnect."""
        if self._watching is not None:
            self._watching.cancel()
            await asyncio.gather(self._watching, return_exceptions=True)
        if self._watch is not None:
            await self._watch.stop()
        await self._reader.__aexit__(kind, error, trace)

    async def look(self) -> Status:
        """Take a look; to be called once a second."""
        ticks, changes = (now - then for now, then in zip(await self._records(), self._before, strict=True))
        said = await asyncio.gather(*(asyncio.to_thread(_status, url) for url in self._workers))
        stored = sum(int(status.get("stored") or 0) for status in said)
        lag = sum(_lag(status.get("lag")) for status in said)
        if self._watch is not None:
            self._ages.append(self._watch.take())
        now = time.monotonic()
        self._totals.append((now, ticks, stored, changes))
        before = self._totals[0]
        passed = max(now - before[0], 1e-9)
        return Status(
            ticks=ticks,
            ticks_rate=(ticks - before[1]) / passed,
            stored=stored,
            stored_rate=(stored - before[2]) / passed,
            changes=changes,
            changes_rate=(changes - before[3]) / passed,
            lag=lag,
            latency=summary([age for ages in self._ages for age in ages]),
        )

    async def _records(self) -> tuple[int, int]:
        """How many ticks and changes there have ever been."""
        ends = [await self._reader.ends(topic) for topic in (TICKS, CHANGES)]
        return sum(ends[0].values()), sum(ends[1].values())


def plain(status: Status) -> str:
    """The status as one line."""
    return (
        f"in {status.ticks_rate:,.0f}/s ({status.ticks:,})   stored {status.stored_rate:,.0f}/s ({status.stored:,})"
        f"   changes {status.changes_rate:,.0f}/s ({status.changes:,})   lag {status.lag:,}"
        f"   {_latency(status.latency)}"
    )


def panel(status: Status | None, begun: float) -> Group:
    """The status as a few quiet lines for a terminal."""
    figures = Table.grid(padding=(0, 3))
    figures.add_column(style="bold")
    figures.add_column(justify="right", min_width=12)
    figures.add_column(justify="right", style="dim", min_width=14)
    if status is not None:
        figures.add_row("ticks in", f"{status.ticks_rate:,.0f} /s", f"{status.ticks:,}")
        figures.add_row("stored", f"{status.stored_rate:,.0f} /s", f"{status.stored:,}")
        figures.add_row("price changes", f"{status.changes_rate:,.0f} /s", f"{status.changes:,}")
        figures.add_row("lag", f"{status.lag:,}", "")
        p50, p99 = status.latency.p50, status.latency.p99
        figures.add_row(
            "socket to reader", "–" if p50 is None else f"p50 {p50:g} ms", "" if p99 is None else f"p99 {p99:g} ms"
        )
    title = Text(f"ashare demo · {time.monotonic() - begun:,.0f} s · Ctrl-C ends it", style="dim")
    return Group(Text(), title, Text(), figures)


async def show(
    meter: Meter,
    where: Sequence[tuple[str, str]],
    check: Callable[[], None],
    stop: asyncio.Event,
) -> Status | None:
    """Show the status until told to stop; gives the last one.

    Where to look stands above it, printed once: what is to be copied is not wrapped.

    Args:
        where: what is to be found where, a line each.
        check: called every second; what it raises ends the show.
    """
    begun = time.monotonic()
    for what, place in where:
        print(f"{what:<10} {place}", flush=True)
    status: Status | None = None
    if not live(sys.stdout):
        said = -_PLAIN_SECONDS
        async for status in _looks(meter, check, stop):
            if time.monotonic() - said >= _PLAIN_SECONDS:
                said = time.monotonic()
                print("\n".join(hanging(plain(status), width())), flush=True)
        return status
    with Live(panel(None, begun), console=console(), auto_refresh=False, transient=False) as shown:
        async for status in _looks(meter, check, stop):
            shown.update(panel(status, begun), refresh=True)
    return status


async def _looks(meter: Meter, check: Callable[[], None], stop: asyncio.Event) -> AsyncIterator[Status]:
    await meter.look()
    while not stop.is_set():
        check()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), 1.0)
        yield await meter.look()


def _status(url: str) -> dict[str, Any]:
    try:
        with urllib.request.urlopen(f"{url}/status", timeout=2.0) as answer:  # noqa: S310 - http:// of our own worker
            status: dict[str, Any] = json.load(answer)
            return status
    except (OSError, ValueError):
        return {}


def _lag(lag: object) -> int:
    """The sum of a worker's lag, however deep it is grouped."""
    if isinstance(lag, dict):
        return sum(_lag(part) for part in lag.values())
    return lag if isinstance(lag, int) else 0


def _latency(latency: Latency) -> str:
    return "latency –" if latency.p50 is None else f"latency p50 {latency.p50:g} ms, p99 {latency.p99:g} ms"
