"""Massive's server (formerly Polygon): American trades in arrays; here the drawn market under tickers of six letters.

The A share 600519 trades as GAAFBJ (0 is A, 9 is J), at its price in yuan, now dollars. Control and data come in the
same arrays. One connection a token: a further one closes the oldest, with the status ``max_connections``. Only what
traded is pushed; ``q`` counts a ticker's trades with holes, ``i`` names the trade.
"""

from __future__ import annotations

from collections.abc import Sequence

from simulator.feed import Subscription
from simulator.feeds.forms import from_letters, in_letters
from simulator.feeds.prints import Print
from simulator.feeds.provider import (
    POLICY_VIOLATION,
    Handshake,
    Json,
    Provider,
    Reply,
    Sent,
    Session,
    Terms,
    Trouble,
    chunks,
    comma_list,
    parse,
    text,
    whole,
)

EXCHANGE = "US"
_STEP = 3


class MassiveSession(Session):
    """One connection of Massive's stocks cluster."""

    def __init__(self, terms: Terms, handshake: Handshake, now: float) -> None:
        """See ``Session``."""
        super().__init__(terms, handshake, now)
        self._authenticated = False

    def greet(self) -> Reply:
        """Connected; authentication is the client's first frame."""
        return Reply([_status("connected", "Connected Successfully")])

    def receive(self, message: str | bytes, now: float) -> Reply:
        """``auth``, ``subscribe`` and ``unsubscribe``."""
        self.heard = now
        request = parse(message) or {}
        action, params = request.get("action"), request.get("params")
        if action == "auth":
            if not isinstance(params, str) or not self.terms.takes(params):
                return self.says("unauthorised")
            self.account, self._authenticated = params, True
            return Reply([_status("auth_success", "authenticated")])
        if not self._authenticated:
            return Reply([_status("auth_required", "authentication required")])
        if action not in {"subscribe", "unsubscribe"}:
            return Reply([_status("error", "unknown action")])
        return self._change(action, params)

    def _change(self, action: str, params: object) -> Reply:
        channels = [name for name in comma_list(params) if name.startswith("T.")]
        if not channels:
            return Reply([_status("not_found", "no such channel")])
        everything = "T.*" in channels
        codes = frozenset(filter(None, (from_letters(name[2:]) for name in channels)))
        have = self.subscription.codes
        if action == "unsubscribe":
            left = frozenset() if everything or have is None else have - codes
            self.subscription = Subscription(left, trades_only=True)
            return Reply([_done(channels, "unsubscribed from")])
        known = frozenset(filter(self.terms.knows, codes))
        if self.terms.codes_per_connection is not None and len(known) > self.terms.codes_per_connection:
            return self.says("too_many_codes")
        held = None if everything or have is None else have | known
        self.subscription = Subscription(held, trades_only=True)
        self.fresh = None if everything else known
        return Reply([_done(channels, "subscribed to")])

    def encode(self, prints: Sequence[Print]) -> list[Sent]:
        """Arrays; now and then with a status in between."""
        return [self._array(part) for part in chunks(prints, self.terms.ticks_per_frame)]

    def says(self, trouble: Trouble) -> Reply:
        """A status in an array."""
        match trouble:
            case "unauthorised":
                return Reply([_status("auth_failed", "authentication failed")], (POLICY_VIOLATION, "auth failed"))
            case "throttled":
                return Reply([_status("error", "too many requests")], (POLICY_VIOLATION, "too many requests"))
            case "kicked":
                words = "Maximum number of websocket connections exceeded."
                return Reply([_status("max_connections", words)], (POLICY_VIOLATION, words))
            case "too_many_codes":
                return Reply([_status("error", "maximum number of subscriptions exceeded")])
            case "error":
                return Reply([_status("error", "internal error")])

    def _array(self, prints: Sequence[Print]) -> Sent:
        events: list[Json] = [self._event(one) for one in prints]
        if self.form.shape % 2:
            events.insert(0, {"ev": "status", "status": "success", "message": "still here"})
        return Sent(text(events).encode(), binary=False, ticks=[_read(one) for one in prints if one.genuine])

    def _event(self, one: Print) -> Json:
        event: Json = {
            "ev": "T",
            "sym": in_letters(one.code),
            "x": 4,
            "i": str(one.number),
            "z": 3,
            "p": one.price,
            "s": whole(one.volume or 0),
            "c": [],
            "t": one.time,
            "pt": one.time,
            "q": _STEP * one.number,
        }
        return event | {key: str(event[key]) for key in ("p", "s", "t", "q")} if self.form.swapped else event


def _written(code: str) -> str:
    return f"{in_letters(code)}.{EXCHANGE}"


def _read(one: Print) -> Json:
    tick: Json = {"code": _written(one.code), "price": one.price, "time": one.time}
    if one.volume is not None:
        tick["volume"] = one.volume
    return tick | {"seq": _STEP * one.number}


def _status(status: str, message: str) -> str:
    return text([{"ev": "status", "status": status, "message": message}])


def _done(channels: Sequence[str], words: str) -> str:
    return text([{"ev": "status", "status": "success", "message": f"{words}: {name}"} for name in channels])


MASSIVE = Provider(
    "massive",
    MassiveSession,
    connections=1,
    trades_only=True,
    when_full="oldest closed",
    knows_repeats=True,
    shapes=2,
    writes=_written,
)
