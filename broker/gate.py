"""What decides, directly before it is written, whether one of aiokafka's own produce requests leaves.

aiokafka (0.14.0) sends a batch again by itself, from its own tasks, whenever it likes. All of its requests go through
``AIOKafkaClient.send``, which waits for a connection and then writes without another wait: the place where to ask.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from aiokafka.client import AIOKafkaClient, ConnectionGroup
from aiokafka.errors import KafkaConnectionError
from aiokafka.protocol.produce import ProduceRequest

_HOLD_SECONDS = 0.05


class Gate:
    """Stands before a producer's client: open while ``may_send`` says so, until it is shut for good."""

    def __init__(self, client: AIOKafkaClient, may_send: Callable[[], bool]) -> None:
        """Replace the client's ``send``."""
        self._client = client
        self._may_send = may_send
        self._shut = False
        self._send = client.send
        client.send = self._held

    def shut(self) -> None:
        """Let no produce request through any more."""
        self._shut = True

    def cut(self) -> None:
        """Drop what the kernel has not taken of earlier requests, and every connection with it."""
        for connection in list(self._client._conns.values()):
            if connection._writer is not None:
                connection._on_close_cb = None  # new metadata, which it would ask for, are of no use any more
                connection._writer.transport.abort()

    async def _held(self, node: int, request: Any, *, group: int = ConnectionGroup.DEFAULT) -> Any:
        if isinstance(request, ProduceRequest):
            while await self._client.ready(node, group=group):
                if self._shut or self._may_send():
                    break
                await asyncio.sleep(_HOLD_SECONDS)
            if self._shut:
                raise KafkaConnectionError("the client is closed")
        return await self._send(node, request, group=group)
