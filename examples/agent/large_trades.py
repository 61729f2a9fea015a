"""An agent without state: trades of a million yuan and more, as a topic."""

from processors.streaming.per_tick import PerTick

LARGE_TRADES = "acme.large-trades.v1"
YUAN = 1_000_000.0


class LargeTrades(PerTick):
    """Emits ``{code, time, price, turnover}``."""

    name = "large-trades"
    outputs = (LARGE_TRADES,)

    def on_tick(self, tick):
        """One record for a tick whose turnover is large."""
        if tick.turnover is not None and tick.turnover >= YUAN:
            trade = {"code": tick.code, "time": tick.time, "price": tick.price, "turnover": tick.turnover}
            yield self.message(LARGE_TRADES, tick, trade)
