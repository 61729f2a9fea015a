"""Reading topics outside of any group: bounded ranges of partitions, as chunks, at the caller's pace."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Collection, Mapping
from types import TracebackType
from typing import Self, cast

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError

from broker import security
from broker.chunk import Chunk, ask, corrupt, drain
from broker.errors import BrokerError
from broker.login import explain
from schemas import UsageError

PATIENCE = 30.0
"""Seconds for which a broker that has stopped answering is waited for."""


class ReadError(BrokerError):
    """A range could not be read to its end; the text says where reading stopped and why."""


class ChunkReader:
    """Reads ranges of partitions, each at the pace at which the caller wants it.

    Memory: of each partition at most one fetch of ``fetch_bytes`` (or of one larger record) lies ready, beside what the
    caller holds; the next is asked for when that one is taken.
    """

    def __init__(
        self,
        bootstrap: str,
        *,
        client_id: str,
        headers: bool = False,
        fetch_bytes: int = 1 << 20,
        patience: float = PATIENCE,
    ) -> None:
        """Nothing connects before ``async with``.

        Args:
            headers: whether chunks carry the records' headers.
            fetch_bytes: the most that one fetch brings of one partition.
            patience: seconds for which a broker that has stopped answering is waited for.
        """
        self._bootstrap = bootstrap
        self._headers = headers
        self._patience = patience
        self._ends: dict[TopicPartition, int] = {}
        self._consumer = AIOKafkaConsumer(
            **security.options(),
            bootstrap_servers=bootstrap.split(","),
            client_id=client_id,
            enable_auto_commit=False,
            auto_offset_reset="none",
            max_partition_fetch_bytes=fetch_bytes,
            fetch_max_wait_ms=50,
        )

    async def __aenter__(self) -> Self:
        """Connect.

        Raises:
            UsageError: no broker answers.
        """
        try:
            await self._consumer.start()
        except (KafkaError, OSError) as error:
            await self._consumer.stop()
            raise await asyncio.to_thread(explain, self._bootstrap, error) from error
        # The client would hold back every fetch for 0.1 s while some partition's last one lies untaken: here partitions
        # are taken when their turn comes, and none may wait for another.
        self._consumer._fetcher._prefetch_backoff = 0.0
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Disconnect."""
        await self._consumer.stop()

    async def partitions(self, topic: str) -> list[TopicPartition]:
        """The topic's partitions, rising.

        Raises:
            UsageError: there is no such topic.
        """
        cluster = await self._consumer._client.fetch_all_metadata()
        found = cluster.partitions_for_topic(topic)
        if not found:
            raise UsageError(f"topic {topic} is not on {self._bootstrap}: run `ashare topics apply`")
        return [TopicPartition(topic, number) for number in sorted(found)]

    async def begins(self, partitions: Collection[TopicPartition]) -> dict[TopicPartition, int]:
        """The first offset that each partition still holds."""
        return cast("dict[TopicPartition, int]", await self._consumer.beginning_offsets(list(partitions)))

    async def ends(self, partitions: Collection[TopicPartition]) -> dict[TopicPartition, int]:
        """The offset that each partition's next record gets."""
        return cast("dict[TopicPartition, int]", await self._consumer.end_offsets(list(partitions)))

    async def at(self, partitions: Collection[TopicPartition], timestamp_ms: int) -> dict[TopicPartition, int]:
        """The first offset of each partition whose record timestamp is not before a time; its end where there is none.

        Record timestamps are receive times (``received`` in ms), not exchange times.
        """
        found = await self._consumer.offsets_for_times(dict.fromkeys(partitions, timestamp_ms))
        ends = await self.ends(partitions)
        return {tp: ends[tp] if found.get(tp) is None else found[tp].offset for tp in partitions}

    def assign(self, ranges: Mapping[TopicPartition, tuple[int, int]]) -> None:
        """Read these offsets from now on: from the first to before the second. What lay ready is dropped."""
        left = {tp: span for tp, span in ranges.items() if span[0] < span[1]}
        self._ends = {tp: end for tp, (_, end) in left.items()}
        self._consumer.assign(list(left))
        for tp, (start, _) in left.items():
            self._consumer.seek(tp, start)

    @property
    def client(self) -> AIOKafkaConsumer:
        """The client, to be looked after (``broker.background``)."""
        return self._consumer

    @property
    def left(self) -> set[TopicPartition]:
        """Partitions whose range is not read to its end."""
        return set(self._ends)

    async def fetch(self, wanted: Collection[TopicPartition] | None = None) -> list[Chunk]:
        """The next chunks of the wanted partitions (``None``: of all that are left), at most one each.

        Waits until there is at least one, or nothing of the wanted is left: then the list is empty. A chunk without
        records is possible, where compaction or transactions left none.

        Raises:
            ReadError: an offset is not there any more, the log is damaged, or nothing came for ``patience`` seconds.
        """
        fetcher = self._consumer._fetcher
        deadline = time.monotonic() + self._patience
        while True:
            mine = self.left if wanted is None else self.left & set(wanted)
            if not mine:
                return []
            with fetcher._subscriptions.fetch_context():
                try:
                    chunks = drain(fetcher, mine, headers=self._headers)
                    ask(fetcher)
                except KafkaError as error:
                    raise ReadError(f"{self._bootstrap}: {error!r}") from error
                if not chunks:
                    waiter = fetcher._create_fetch_waiter()
                    await asyncio.wait([waiter], timeout=1.0)
                    waiter.cancel()
            if chunks:
                return [self._clipped(chunk) for chunk in chunks]
            if time.monotonic() > deadline:
                places = ", ".join(f"{tp.topic}/{tp.partition}" for tp in sorted(mine)[:3])
                raise ReadError(f"{self._bootstrap} brought nothing of {places} for {self._patience:g} s")

    def _clipped(self, chunk: Chunk) -> Chunk:
        """The chunk up to the end of its range; a partition that is through is not read on."""
        tp = TopicPartition(chunk.topic, chunk.partition)
        end = self._ends[tp]
        if chunk.corrupt and chunk.end < end:
            raise ReadError(str(corrupt(chunk)))
        if chunk.end >= end:
            del self._ends[tp]
            self._consumer.pause(tp)
            chunk.clip(end)
        return chunk


async def whole(bootstrap: str, topic: str, *, client_id: str) -> AsyncGenerator[Chunk, None]:
    """A topic from its start to where it ends now, chunk by chunk; in order within a partition.

    Raises:
        UsageError: no broker answers, or it does not have the topic.
        ReadError: it stops answering.
    """
    async with ChunkReader(bootstrap, client_id=client_id) as reader:
        places = await reader.partitions(topic)
        starts, ends = await reader.begins(places), await reader.ends(places)
        reader.assign({place: (starts[place], ends[place]) for place in places})
        while chunks := await reader.fetch():
            for chunk in chunks:
                yield chunk
