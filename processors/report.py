"""What a worker says of itself in its log: now and then, and at its end."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from typing import Any

from broker.events import event

log = logging.getLogger(__name__)

REPORT_SECONDS = 10.0


class Report:
    """Says in the log what a worker has done; ``status`` gives its counters, as ``Parts.status`` does."""

    def __init__(self, status: Callable[[], Mapping[str, Any]], every: float = REPORT_SECONDS) -> None:
        """Say nothing yet; ``every`` is in seconds."""
        self._status = status
        self._every = every

    async def run(self) -> None:
        """Say it now and then, until it is cancelled."""
        ticks = int(self._status()["ticks"])
        while True:
            await asyncio.sleep(self._every)
            now = self._status()
            rate = (int(now["ticks"]) - ticks) / self._every
            ticks = int(now["ticks"])
            log.info(
                "%.0f ticks/s; so far %s; lag %s",
                rate,
                counted(now),
                f"{now['lag_total']:,}",
                extra=event("report", ticks_per_second=round(rate, 1), **_figures(now)),
            )

    def last(self) -> None:
        """Say what was done in all."""
        now = self._status()
        log.info("stopped: %s", counted(now), extra=event("stopped", **_figures(now)))


def _figures(status: Mapping[str, Any]) -> dict[str, int]:
    return {
        name: int(status[counter])
        for name, counter in (
            ("ticks", "ticks"),
            ("stored", "stored"),
            ("changes", "changes"),
            ("repeated", "repeated"),
            ("dead_letters", "dead_letters"),
            ("lag", "lag_total"),
        )
    }


def counted(status: Mapping[str, Any]) -> str:
    """The counters of the agents that run, in words; what went wrong only where something did."""
    agents = status["agents"]
    said = [f"{status['ticks']:,} ticks"]
    said += [
        f"{status[counter]:,} {words}"
        for agent, counter, words in (
            ("storage", "stored", "stored"),
            ("changes", "changes", "price changes"),
            ("snapshots", "snapshots", "snapshots"),
            ("bars", "bars", "bars"),
        )
        if agent in agents
    ]
    said += [
        f"{status[counter]:,} {words}"
        for counter, words in (
            ("repeated", "repeats"),
            ("dead_letters", "dead letters"),
            ("lost_to_retention", "records lost to retention"),
        )
        if status[counter]
    ]
    return ", ".join(said)
