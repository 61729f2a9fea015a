"""Infoway's server: it greets with a sentence, answers no heartbeat, and knows Shanghai and Shenzhen alone.

A subscription of codes that it does not have, as Beijing's, is acknowledged like any other and never leads to data.
60 messages a minute, heartbeats included, or the connection is cut; 600 codes a connection. Chosen where the vendor
leaves it open: subscriptions add up; volume is shares; too many codes are refused as a whole. Only what traded is
pushed. The ban of a key that is cut again and again is not imitated.
"""

from __future__ import annotations

from collections import deque
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
    plain,
    text,
)

CODES = 600
A_MINUTE = 60
SILENT_SECONDS = 60.0
SUBSCRIBE, PUSH, UNSUBSCRIBE, HEARTBEAT = 10000, 10002, 11000, 10010
_GREETING = "Welcome, the connection to the stock service is established"
_COVERED = {"SSE", "SZSE"}
_SIDES = {"buy": 1, "sell": 2, None: 0}


class InfowaySession(Session):
    """One connection of Infoway's stock endpoint."""

    def __init__(self, terms: Terms, handshake: Handshake, now: float) -> None:
        """See ``Session``."""
        super().__init__(terms, handshake, now)
        self.account = handshake.query("apikey") or ""
        self._asked: deque[float] = deque(maxlen=A_MINUTE)

    def greet(self) -> Reply:
        """A sentence, and then JSON."""
        if not self.terms.takes(self.account):
            return self.says("unauthorised")
        return Reply([_GREETING, text({"code": 200, "msg": "ok"})])

    def receive(self, message: str | bytes, now: float) -> Reply:
        """Subscription 10000, its end 11000, heartbeat 10010."""
        self.heard = now
        if len(self._asked) == A_MINUTE and now - self._asked[0] < 60.0:
            return self.says("throttled")
        self._asked.append(now)
        request = parse(message)
        if request is None:
            return Reply([text({"code": 515, "msg": "not JSON", "traceId": ""})])
        command = request.get("code")
        if command in {SUBSCRIBE, UNSUBSCRIBE}:
            return self._change(request)
        if command == HEARTBEAT:
            return Reply()
        return Reply([text({"code": 506, "msg": "code is out of range", "traceId": request.get("trace")})])

    def _change(self, request: Json) -> Reply:
        data, trace = request.get("data"), request.get("trace")
        asked = comma_list(data.get("codes")) if isinstance(data, dict) else []
        if not asked:
            return Reply([text({"code": 507, "msg": "Param lost", "traceId": trace})])
        codes = frozenset(filter(None, map(code_of, asked)))
        have = self.subscription.codes or frozenset()
        if request["code"] == UNSUBSCRIBE:
            self.subscription = Subscription(have - codes, trades_only=True)
            return Reply([text({"code": 11010, "trace": trace, "msg": "ok"})])
        if len(have | codes) > (self.terms.codes_per_connection or CODES):
            return self.says("too_many_codes")
        known = frozenset(filter(self.terms.knows, codes))
        self.subscription, self.fresh = Subscription(have | known, trades_only=True), known
        return Reply([text({"code": 10001, "trace": trace, "msg": "ok"})])

    def select(self, prints: Sequence[Print]) -> list[Print]:
        """Never Beijing's, subscribed or not."""
        return [one for one in super().select(prints) if one.exchange in _COVERED]

    def watch(self, now: float) -> Reply:
        """Silence of more than 60 s is error 513 and the end."""
        if now - self.heard <= SILENT_SECONDS:
            return Reply()
        return Reply([text({"code": 513, "msg": "heartbeat timeout"})], (POLICY_VIOLATION, "heartbeat timeout"))

    def encode(self, prints: Sequence[Print]) -> list[Sent]:
        """One object a frame."""
        return [self._push(one) for one in prints]

    def says(self, trouble: Trouble) -> Reply:
        """Errors are numbers like answers."""
        match trouble:
            case "unauthorised":
                return Reply([text({"code": 401, "msg": "unauthorized"})], (POLICY_VIOLATION, "unauthorized"))
            case "throttled":
                return Reply([text({"code": 429, "msg": "too many requests"})], (POLICY_VIOLATION, "too many requests"))
            case "kicked":
                return Reply([text({"code": 427, "msg": "too many connections"})], (POLICY_VIOLATION, "connections"))
            case "too_many_codes":
                return Reply([text({"code": 505, "msg": "too many symbols"})])
            case "error":
                return Reply([text({"code": 404, "msg": "not found", "traceId": ""})])

    def _push(self, one: Print) -> Sent:
        tick: Json = {"code": one.code, "price": one.price, "time": one.time}
        price: str | float = plain(one.price)
        volume: str | float = "" if one.volume is None else plain(one.volume)
        turnover: str | float = "" if one.turnover is None else plain(one.turnover)
        time: str | int = one.time
        if self.form.swapped:
            price, time = one.price, str(one.time)
            volume = volume and float(volume)
            turnover = turnover and float(turnover)
        data: Json = {
            "s": suffixed(one.code),
            "p": price,
            "t": time,
            "td": _SIDES[one.side],
            "v": volume,
            "vw": turnover,
        }
        for name, value in (("volume", one.volume), ("turnover", one.turnover), ("side", one.side)):
            if value is not None:
                tick[name] = value
        return Sent(text({"code": PUSH, "data": data}).encode(), binary=False, ticks=[tick] if one.genuine else [])


INFOWAY = Provider("infoway", InfowaySession, connections=10, trades_only=True, throttled_seconds=60.0)
