"""TickFlow's server: snapshots in arrays, the day's volume in lots, the whole set in each answer.

Subscriptions add up, and each is followed at once by the last known snapshot of its codes. A wrong token is HTTP 401.
Chosen where the vendor leaves it open: any number of codes and connections; unknown codes are left out of the set.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from simulator.feed import Subscription
from simulator.feeds.cumulative import Differences
from simulator.feeds.forms import code_of, lot_of, suffixed
from simulator.feeds.prints import Print
from simulator.feeds.provider import (
    POLICY_VIOLATION,
    Handshake,
    Json,
    Provider,
    Refusal,
    Reply,
    Sent,
    Session,
    Terms,
    Trouble,
    comma_list,
    distinct,
    parse,
    text,
    whole,
)

_UNAUTHORISED = text({"code": "UNAUTHORIZED", "message": "invalid api key"})


class TickFlowSession(Session):
    """One connection of TickFlow's stream."""

    def __init__(self, terms: Terms, handshake: Handshake, now: float) -> None:
        """See ``Session``."""
        super().__init__(terms, handshake, now)
        self.account = handshake.query("api_key") or ""
        self._differences = Differences()

    def receive(self, message: str | bytes, now: float) -> Reply:
        """``subscribe`` and ``unsubscribe`` on the channel ``quotes``."""
        self.heard = now
        request = parse(message) or {}
        operation, channel = request.get("op"), request.get("channel")
        if operation not in {"subscribe", "unsubscribe"}:
            return _error(f"unknown op: {str(operation)[:20]}")
        if channel != "quotes":
            return _error(f"no permission for channel: {str(channel)[:20]}")
        codes = frozenset(filter(None, map(code_of, comma_list(request.get("symbols")))))
        have = self.subscription.codes or frozenset()
        if operation == "unsubscribe":
            return self._hold(have - codes, "unsubscribed")
        known = frozenset(filter(self.terms.knows, codes))
        if len(have | known) > (self.terms.codes_per_connection or math.inf):
            return self.says("too_many_codes")
        self.fresh = known
        return self._hold(have | known, "subscribed")

    def encode(self, prints: Sequence[Print]) -> list[Sent]:
        """Arrays, or now and then a single object."""
        if self.form.shape % 2:
            return [self._frame([one], single=True) for one in prints]
        return [self._frame(part) for part in distinct(prints, self.terms.ticks_per_frame)]

    def says(self, trouble: Trouble) -> Reply:
        """Errors are ``{"op":"error","message":…}``."""
        match trouble:
            case "unauthorised":
                return _error("invalid api key", closing=True)
            case "throttled":
                return _error("rate limit exceeded", closing=True)
            case "kicked":
                return _error("connection replaced by another one with this key", closing=True)
            case "too_many_codes":
                return _error("too many symbols for this plan")
            case "error":
                return _error("no permission for channel: depth")

    def _hold(self, codes: frozenset[str], word: str) -> Reply:
        self.subscription = Subscription(codes)
        return Reply([text({"op": word, "symbols": sorted(map(suffixed, codes)), "total": len(codes)})])

    def _frame(self, prints: Sequence[Print], *, single: bool = False) -> Sent:
        data = [self._snapshot(one) for one in prints]
        ticks = [tick for one in prints if (tick := self._read(one)) is not None]
        return Sent(text({"op": "quotes", "data": data[0] if single else data}).encode(), binary=False, ticks=ticks)

    def _snapshot(self, one: Print) -> Json:
        data: Json = {
            "symbol": suffixed(one.code),
            "last_price": one.price,
            "volume": whole(one.day_volume / lot_of(one.code)) if one.genuine else 0,
            "amount": one.day_turnover if one.genuine else 0,
            "timestamp": one.time,
        }
        if self.form.swapped:
            data = {key: str(value) for key, value in data.items()}
        return data | {"ext": {"type": "cn_equity"}}

    def _read(self, one: Print) -> Json | None:
        if not one.genuine or self._differences.repeats(one.code, one.time, one.day_volume):
            return None
        volume, turnover = self._differences.take(one.code, one.time, one.day_volume, one.day_turnover)
        tick: Json = {"code": one.code, "price": one.price, "time": one.time}
        if one.beside:
            tick |= {"day_volume": one.day_volume, "day_turnover": one.day_turnover}
        return tick | {name: value for name, value in (("volume", volume), ("turnover", turnover)) if value is not None}


def _admit(terms: Terms, handshake: Handshake) -> Refusal | None:
    return None if terms.takes(handshake.query("api_key")) else Refusal(401, _UNAUTHORISED.encode())


def _error(message: str, *, closing: bool = False) -> Reply:
    return Reply([text({"op": "error", "message": message})], (POLICY_VIOLATION, message) if closing else None)


TICKFLOW = Provider(
    "tickflow", TickFlowSession, _admit, knows_repeats=True, cumulative=True, shapes=2, caches=True
)  # fmt: skip
