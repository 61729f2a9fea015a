"""Names of instruments beside what is printed: read once, and done without where they can't be had."""

from __future__ import annotations

import asyncio
import contextlib

from aiokafka.errors import KafkaError

from broker.errors import BrokerError
from instruments.topic import read
from schemas import UsageError
from schemas.topics import PRICE_CHANGES, SNAPSHOTS, TICKS

OF = frozenset({TICKS, PRICE_CHANGES, SNAPSHOTS})
"""Topics whose lines are of one instrument each."""
_SECONDS = 3.0
"""Longest that the first line waits for the names."""


class Names:
    """By code, from ``ashare.instruments.v1``."""

    def __init__(self, bootstrap: str, topic: str) -> None:
        """Nothing is read yet, nor ever where lines of the topic have no names."""
        self._bootstrap = bootstrap
        self._topic = topic
        self._names: dict[str, str] = {}
        self._reading: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to read, beside what the event loop does else."""
        if self._topic in OF:
            self._reading = asyncio.create_task(self._read(), name="names")

    async def ready(self) -> None:
        """Wait until the names are read, or for so long that nobody waits for them. Raises nothing."""
        if self._reading is not None:
            await asyncio.wait([self._reading], timeout=_SECONDS)
            self._reading = None

    def of(self, key: bytes | None) -> str | None:
        """The name of the instrument whose records have a key."""
        return self._names.get((key or b"").decode("utf-8", "replace"))

    async def _read(self) -> None:
        with contextlib.suppress(UsageError, BrokerError, KafkaError, OSError):
            held = await read(self._bootstrap)
            self._names = {code: one.name for code, one in held.items() if one is not None and one.name}
