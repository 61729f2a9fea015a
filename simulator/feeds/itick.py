"""iTick's server: one JSON object a tick, side 1 sell and 2 buy, and a second login that ends the first.

Chosen where the vendor leaves it open: subscriptions add up; pushes name a code as it is subscribed, ``600519$SH``;
``v`` is shares; a message of more than 500 codes is refused, a connection takes any number; no heartbeat is demanded.
Only what traded is pushed.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from simulator.feed import Subscription
from simulator.feeds.forms import code_of, suffixed
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
    comma_list,
    parse,
    text,
    whole,
)

CODES = 500
_TOO_MANY = "exceeding the maximum subscription limit"
_SIDES = {"sell": 1, "buy": 2, None: 0}


class ITickSession(Session):
    """One connection of iTick's stock endpoint."""

    def __init__(self, terms: Terms, handshake: Handshake, now: float) -> None:
        """See ``Session``."""
        super().__init__(terms, handshake, now)
        self.account = handshake.header("token") or handshake.query("token") or ""

    def greet(self) -> Reply:
        """Connected, and then the token's verdict."""
        if not self.terms.takes(self.account):
            return self.says("unauthorised")
        return Reply(
            [
                text({"code": 1, "msg": "Connected Successfully"}),
                text({"code": 1, "resAc": "auth", "msg": "authenticated"}),
            ]
        )

    def receive(self, message: str | bytes, now: float) -> Reply:
        """``subscribe``, ``unsubscribe`` and ``ping``."""
        self.heard = now
        request = parse(message) or {}
        action, params = request.get("ac"), request.get("params")
        if action == "ping":
            return Reply([text({"code": 1, "resAc": "pong", "data": {"params": params}})], beat=True)
        if action not in {"subscribe", "unsubscribe"}:
            return Reply([text({"code": 0, "resAc": str(action)[:20], "msg": "unknown action"})])
        codes = frozenset(filter(None, map(code_of, comma_list(params))))
        have = self.subscription.codes or frozenset()
        if action == "unsubscribe":
            self.subscription = Subscription(have - codes, trades_only=True)
            return Reply([text({"code": 1, "resAc": "unsubscribe", "msg": "unsubscribe Successfully"})])
        known = frozenset(filter(self.terms.knows, codes))
        if len(codes) > CODES or len(have | known) > (self.terms.codes_per_connection or math.inf):
            return self.says("too_many_codes")
        if not known:
            return Reply([text({"code": 0, "resAc": "subscribe", "msg": "cannot be resolved action"})])
        self.subscription, self.fresh = Subscription(have | known, trades_only=True), known
        return Reply([text({"code": 1, "resAc": "subscribe", "msg": "subscribe Successfully"})])

    def encode(self, prints: Sequence[Print]) -> list[Sent]:
        """One object a frame."""
        return [self._push(one) for one in prints]

    def says(self, trouble: Trouble) -> Reply:
        """``code`` 0 is an error."""
        match trouble:
            case "unauthorised":
                return Reply(
                    [text({"code": 0, "resAc": "auth", "msg": "auth failed"})], (POLICY_VIOLATION, "auth failed")
                )
            case "throttled":
                return Reply(
                    [text({"code": 0, "resAc": "subscribe", "msg": "too many requests"})],
                    (POLICY_VIOLATION, "too many requests"),
                )
            case "kicked":
                return Reply(
                    [text({"code": 0, "resAc": "auth", "msg": "another connection with this token"})],
                    (POLICY_VIOLATION, "another connection with this token"),
                )
            case "too_many_codes":
                return Reply([text({"code": 0, "resAc": "subscribe", "msg": _TOO_MANY})])
            case "error":
                return Reply([text({"code": 0, "resAc": "subscribe", "msg": "internal error"})])

    def _push(self, one: Print) -> Sent:
        tick: Json = {"code": one.code, "price": one.price, "time": one.time}
        data: Json = {"s": suffixed(one.code, "$"), "ld": one.price, "t": one.time}
        if one.volume is not None:
            tick["volume"] = one.volume
            data["v"] = whole(one.volume)
        if one.side is not None:
            tick["side"] = one.side
        data |= {"d": _SIDES[one.side], "te": 0, "type": "tick"}
        if self.form.swapped:
            data |= {name: str(data[name]) for name in ("ld", "t", "v", "d") if name in data}
        return Sent(text({"code": 1, "data": data}).encode(), binary=False, ticks=[tick] if one.genuine else [])


ITICK = Provider("itick", ITickSession, connections=1, trades_only=True, answers_beats=True, when_full="oldest closed")
