"""A broker of the examples' own: they read the public topic itself, which other tests write to."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from broker import admin
from deploy.embedded import KafkaBroker
from tests.examples.public_topic import KINDS, PublicTopic


@pytest.fixture(scope="package")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[KafkaBroker]:
    """A broker with the project's topics, which only these tests write to."""
    with KafkaBroker(tmp_path_factory.mktemp("kafka")) as broker:
        # In a thread of its own: pytest-asyncio's event loop belongs to the tests.
        with ThreadPoolExecutor(1) as pool:
            pool.submit(lambda: asyncio.run(admin.apply(broker.bootstrap))).result()
        yield broker


@pytest.fixture(scope="package")
def topic(broker: KafkaBroker) -> PublicTopic:
    """A public topic that holds a few changes already."""
    topic = PublicTopic(broker.bootstrap)
    topic.publish(*KINDS, *KINDS)
    return topic
