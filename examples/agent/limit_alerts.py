"""An agent with state: a stock that seals at its upper limit, opens again, seals again, as a topic."""

from collections.abc import Iterable

import msgspec

from market.codes import instrument
from market.prices import to_e4
from market.rules import limit_band_e4
from market.times import shanghai_date, trading_date
from processors.streaming.agent import Message
from processors.streaming.per_tick import PerTickWithState
from schemas import Tick

ALERTS = "acme.limit-alerts.v1"


class Seal(msgspec.Struct):
    """What is remembered of a code."""

    day: str = ""
    limit_e4: int = 0
    sealed: bool = False
    seals: int = 0


class LimitAlerts(PerTickWithState[Seal]):
    """Emits ``{code, time, event: "sealed" | "opened", price, seals}``; ``seals`` counts those of the day."""

    name = "limit-alerts"
    outputs = (ALERTS,)
    state, state_topic = Seal, "acme.limit-alerts-state.v1"

    def on_tick(self, tick: Tick, seal: Seal) -> Iterable[Message]:
        """One alert when a tick reaches the limit, and one when the price leaves it."""
        day = trading_date(tick.time)
        if day != seal.day:
            seal.day, seal.limit_e4, seal.sealed, seal.seals = day, 0, False, 0
        if not seal.limit_e4 and tick.previous_close:
            band = limit_band_e4(to_e4(tick.previous_close), instrument(tick.code).board, shanghai_date(tick.time))
            seal.limit_e4 = band[1] if band else 0
        at_limit = bool(seal.limit_e4) and to_e4(tick.price) >= seal.limit_e4
        if at_limit != seal.sealed:
            seal.sealed = at_limit
            seal.seals += at_limit
            event = "sealed" if at_limit else "opened"
            alert = {"code": tick.code, "time": tick.time, "event": event, "price": tick.price, "seals": seal.seals}
            yield self.message(ALERTS, tick, alert)
