"""Reading Kafka plainly: whole partitions from first to last record, ends and committed positions."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from types import TracebackType
from typing import Any, NamedTuple, Self, TypeVar

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError, for_code
from aiokafka.protocol.commit import OffsetFetchRequest

STALL = 30.0
"""Seconds without a record before the end of a partition, after which reading it has failed."""
_SETTLE = 60.0
"""Seconds for which a question that fails is asked again: one of several brokers may just have been killed."""
_RETRY = 0.3
_POLL_MS = 50
"""Where the last records are transaction markers, which are not given, only the position shows the end."""


_T = TypeVar("_T")


class LogError(Exception):
    """A topic could not be read to its end; the text says where reading stopped."""


class Entry(NamedTuple):
    """One record; ``timestamp`` in ms since the epoch."""

    partition: int
    offset: int
    timestamp: int
    key: bytes | None
    headers: Sequence[tuple[str, bytes]]
    value: bytes | None


class LogReader:
    """Reads topics from the beginning, outside of any group."""

    def __init__(self, bootstrap: str, options: Mapping[str, Any] | None = None) -> None:
        """Nothing connects before ``async with``.

        Args:
            options: of aiokafka's clients: how to log in.
        """
        self._bootstrap = bootstrap
        self._consumer = AIOKafkaConsumer(
            **(options or {}),
            bootstrap_servers=bootstrap.split(","),
            client_id="ashare-selfcheck",
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            max_partition_fetch_bytes=4 << 20,
            fetch_max_wait_ms=50,
        )
        self._admin = AIOKafkaAdminClient(
            bootstrap_servers=bootstrap.split(","), client_id="ashare-selfcheck", **(options or {})
        )

    async def __aenter__(self) -> Self:
        """Connect."""
        await self._consumer.start()
        await self._admin.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Disconnect."""
        await self._admin.close()
        await self._consumer.stop()

    async def partitions(self, topic: str) -> list[int]:
        """The numbers of the topic's partitions, rising.

        Raises:
            LogError: there is no such topic.
        """
        client = self._consumer._client  # noqa: SLF001 - partitions_for_topic() may be stale
        found = (await _settled(client.fetch_all_metadata)).partitions_for_topic(topic)
        if not found:
            raise LogError(f"topic {topic} is not on {self._bootstrap}")
        return sorted(found)

    async def in_sync(self) -> bool:
        """Whether every copy of every partition, Kafka's own topics included, has what its leader has."""
        topics = await _settled(self._admin.describe_topics)
        places = [place for topic in topics for place in topic["partitions"]]
        return all(place["leader"] >= 0 and len(place["isr"]) == len(place["replicas"]) for place in places)

    async def ends(self, topic: str) -> dict[int, int]:
        """By partition, the offset that the next record gets."""
        places = [TopicPartition(topic, number) for number in await self.partitions(topic)]
        found = await _settled(lambda: self._consumer.end_offsets(places))
        return {place.partition: offset for place, offset in found.items()}

    async def committed(self, groups: Iterable[str], topic: str) -> dict[int, int]:
        """By partition, the lowest position that the groups have committed; a partition without one is left out."""
        lowest: dict[int, int] = {}
        for number, group in enumerate(groups):
            mine = await _settled(lambda group=group: self._committed(group, topic))  # type: ignore[misc]
            lowest = mine if number == 0 else {p: min(lowest[p], mine[p]) for p in lowest.keys() & mine.keys()}
        return lowest

    async def _committed(self, group: str, topic: str) -> dict[int, int]:
        # aiokafka's own (0.14.0) takes an error for a group that has committed nothing.
        answer = await self._admin._send_request(  # noqa: SLF001 - see above
            OffsetFetchRequest(group, None), await self._admin.find_coordinator(group)
        )
        if code := getattr(answer, "error_code", 0):
            raise for_code(code)
        found = {}
        for name, partitions in answer.topics:
            for partition, offset, _metadata, code in partitions:
                if code:
                    raise for_code(code)
                if name == topic and offset >= 0:
                    found[partition] = offset
        return found

    async def read(self, topic: str, partition: int) -> AsyncIterator[list[Entry]]:
        """A partition's records as of now, first to last, in lists.

        Raises:
            LogError: no record came for ``STALL`` seconds, before the end.
        """
        place = TopicPartition(topic, partition)
        self._consumer.assign([place])
        end = (await self._consumer.end_offsets([place]))[place]
        await self._consumer.seek_to_beginning(place)
        position = await self._consumer.position(place)
        patience = asyncio.get_running_loop().time() + STALL
        while position < end:
            fetched = await self._consumer.getmany(timeout_ms=_POLL_MS, max_records=20_000)
            records = fetched.get(place, ())
            if records:
                yield [
                    Entry(partition, r.offset, r.timestamp, r.key, r.headers, r.value)
                    for r in records
                    if r.offset < end
                ]
                patience = asyncio.get_running_loop().time() + STALL
            elif asyncio.get_running_loop().time() > patience:
                raise LogError(f"{topic}/{partition}: no record after {position} for {STALL:g} s; its end is {end}")
            position = await self._consumer.position(place)


async def _settled(ask: Callable[[], Awaitable[_T]]) -> _T:
    """The answer, once there is one.

    Raises:
        LogError: there was none in good time.
    """
    until = asyncio.get_running_loop().time() + _SETTLE
    while True:
        try:
            return await ask()
        except KafkaError as error:
            if asyncio.get_running_loop().time() > until:
                raise LogError(f"Kafka gave no answer for {_SETTLE:g} s: {error!r}") from error
        await asyncio.sleep(_RETRY)
