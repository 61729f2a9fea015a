"""A broker of the examples' own: they read the public topic itself, which other tests write to."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from broker import admin
from deploy.embedded import KafkaBroker
from tests.examples.public_topic import KINDS, PublicTopic


@pytest.fixture(scope="module")
def topic(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PublicTopic]:
    """A public topic that holds a few changes already, on a broker of its own."""
    with KafkaBroker(tmp_path_factory.mktemp("kafka")) as broker:
        with ThreadPoolExecutor(1) as pool:
            pool.submit(lambda: asyncio.run(admin.apply(broker.bootstrap))).result()
        topic = PublicTopic(broker.bootstrap)
        topic.publish(*KINDS, *KINDS)
        yield topic
