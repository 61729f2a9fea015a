"""One connection of the simulated market: what it was sent is what its ledger says."""

from __future__ import annotations

import random
from types import SimpleNamespace
from typing import Any, cast

import pytest
from websockets.protocol import State

from simulator.client import Client
from simulator.feeds import PROVIDERS
from simulator.feeds.prints import Tape
from simulator.misbehaviour.frames import CachedSnapshot, Unreadable
from tests.simulator.test_roundtrip import market, subscribed

FOREVER = float("inf")


class Transport:
    """Takes everything."""

    def write(self, data: bytes) -> None:
        """Nowhere to."""

    def is_closing(self) -> bool:
        """It stays open."""
        return False


FEEDS = [name for name, one in sorted(PROVIDERS.items()) if one.knows_repeats and Unreadable().suits(one)]


@pytest.mark.parametrize("feed", FEEDS)
def test_ticks_that_could_not_be_read_do_not_come_again(feed: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A cached snapshot repeats what the ledger has; anything else would be a tick that nobody sent."""
    line, source, tape, draw = subscribed(feed), market(), Tape(), random.Random("t")
    connection = SimpleNamespace(transport=Transport(), state=State.OPEN, protocol=SimpleNamespace(extensions=[]))
    client = Client("connection-0001", cast("Any", connection), line.session, PROVIDERS[feed], None)
    client.recent = {}
    told: list[Any] = []
    monkeypatch.setattr(client, "_enter", told.extend)
    client.give(tape.read(source.take(FOREVER, 23)), 0.0, draw)
    before = dict(client.recent)
    assert before
    assert told
    told.clear()
    client.tricks = [(Unreadable(), 0.0), (CachedSnapshot(), 0.0)]
    client.give(tape.read(source.take(FOREVER, 23)), 0.0, draw)
    assert client.recent == before
    assert told == []
