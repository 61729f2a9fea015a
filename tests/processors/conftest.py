"""A broker of a test's own, for topics that all workers of a broker have in common."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from broker import admin
from deploy.embedded import KafkaBroker


@pytest.fixture
async def broker(tmp_path: Path) -> AsyncIterator[KafkaBroker]:
    """With the project's topics, and nothing in them."""
    made = KafkaBroker(tmp_path / "kafka")
    await asyncio.to_thread(made.start)
    await admin.apply(made.bootstrap)
    yield made
    await asyncio.to_thread(made.stop)
