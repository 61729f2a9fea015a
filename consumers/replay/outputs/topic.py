"""Records into a topic of the replay's own: same partition, key, order and timestamp, and an end marker behind."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Sequence
from itertools import repeat

from broker import admin
from broker.partition_queue import PartitionQueue
from broker.publisher import Publisher, RecordTooLargeError
from consumers.replay.merge import Batch
from consumers.replay.selection import END_HEADER
from schemas import UsageError
from schemas.topics import Topic, topics

ID_HEADER = "ashare_replay"
"""The header of every record that says which replay wrote it."""
ORIGIN_HEADER = "ashare_replay_origin"
"""The header that says where the record came from, ``partition:offset``."""
COUNT_HEADER = "ashare_replay_records"
"""The header of an end marker that says how many records the replay wrote into its partition."""
_NAME = re.compile(r"[A-Za-z0-9._-]{1,249}")
_LIMIT_BYTES = 12 << 20


class ToTopic:
    """An output to a topic, which is made where it is missing."""

    typed = False
    headers = True
    apart = True
    seekable = False
    unreadable = 0

    def __init__(self, bootstrap: str, name: str, *, source: str, replay_id: str, say: Callable[[str], None]) -> None:
        """Checks the name.

        Args:
            source: the topic that is read.
            say: gets a line about the topic.

        Raises:
            UsageError: a live topic, the one that is read, or no name that Kafka takes.
        """
        if name in topics():
            raise UsageError(
                f"--to-topic {name} is a live topic: its readers must never see replayed records; name one of your own,"
                f" as replay.{name}"
            )
        if name == source:
            raise UsageError(f"--to-topic {name} is the topic that is read: name another one")
        if not _NAME.fullmatch(name) or name in (".", ".."):
            raise UsageError(
                f"--to-topic {name!r}: a topic's name is 1 to 249 letters, digits, dots, dashes, underscores"
            )
        if not replay_id or not replay_id.isascii() or not replay_id.isprintable():
            raise UsageError(f"--replay-id {replay_id!r}: printable ASCII, and at least one character")
        self._bootstrap = bootstrap
        self._name = name
        self._source = source
        self._id = (ID_HEADER, replay_id.encode())
        self._say = say
        self._publisher = Publisher(bootstrap, client_id="ashare-replay", limit_bytes=_LIMIT_BYTES)
        self._queues: dict[int, PartitionQueue] = {}
        self._given: Counter[int] = Counter()
        self._last = 0

    async def open(self, partitions: Sequence[int]) -> None:
        """As ``Output.open``."""
        (source,) = (await admin.describe(self._bootstrap, [self._source])).values()
        found = (await admin.describe(self._bootstrap, [self._name])).get(self._name)
        if found is None:
            config = {"cleanup.policy": "delete", "compression.type": "producer", "retention.ms": "-1"}
            config["max.message.bytes"] = source.config["max.message.bytes"]
            made = Topic(self._name, "", "", "", source.partitions, source.replicas, config)
            await admin.apply(self._bootstrap, {self._name: made})
            # The records keep their timestamps: with a limit, old ones would be deleted as soon as they are written.
            self._say(f"made topic {self._name}, {source.partitions} partitions, kept until you delete it")
        elif found.partitions != source.partitions:
            raise UsageError(
                f"--to-topic {self._name} has {found.partitions} partitions and {self._source} {source.partitions}:"
                " records keep their partition, so name another topic, or delete this one first"
            )
        elif "compact" in found.config["cleanup.policy"]:
            raise UsageError(f"--to-topic {self._name} is compacted: a replay would overwrite what it holds")
        elif found.records:
            self._say(f"topic {self._name} holds {found.records:,} records already; this replay's are behind them")
        await self._publisher.start(self._name)
        self._queues = {p: self._publisher.queue(self._name, p) for p in partitions}

    async def write(self, batch: Batch) -> None:
        """As ``Output.write``."""
        self._add(batch)
        if self._publisher.full:
            await self._publisher.room()

    def _add(self, batch: Batch) -> None:
        identity = self._id
        self._given.update(batch.partitions)
        self._last = batch.timestamps[-1]
        own = batch.headers or repeat((), len(batch))
        try:
            if batch.partition is not None:
                origin = b"%d:%%d" % batch.partition
                headers = [
                    [*some, identity, (ORIGIN_HEADER, origin % offset)]
                    for some, offset in zip(own, batch.offsets, strict=True)
                ]
                self._queues[batch.partition].extend(batch.keys, batch.values, batch.timestamps, headers)
                return
            rows = zip(batch.partitions, batch.offsets, batch.keys, batch.values, batch.timestamps, own, strict=True)
            for partition, offset, key, value, timestamp, some in rows:
                mine = [*some, identity, (ORIGIN_HEADER, b"%d:%d" % (partition, offset))]
                self._queues[partition].add(key, value, timestamp, mine)
        except RecordTooLargeError as error:
            raise UsageError(f"--to-topic {self._name}: {error}") from error

    async def jumped(self) -> None:
        """As ``Output.jumped``: never, it is not seekable."""

    async def close(self, *, complete: bool) -> None:
        """As ``Output.close``: an end marker in every partition, empty, behind the last record."""
        if not self._queues:
            return
        word = b"complete" if complete else b"interrupted"
        for partition, queue in self._queues.items():
            count = (COUNT_HEADER, b"%d" % self._given[partition])
            queue.add(None, b"", self._last, [self._id, (END_HEADER, word), count])
        await self._publisher.stop()
