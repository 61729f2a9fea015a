"""An agent without state: trades of a million yuan and more, as a topic."""

from collections.abc import Iterable

from processors.streaming.agent import Message
from processors.streaming.per_tick import PerTick
from schemas import Tick

LARGE_TRADES = "acme.large-trades.v1"
YUAN = 1_000_000.0


class LargeTrades(PerTick):
    """Emits ``{code, time, price, turnover}``."""

    name = "large-trades"
    outputs = (LARGE_TRADES,)

    def on_tick(self, tick: Tick) -> Iterable[Message]:
        """One record for a tick whose turnover is large."""
        if tick.turnover is not None and tick.turnover >= YUAN:
            trade = {"code": tick.code, "time": tick.time, "price": tick.price, "turnover": tick.turnover}
            yield self.message(LARGE_TRADES, tick, trade)
