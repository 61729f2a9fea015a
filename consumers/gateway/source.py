"""What the gateway reads of Kafka, by one consumer: ticks, of which it makes the snapshots, price changes, feed events.

The snapshots are made by the worker's own job from the worker's own beginnings, its published rows and committed
offsets, so that they are the worker's; and as they need no worker, they go on when it stands still.
"""

from __future__ import annotations

import asyncio
import logging
import math
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from aiokafka import TopicPartition
from aiokafka.errors import KafkaError

from broker.background import ended
from broker.chunk import Chunk
from broker.errors import BrokerError
from broker.groups import committed
from broker.probe import LogId, Probe, ProbeError
from broker.reader import ChunkReader, whole
from consumers.gateway.rows import Row
from instruments.known import Known
from jobs.missing import Missing, rows_of
from jobs.snapshots import SnapshotRow, Snapshots
from schemas import FeedEvent, PriceChange, RecordError, UsageError, decode, encode
from schemas.topics import FEED_EVENTS, PRICE_CHANGES, SNAPSHOTS, TICKS

log = logging.getLogger(__name__)

GROUP = "ashare-snapshots"
AGAIN_SECONDS = 1.0
CHANGES = 20_000
EVENTS = 1_000
_CLIENT = "ashare-gateway"
_ENDLESS = 1 << 62
_LATENCIES = 4_000
_LOOK_SECONDS = 2.0
"""Between two looks at which log stands behind the ticks."""
_DOWN = frozenset({"disconnected", "refused"})
_UP = frozenset({"connected", "subscribed", "resubscribed", "started", "stopped", "switched"})


