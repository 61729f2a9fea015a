"""Topics of a test's own, closed when it ends."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.clients.topics import Written, written


@pytest.fixture
async def topic(bootstrap: str) -> AsyncIterator[Written]:
    """An empty topic on the shared broker."""
    made = await written(bootstrap)
    yield made
    await made.close()


@pytest.fixture
async def states(bootstrap: str) -> AsyncIterator[Written]:
    """An empty compacted topic on the shared broker."""
    made = await written(bootstrap, compacted=True)
    yield made
    await made.close()
