"""What the gateway reads of Kafka: snapshots into the hub, price changes and feed events to be passed on."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Any

import msgspec

from ashare_client import FeedEvents, PriceChanges, Snapshots
from ashare_client.errors import ClientError
from consumers.gateway.rows import Row
from instruments.known import Known

log = logging.getLogger(__name__)

AGAIN_SECONDS = 1.0
CHANGES = 20_000
EVENTS = 1_000
_LATENCIES = 4_000
_DOWN = frozenset({"disconnected", "refused"})
_UP = frozenset({"connected", "subscribed", "started", "stopped", "switched"})
_encode = msgspec.json.Encoder().encode


@dataclass
class Seen:
    """What was read, as far as the status needs it.

    Attributes:
        received: of the newest tick, µs since the epoch; ``None`` before there is one.
        time: the exchange time of that tick, ms since the epoch.
        ticks: that the rows have counted since the start.
        latencies: ms from the receipt of a tick to here, of the last rows.
        down: lines that are not connected, with the reason.
        failing: what can't be read now, by topic.
        loaded: whether the table was read whole.
    """

    received: int | None = None
    time: int = 0
    ticks: int = 0
    latencies: deque[float] = field(default_factory=lambda: deque(maxlen=_LATENCIES))
    down: dict[str, str] = field(default_factory=dict)
    failing: dict[str, str] = field(default_factory=dict)
    loaded: bool = False


@dataclass(frozen=True, slots=True)
class Change:
    """A price change as it is passed on: ``received`` in µs since the epoch, ``size`` in yuan."""

    code: str
    received: int
    size: float
    body: bytes


class Source:
    """Reads on and on; what can't be read is said in ``seen.failing``, and tried again.

    Attributes:
        changes: the latest price changes, oldest first.
        events: the latest feed events as JSON, oldest first.
    """

    def __init__(
        self,
        bootstrap: str,
        options: dict[str, Any],
        known: Known,
        *,
        taken: Callable[[Iterable[Row]], None],
        renewed: Callable[[Iterable[Row]], None],
        changed: Callable[[list[Change]], None],
        happened: Callable[[bytes], None],
    ) -> None:
        """Nothing connects yet.

        Args:
            taken: gets rows that have changed.
            renewed: gets all rows, at first and when the log was replaced.
            changed: gets price changes.
            happened: gets each feed event that comes, as JSON.
        """
        self.seen = Seen()
        self.changes: deque[Change] = deque(maxlen=CHANGES)
        self.events: deque[bytes] = deque(maxlen=EVENTS)
        self._bootstrap, self._options, self._known = bootstrap, options, known
        self._taken, self._renewed, self._changed, self._happened = taken, renewed, changed, happened
        self._last: dict[str, tuple[str, int]] = {}
        self._tasks: list[asyncio.Task[None]] = []
        self.loaded = asyncio.Event()

    def start(self) -> None:
        """Begin to read."""
        reading = {
            "snapshots": self._snapshots,
            "price changes": self._price_changes,
            "feed events": self._feed_events,
        }
        self._tasks = [
            asyncio.create_task(self._again(name, read), name=f"reading {name}") for name, read in reading.items()
        ]

    async def stop(self) -> None:
        """Stop reading."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _again(self, name: str, read: Callable[[], Awaitable[None]]) -> None:
        """Read until it fails, and then again."""
        while True:
            try:
                await read()
            except ClientError as error:
                if self.seen.failing.get(name) != str(error):
                    log.warning("%s can't be read and are tried again: %s", name, error)
                self.seen.failing[name] = str(error)
            except Exception as error:
                log.exception("reading %s failed and is tried again", name)
                self.seen.failing[name] = repr(error)
            await asyncio.sleep(AGAIN_SECONDS)

    async def _snapshots(self) -> None:
        async with Snapshots(self._bootstrap, options=self._options, malformed="skip") as reader:
            log_id = None
            table = await reader.table()
            self._begin(table.values())
            log_id = reader.log_id
            async with aclosing(reader.batches()) as batches:
                async for batch in batches:
                    if reader.log_id != log_id:
                        log_id = reader.log_id
                        self._begin((await reader.table()).values())
                    else:
                        self._take(batch.records)

    def _begin(self, records: Iterable[Any]) -> None:
        self._last.clear()
        rows = [Row(record, self._known) for record in records]
        for row in rows:
            self._last[row.code] = row.record.session, row.record.ticks
        newest = max((row.record for row in rows), key=lambda record: record.received, default=None)
        if newest is not None:
            self.seen.received, self.seen.time = newest.received, newest.time
        self.seen.failing.pop("snapshots", None)
        self.seen.loaded = True
        self._renewed(rows)
        self.loaded.set()

    def _take(self, records: list[Any]) -> None:
        seen, last, now = self.seen, self._last, time.time_ns() // 1000
        for record in records:
            session, ticks = last.get(record.code, ("", 0))
            seen.ticks += max(0, record.ticks - ticks) if session == record.session else record.ticks
            last[record.code] = record.session, record.ticks
            seen.latencies.append((now - record.received) / 1000)
            if seen.received is None or record.received >= seen.received:
                seen.received, seen.time = record.received, record.time
        self._taken([Row(record, self._known) for record in records])

    async def _price_changes(self) -> None:
        async with PriceChanges(self._bootstrap, options=self._options, malformed="skip", missing="skip") as reader:
            self.seen.failing.pop("price changes", None)
            async with aclosing(reader.batches()) as batches:
                async for batch in batches:
                    some = [
                        Change(record.code, record.received, abs(record.change or 0.0), _encode(record))
                        for record in batch
                    ]
                    self.changes.extend(some)
                    self._changed(some)

    async def _feed_events(self) -> None:
        async with FeedEvents(
            self._bootstrap, options=self._options, malformed="skip", missing="skip", start="earliest"
        ) as reader:
            self.seen.failing.pop("feed events", None)
            begun = time.time_ns() // 1000
            async with aclosing(_records(reader)) as records:
                async for record in records:
                    if record.event in _DOWN:
                        self.seen.down[record.source] = record.reason or record.event
                    elif record.event in _UP:
                        self.seen.down.pop(record.source, None)
                    body = _encode(record)
                    self.events.append(body)
                    if record.at >= begun:
                        self._happened(body)


async def _records(reader: Any) -> AsyncGenerator[Any, None]:
    async with aclosing(reader.batches()) as batches:
        async for batch in batches:
            for record in batch:
                yield record