@dataclass
class Seen:
    """What was read, as far as the status needs it.

    Attributes:
        received: of the newest tick, µs since the epoch; ``None`` before there is one.
        time: the exchange time of that tick, ms since the epoch.
        ticks: read since the start.
        latencies: ms from the receipt of a tick to here, one of each chunk.
        down: lines that are not connected, with since when (µs since the epoch) and the reason.
        failing: what can't be read now, by name.
        loaded: whether the table was read whole.
    """

    received: int | None = None
    time: int = 0
    ticks: int = 0
    latencies: deque[float] = field(default_factory=lambda: deque(maxlen=_LATENCIES))
    down: dict[str, tuple[int, str]] = field(default_factory=dict)
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
    """Reads on and on; what can't be read is said in ``seen.failing``, and tried again from a new table.

    Attributes:
        changes: the latest price changes, oldest first.
        events: the latest feed events as JSON, oldest first.
        loaded: set once the table was read whole.
    """

    def __init__(
        self,
        bootstrap: str,
        known: Known,
        *,
        renewed: Callable[[Iterable[Row]], None],
        changed: Callable[[list[Change]], None],
        happened: Callable[[bytes], None],
    ) -> None:
        """Nothing connects yet.

        Args:
            bootstrap: brokers.
            known: facts of instruments.
            renewed: gets all rows, at first and whenever the table was read anew.
            changed: gets price changes.
            happened: gets each feed event that comes, as JSON.
        """
        self.seen = Seen()
        self.changes: deque[Change] = deque(maxlen=CHANGES)
        self.events: deque[bytes] = deque(maxlen=EVENTS)
        self.loaded = asyncio.Event()
        self._bootstrap, self._known = bootstrap, known
        self._renewed, self._changed, self._happened = renewed, changed, happened
        self._job = Snapshots()
        self._held: dict[int, dict[str, SnapshotRow]] = {}
        self._touched: dict[str, SnapshotRow] = {}
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to read."""
        self._task = asyncio.create_task(self._again(), name="reading Kafka")

    async def stop(self) -> None:
        """Stop reading."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    def hand_over(self) -> list[Row]:
        """The rows that have changed since the last call, each once, as it is now; in the order of the first change."""
        touched, self._touched = self._touched, {}
        return [Row(row.record(), self._known) for row in touched.values() if row.ticks]

    async def _again(self) -> None:
        """Read until it fails, and then again."""
        while True:
            try:
                await self._read()
            except (KafkaError, BrokerError, UsageError, OSError) as error:
                if self.seen.failing.get("Kafka") != str(error):
                    log.warning("Kafka can't be read and is tried again: %s", error)
                self.seen.failing["Kafka"] = str(error) or repr(error)
            except Exception as error:
                log.exception("reading failed and is tried again")
                self.seen.failing["Kafka"] = repr(error)
            await asyncio.sleep(AGAIN_SECONDS)

    async def _read(self) -> None:
        before = await self._log_id()
        done = (await committed(self._bootstrap, GROUP)).get(GROUP, {})
        job, held = Snapshots(Missing()), await self._restored()
        self._job, self._held, self._touched = job, held, {}
        async with ChunkReader(self._bootstrap, client_id=_CLIENT, patience=math.inf) as reader:
            starts = await self._starts(reader, done)
            ends = await reader.ends([tp for tp in starts if tp.topic in {TICKS, FEED_EVENTS}])
            # Events first: a session that begins is marked by them.
            events = {tp: (starts.pop(tp), end) for tp, end in ends.items() if tp.topic == FEED_EVENTS}
            self.seen.down.clear()
            self.events.clear()
            reader.assign(events)
            while reader.left:
                for chunk in await reader.fetch():
                    self._take_events(chunk, new=False)
            for rows in held.values():
                for row in rows.values():
                    job.missing.mark(row)
            starts |= {tp: end for tp, (_, end) in events.items()}
            due = {tp: end for tp, end in ends.items() if tp.topic == TICKS and starts[tp] < end}
            reader.assign({tp: (start, _ENDLESS) for tp, start in starts.items()})
            self.changes.clear()
            if not due:
                self._begin()
            looking = asyncio.create_task(self._replaced(before, reader), name="looking which log it is")
            try:
                await self._follow(reader, due, looking)
            finally:
                looking.cancel()
                await asyncio.gather(looking, return_exceptions=True)

    async def _restored(self) -> dict[int, dict[str, SnapshotRow]]:
        """The published rows, by partition."""
        held: dict[int, dict[str, SnapshotRow]] = {}
        async for chunk in whole(self._bootstrap, SNAPSHOTS, client_id=_CLIENT):
            rows = held.setdefault(chunk.partition, {})
            for key, value in zip(chunk.keys, chunk.values, strict=True):
                if value is None:
                    rows.pop((key or b"").decode("utf-8", "replace"), None)
                    continue
                try:
                    code, row = self._job.restore(value)
                except RecordError as error:
                    log.warning("a record of %s/%d is passed over: %s", SNAPSHOTS, chunk.partition, error)
                    continue
                rows[code] = row
            await asyncio.sleep(0)
        return held

    async def _starts(self, reader: ChunkReader, done: Mapping[TopicPartition, Any]) -> dict[TopicPartition, int]:
        """Where to begin: with ticks where the worker has committed, with the latest changes, with all events."""
        starts: dict[TopicPartition, int] = {}
        for topic in (TICKS, FEED_EVENTS, PRICE_CHANGES):
            places = await reader.partitions(topic)
            begins, ends = await reader.begins(places), await reader.ends(places)
            for tp in places:
                start = begins[tp]
                if topic == TICKS and tp in done and done[tp].offset <= ends[tp]:
                    start = max(start, done[tp].offset)
                elif topic == PRICE_CHANGES:
                    start = max(start, ends[tp] - CHANGES // len(places))
                starts[tp] = start
        return starts

    async def _follow(self, reader: ChunkReader, due: dict[TopicPartition, int], looking: asyncio.Task[None]) -> None:
        """Take what comes, until another log stands behind the ticks or the client is broken."""
        while True:
            fetching = asyncio.ensure_future(reader.fetch())
            try:
                await asyncio.wait({fetching, looking}, return_when=asyncio.FIRST_COMPLETED)
                if looking.done():
                    looking.result()
                    return
                chunks = fetching.result()
            finally:
                fetching.cancel()
            for chunk in chunks:
                self._take(chunk)
                place = TopicPartition(chunk.topic, chunk.partition)
                if place in due and chunk.end >= due[place]:
                    del due[place]
                    if not due:
                        self._begin()

    def _begin(self) -> None:
        """The table is what the log held when it was begun with."""
        rows = [
            Row(row.record(), self._known) for by_code in self._held.values() for row in by_code.values() if row.ticks
        ]
        self._touched.clear()
        newest = max((row.record for row in rows), key=lambda record: record.received, default=None)
        if newest is not None and (self.seen.received is None or newest.received > self.seen.received):
            self.seen.received, self.seen.time = newest.received, newest.time
        self.seen.failing.pop("Kafka", None)
        self.seen.loaded = True
        self._renewed(rows)
        self.loaded.set()

    def _take(self, chunk: Chunk) -> None:
        if chunk.topic == TICKS:
            self._take_ticks(chunk)
        elif chunk.topic == FEED_EVENTS:
            self._take_events(chunk, new=True)
        else:
            self._take_changes(chunk)

    def _take_ticks(self, chunk: Chunk) -> None:
        rows = self._held.setdefault(chunk.partition, {})
        for row in self._job.apply(rows, chunk):
            self._touched[row.code] = row
        seen = self.seen
        seen.ticks += len(chunk)
        last = next((tick for tick in reversed(chunk.ticks) if tick is not None), None)
        if last is not None:
            seen.latencies.append(time.time_ns() / 1e6 - last.received / 1000)
            if seen.received is None or last.received >= seen.received:
                seen.received, seen.time = last.received, last.time

    def _take_changes(self, chunk: Chunk) -> None:
        some: list[Change] = []
        for value in chunk.values:
            try:
                record = decode(PriceChange, value)
            except RecordError:
                continue
            some.append(Change(record.code, record.received, abs(record.change or 0.0), encode(record)))
        self.changes.extend(some)
        self._changed(some)

    def _take_events(self, chunk: Chunk, *, new: bool) -> None:
        for value in chunk.values:
            try:
                event = decode(FeedEvent, value)
            except RecordError:
                continue
            if event.event in _DOWN:
                self.seen.down[event.source] = event.at, event.reason or event.event
            elif event.event in _UP:
                self.seen.down.pop(event.source, None)
            body = encode(event)
            self.events.append(body)
            # Other groups' losses are not the snapshots'.
            if event.detected != "retention" or event.source.rpartition("@")[0] == GROUP:
                for concerned in self._job.missing.take(event):
                    if new:
                        self._mark(rows_of(self._held, concerned))
            if new:
                self._happened(body)

    def _mark(self, found: Mapping[int, Iterable[SnapshotRow]]) -> None:
        for rows in found.values():
            for row in rows:
                if row.ticks and self._job.missing.mark(row):
                    self._touched[row.code] = row

    async def _log_id(self) -> LogId | None:
        """Which log stands behind the ticks; ``None`` where no broker tells."""
        return await asyncio.to_thread(_asked, self._bootstrap)

    async def _replaced(self, before: LogId | None, reader: ChunkReader) -> None:
        """Return when another log stands behind the ticks, or the client has lost a task."""
        while True:
            await asyncio.sleep(_LOOK_SECONDS)
            now = await self._log_id()
            if before is not None and now is not None and now != before:
                log.warning("another log stands behind %s: the table is read anew", TICKS)
                return
            before = before or now
            if (dead := ended(reader.client)) is not None:
                raise BrokerError(f"the Kafka client is made anew: {dead}")


def _asked(bootstrap: str) -> LogId | None:
    try:
        with Probe(bootstrap) as probe:
            return probe.find([TICKS]).logs.get(TICKS)
    except (ProbeError, OSError):
        return None
