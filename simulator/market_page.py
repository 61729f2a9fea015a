"""The market's own page of the ledger: each tick once, whatever the connections are sent of it."""

from __future__ import annotations

import time
from collections.abc import Sequence

import orjson

from simulator.feed import Subscription
from simulator.feeds.prints import Print
from simulator.feeds.provider import Handshake, Provider, Terms
from simulator.ledger import MARKET, Ledger


class MarketPage:
    """What a connection with all codes would have been sent, from the first tick to the last.

    Of feeds that push the day's sums, volume and turnover are those of a connection that had all pushes before.
    """

    def __init__(self, ledger: Ledger, provider: Provider, ticks_per_frame: int) -> None:
        """Make the page."""
        self._session = provider.session(Terms(ticks_per_frame=ticks_per_frame), Handshake("/"), 0.0)
        self._session.subscription = Subscription(None, trades_only=provider.trades_only)
        self._page = ledger.open(MARKET)

    def close(self) -> None:
        """Close the file."""
        self._page.close()

    def enter(self, prints: Sequence[Print]) -> None:
        """Enter the ticks of a round."""
        sent = self._session.encode(self._session.select(prints))
        now = time.time_ns() // 1000
        lines = [orjson.dumps({"at": now, "ticks": one.ticks}) for one in sent if one.ticks]
        if lines:
            self._page.write(lines)
