"""A Faust consumer without Faust and without Kafka: what it is asked for is played by a test."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from types import SimpleNamespace
from typing import Any, cast

from faust.types import TP

from broker.chunk import Chunk
from processors.streaming.consumer import BatchConsumer
from schemas.topics import TICKS


class PlayedThread:
    """Stands where ``BatchConsumerThread`` does."""

    def __init__(self) -> None:
        """Commits are confirmed; the log begins at 0 and nothing was committed."""
        self.rebuilding = False
        self.rebuilt = self.seeks = 0
        self.confirms = True
        self.commits: list[dict[TP, int]] = []
        self.places: dict[TP, int] = {}
        self.wanted: list[str] = []

    def rebuild(self, why: str) -> None:
        """Noted."""
        self.wanted.append(why)

    async def commit(self, offsets: dict[TP, int]) -> bool:
        """As told."""
        self.commits.append(dict(offsets))
        return self.confirms

    async def seek_to_places(self) -> dict[TP, int]:
        """To the places that are set."""
        self.seeks += 1
        return dict(self.places)


class PlayedConsumer(BatchConsumer):
    """The worker's consumer, with a thread and an assignment of the test's.

    Attributes:
        brought: what the next fetches bring.
        begins: where the logs begin.
    """

    def __init__(self, runner: Any) -> None:
        """Nothing is assigned."""
        self.queues, self.fetches, self.expected, self.confirmed = {}, [], {}, {}
        self.abandoned, self.lost_to_retention = False, 0
        self.on_log_replaced = lambda *_: None
        self._committed_offset = defaultdict(lambda: None)
        self._stopped, self._crashed = cast("Any", asyncio.Event()), cast("Any", asyncio.Event())
        self.played = PlayedThread()
        self._thread = cast("Any", self.played)
        self.app = cast("Any", SimpleNamespace(runner=runner, consumer_generation_id=1))
        self.flow_active = True
        self.mine: set[TP] = set()
        self.brought: list[tuple[int, dict[TP, Chunk]]] = []
        self.begins: dict[TP, int] = {}
        self.ends: dict[TP, int] = {}

    def play_faust(self) -> None:
        """What Faust's own ``commit`` asks for."""
        self._commit_fut, self._loop = None, asyncio.get_running_loop()
        self.diag = cast("Any", SimpleNamespace(set_flag=lambda _: None, unset_flag=lambda _: None))
        app = cast("Any", self.app)
        app.client_only, app.sensors = (
            False,
            SimpleNamespace(on_commit_initiated=lambda _: None, on_commit_completed=lambda *_: None),
        )

        async def publish(*_: Any) -> None:
            return None

        app._attachments, app.producer = SimpleNamespace(publish_for_tp_offset=publish), None

    def assignment(self) -> Any:
        """As the group has it."""
        return self.mine

    async def earliest_offsets(self, *_: TP) -> Any:
        """Where the logs begin."""
        return self.begins

    def highwater(self, tp: TP) -> Any:
        """Where a log ends, as fetching has it."""
        return self.ends.get(tp)

    async def commit(self, *_: Any, **__: Any) -> bool:
        """Without Faust's bookkeeping of commits on their way."""
        return await self._commit_offsets({tp: at for tp in self.queues if (at := self._new_offset(tp)) is not None})

    async def _commit(self, offsets: Any) -> bool:
        return await self.played.commit(offsets)

    async def _fetch(self) -> Any:
        return self.brought.pop(0), set(self.mine)

    async def next_fetch(self) -> list[Any]:
        """The messages' values that one fetch gives."""
        return [message.value async for _, message in self.getmany(1.0)]

    def assign(self, *partitions: int, at: int = 0) -> None:
        """Own these partitions of the ticks, and go on from there."""
        self.mine = {TP(TICKS, partition) for partition in partitions}
        self.played.places = dict.fromkeys(self.mine, at)
        self.expected = dict.fromkeys(self.mine, at)
