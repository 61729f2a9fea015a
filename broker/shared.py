"""Record batches that several readers in one process share: each is checked, taken apart and decoded once.

Readers of one topic in different consumer groups get the same record batches, at their own time and with their own
bounds. What a batch holds does not depend on who reads it, so the first reader's lists and ticks serve the others.
What does depend on the reader stays there: its position, aborted transactions, control batches.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import OrderedDict
from collections.abc import Iterable, Sequence
from typing import Any

from schemas import Tick
from schemas.usable import read_ticks

_OVERHEAD_BYTES = 600
"""What a record weighs in memory beside its value: its tick, key, numbers, and the places in lists."""


class Batch:
    """What a record batch holds, in offset order.

    Attributes:
        ticks: the values as ticks, once somebody asked for them; ``None`` where a value is not a usable tick.
        refused: indexes of the values that are not.
        left: readers that have not had the batch.
    """

    __slots__ = ("keys", "left", "offsets", "refused", "ticks", "timestamps", "values", "weight")

    def __init__(self, records: Iterable[Any], left: int) -> None:
        """Take the records of one of aiokafka's batches apart."""
        self.offsets: list[int] = []
        self.timestamps: list[int] = []
        self.keys: list[bytes | None] = []
        self.values: list[bytes | None] = []
        add_offset, add_time = self.offsets.append, self.timestamps.append
        add_key, add_value = self.keys.append, self.values.append
        for record in records:
            add_offset(record.offset)
            add_time(record.timestamp)
            add_key(record.key)
            add_value(record.value)
        self.ticks: list[Tick | None] | None = None
        self.refused: Sequence[int] = ()
        self.left = left
        self.weight = len(self.offsets) * _OVERHEAD_BYTES + sum(map(len, filter(None, self.values)))


Part = tuple[Batch, int]
"""A batch of which a chunk holds the records from an index on."""
_Key = tuple[str, int, int, int]


class SharedBatches:
    """The batches that some of the readers have had and others have not, for one event loop.

    A batch is known by topic, partition, first offset and checksum, so a topic made anew under the same name is not
    taken for the old one. It is checked against its checksum for the first reader alone. It is dropped when all
    readers have had it, or, oldest first, when all batches together weigh more than the limit: a reader that lags
    further behind than that takes batches apart for itself.

    Attributes:
        hits, misses: batches that were here, and batches that were not.
        weight: bytes that the batches weigh, roughly.
    """

    def __init__(self, readers: int, *, limit_bytes: int = 96 << 20) -> None:
        """Nothing is held.

        Args:
            readers: how many will read each batch.
            limit_bytes: with ticks of 200 bytes, 96 MiB are 125,000 of them.
        """
        self.hits = self.misses = self.weight = 0
        self._readers = readers
        self._limit = limit_bytes
        self._batches: OrderedDict[_Key, Batch] = OrderedDict()

    def __len__(self) -> int:
        """Batches that are held."""
        return len(self._batches)

    def get(self, key: _Key) -> Batch | None:
        """The batch of a topic, partition, first offset and checksum for one more reader."""
        batch = self._batches.get(key)
        if batch is None:
            return None
        self.hits += 1
        batch.left -= 1
        if batch.left <= 0:
            del self._batches[key]
            self.weight -= batch.weight
        return batch

    def add(self, key: _Key, records: Iterable[Any]) -> Batch:
        """Take a batch apart for its first reader, and keep it for the others."""
        batch = Batch(records, self._readers - 1)
        self.misses += 1
        if batch.left > 0 and batch.weight <= self._limit:
            self._batches[key] = batch
            self.weight += batch.weight
            while self.weight > self._limit:
                self.weight -= self._batches.popitem(last=False)[1].weight
        return batch


def ticks_of(
    parts: Sequence[Part], values: Sequence[bytes | None], timestamps: Sequence[int]
) -> tuple[list[Tick | None], list[int]]:
    """The ticks of a chunk that consists of these parts, and the indexes of values that are not usable ones.

    They are decoded in as few calls as possible: batches of one or two records are usual, and a call costs as much as
    several ticks.
    """
    if all(batch.ticks is None for batch, _ in parts):
        ticks, refused = read_ticks(values, timestamps)
        _give(parts, ticks, refused)
        return ticks, refused
    ticks, refused = [], []
    for batch, first in parts:
        if batch.ticks is None:
            batch.ticks, batch.refused = read_ticks(batch.values, batch.timestamps)
        if batch.refused:
            refused += [len(ticks) + index - first for index in batch.refused if index >= first]
        ticks += batch.ticks[first:] if first else batch.ticks
    return ticks, refused


def _give(parts: Sequence[Part], ticks: list[Tick | None], refused: Sequence[int]) -> None:
    """Let whole batches have their ticks, for other readers."""
    at = 0
    for batch, first in parts:
        end = at + len(batch.offsets) - first
        if not first:
            batch.ticks = ticks[at:end]
            if refused:
                batch.refused = [index - at for index in refused[bisect_left(refused, at) : bisect_left(refused, end)]]
        at = end
