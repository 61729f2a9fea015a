"""What the gateway says of the market and of itself, once a second: session, age, lag, breadth, and what is wrong."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from collections.abc import Mapping
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError

from broker import security
from consumers.gateway.rows import Row
from consumers.gateway.source import GROUP, Seen
from market.prices import to_e4
from market.sessions import Phase, phase_at
from market.times import TimeError, trading_date
from schemas.topics import TICKS

log = logging.getLogger(__name__)

STALE_SECONDS = 1.5
"""Of silence, where ticks came often; where they came seldom, so many of their usual distances:"""
_DISTANCES = 20
_LONGEST_SILENCE = 60.0
LAG_SECONDS = 1.4
"""For how long ticks wait and nothing is committed before that is a problem: workers commit twice a second."""
_ASK_SECONDS = 0.3
_FORGOTTEN_US = 86_400_000_000
"""A line that has been gone for a day is not waited for any more."""
_GRACE_MS = 5 * 60_000
"""After a phase begins, ticks of the one before may still come."""
_MINUTE, _RATE_LOOKS = 60, 3
"""Looks, one a second, that rates are of."""
_STATES = {
    Phase.CLOSED: "closed",
    Phase.OPENING_AUCTION: "auction",
    Phase.PRE_OPEN: "pre_open",
    Phase.MORNING: "morning",
    Phase.LUNCH: "lunch",
    Phase.AFTERNOON: "afternoon",
    Phase.CLOSING_AUCTION: "closing_auction",
    Phase.AFTER_HOURS: "after_hours",
}


class Lag:
    """How many ticks the snapshots agent has still to handle, asked of the broker itself once a second.

    Attributes:
        records: the last answer; ``None`` before there is one, and while none comes.
        since: when (monotonic) it was last seen to be nothing, or less than before; ``None`` before it was.
    """

    def __init__(self, bootstrap: str) -> None:
        """Nothing connects yet."""
        self.records: int | None = None
        self.since: float | None = None
        self._bootstrap = bootstrap
        self._committed = -1
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to ask."""
        self._task = asyncio.create_task(self._run(), name="asking for the lag")

    async def stop(self) -> None:
        """Stop asking."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _run(self) -> None:
        while True:
            consumer = AIOKafkaConsumer(
                **security.options(),
                bootstrap_servers=self._bootstrap.split(","),
                client_id="ashare-gateway-lag",
                group_id=GROUP,
                enable_auto_commit=False,
                auto_offset_reset="none",
            )
            try:
                await consumer.start()
                await self._ask(consumer)
            except (KafkaError, OSError) as error:
                log.debug("the lag is not known: %s", error)
            finally:
                self.records = self.since = None
                await consumer.stop()
            await asyncio.sleep(1.0)

    async def _ask(self, consumer: Any) -> None:
        """Ask on and on; the group is not joined, since nothing is subscribed."""
        while True:
            cluster = await consumer._client.fetch_all_metadata()  # noqa: SLF001 - aiokafka has no public way
            places = [TopicPartition(TICKS, number) for number in sorted(cluster.partitions_for_topic(TICKS) or ())]
            ends = await consumer.end_offsets(places)
            begins = await consumer.beginning_offsets(places)
            found = await consumer._coordinator.fetch_committed_offsets(places)  # noqa: SLF001 - as above
            committed = {place: found[place].offset if place in found else begins[place] for place in places}
            self.records = sum(max(0, ends[place] - max(committed[place], begins[place])) for place in places)
            total = sum(committed.values())
            if not self.records or total != self._committed:
                self.since = time.monotonic()
            self._committed = total
            await asyncio.sleep(_ASK_SECONDS)

    @property
    def waited(self) -> float:
        """Seconds for which ticks have waited without one being handled; 0 where that is not known."""
        return time.monotonic() - self.since if self.records and self.since is not None else 0.0


class Watch:
    """Makes the status."""

    def __init__(self, seen: Seen, lag: Lag) -> None:
        """Over what is read."""
        self._seen, self._lag = seen, lag
        self._counted: deque[tuple[float, int]] = deque(maxlen=_MINUTE)
        self.status: dict[str, Any] = {}
        self.look({}, 0)

    @property
    def ticks(self) -> int:
        """Read since the start."""
        return self._seen.ticks

    def look(self, table: Mapping[str, Row], clients: int) -> dict[str, Any]:
        """The status now, with the rate of the last seconds."""
        seen, now = self._seen, time.time_ns() // 1_000_000
        self._counted.append((time.monotonic(), seen.ticks))
        age = self._age()
        session = self._session(age)
        problems = self.problems()
        latencies = sorted(seen.latencies)
        seen.latencies.clear()
        self.status = {
            "type": "status",
            "time": now,
            "session": session,
            "feed_age_ms": age,
            "stale": bool(problems),
            "problems": problems,
            "lag": self._lag.records,
            "ticks_per_s": round(self._rate(_RATE_LOOKS), 1),
            "latency_ms": {"p50": _at(latencies, 0.5), "p99": _at(latencies, 0.99)},
            "clients": clients,
            "codes": len(table),
            **figures(table.values(), session["day"]),
        }
        return self.status

    def problems(self) -> list[str]:
        """What is wrong now, in words."""
        seen, age = self._seen, self._age()
        found = [f"{name}: {why}" for name, why in sorted(seen.failing.items())]
        if not seen.loaded and not found:
            found.append("the table is being read")
        gone = time.time_ns() // 1000 - _FORGOTTEN_US
        found += [f"line {line} is not connected: {why}" for line, (at, why) in sorted(seen.down.items()) if at > gone]
        if seen.loaded and self._lag.waited > LAG_SECONDS:
            found.append(
                f"the snapshots agent has handled nothing for {self._lag.waited:.1f} s,"
                f" and {self._lag.records:,} ticks wait"
            )
        if age is not None and age / 1000 > self._silence() and self._trading(age):
            found.append(f"no tick for {age / 1000:.1f} s")
        return found

    def _age(self) -> int | None:
        """How long ago the newest tick was received, in ms."""
        received = self._seen.received
        return None if received is None else max(0, (time.time_ns() // 1000 - received) // 1000)

    def _rate(self, looks: int) -> float:
        """Ticks a second over the last looks."""
        counted = self._counted
        if len(counted) < 2:
            return 0.0
        (since, before), (until, now) = counted[max(0, len(counted) - 1 - looks)], counted[-1]
        return (now - before) / (until - since) if until > since else 0.0

    def _silence(self) -> float:
        """Seconds without a tick that are out of the ordinary."""
        rate = self._rate(_MINUTE)
        return min(_LONGEST_SILENCE, max(STALE_SECONDS, _DISTANCES / rate)) if rate else _LONGEST_SILENCE

    def _trading(self, age: int) -> bool:
        """Whether ticks are due: in trading hours, or where they came although there should be none."""
        try:
            if phase_at(self._seen.time + age).continuous:
                return True
            last = phase_at(self._seen.time)
            return not last.continuous and phase_at(self._seen.time - _GRACE_MS) is last
        except (TimeError, ValueError):
            return True

    def _session(self, age: int | None) -> dict[str, Any]:
        """By the market's own time: that of the newest tick, and what has passed since."""
        at = time.time_ns() // 1_000_000 if age is None else self._seen.time + age
        try:
            return {"state": _STATES[phase_at(at)], "day": trading_date(at)}
        except (TimeError, ValueError):
            return {"state": "closed", "day": None}


def figures(rows: Any, day: str | None) -> dict[str, Any]:
    """Breadth, turnover and volume of a session, and how many codes have a gap mark."""
    up = flat = down = limit_up = limit_down = gaps = 0
    turnover = volume = 0.0
    for row in rows:
        record = row.record
        if record.session != day:
            continue
        gaps += record.gap is not None
        turnover += record.turnover or 0.0
        volume += record.volume or 0
        if record.previous_close is not None:
            move = row.price - to_e4(record.previous_close)
            up += move > 0
            down += move < 0
            flat += move == 0
        limit = row.limit
        limit_up += limit == "up"
        limit_down += limit == "down"
    return {
        "gaps": gaps,
        "breadth": {"up": up, "flat": flat, "down": down, "limit_up": limit_up, "limit_down": limit_down},
        "turnover": round(turnover, 2),
        "volume": volume,
    }


def _at(ordered: list[float], share: float) -> float | None:
    return round(ordered[min(len(ordered) - 1, int(len(ordered) * share))], 1) if ordered else None
