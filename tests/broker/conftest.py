"""Topics of a test's own on the shared broker."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Awaitable, Callable

import pytest
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

Topics = Callable[..., Awaitable[list[str]]]


@pytest.fixture
def new_topics(bootstrap: str) -> Topics:
    """Makes so many new topics of so many partitions each."""

    async def make(count: int = 1, partitions: int = 1) -> list[str]:
        names = [f"test-{uuid.uuid4().hex}" for _ in range(count)]
        admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
        await admin.start()
        try:
            await admin.create_topics([NewTopic(name, partitions, 1) for name in names])
            # On a busy machine the broker knows them only seconds after its controller.
            async with asyncio.timeout(60):
                while any(found["error_code"] for found in await admin.describe_topics(names)):  # noqa: ASYNC110 - there is none
                    await asyncio.sleep(0.05)
        finally:
            await admin.close()
        return names

    return make
