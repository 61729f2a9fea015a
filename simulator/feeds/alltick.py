"""AllTick's server: one JSON object a trade, at most 3,000 codes a connection, silently the first ones.

Chosen where the vendor leaves it open: a missing token is refused at the handshake (HTTP 401 with the documented body
without ``cmd_id``), a wrong one gets that frame on the open socket, which is closed; unknown codes in a list are left
out, a list of nothing else gets 600; Beijing's suffix is ``BJ``; volume is lots and turnover price × lots, as recorded
replies suggest; ``seq`` counts a code's trades in steps of two, since the order book takes the others. Only what traded
is pushed. Requests of one connection must be 1 s apart, heartbeats included; the 3 s between the connections of a token
are not held against clients, since the heartbeats of ten connections alone would break them.
"""

from __future__ import annotations

from collections.abc import Sequence

from simulator.feed import Subscription
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
    parse,
    plain,
    text,
)

CODES = 3_000
HEARTBEAT = 22000
SILENT_SECONDS = 30.0
LEAST_SECONDS = 0.9
"""Between requests: the documented second, less what a network may squeeze it by."""
_DIRECTIONS = {"buy": 1, "sell": 2, None: 0}
_SHORT_OF_A_TOKEN = text({"msg": "token is required", "ret": 401})


class AllTickSession(Session):
    """One connection of AllTick's stock endpoint."""

    def __init__(self, terms: Terms, handshake: Handshake, now: float) -> None:
        """See ``Session``."""
        super().__init__(terms, handshake, now)
        self.account = handshake.query("token") or ""
        self._asked: float | None = None

    def greet(self) -> Reply:
        """Nothing, but for a wrong token."""
        return Reply() if self.terms.takes(self.account) else self.says("unauthorised")

    def receive(self, message: str | bytes, now: float) -> Reply:
        """Heartbeat 22000, trades 22004, book 22002, cancellation 22006; each is answered under the next number."""
        self.heard = now
        if self._asked is not None and now - self._asked < LEAST_SECONDS:
            return self.says("throttled")
        self._asked = now
        request = parse(message)
        if request is None or not isinstance(request.get("cmd_id"), int):
            return Reply([_error(201, "request header param invalid")])
        data = request["data"] if isinstance(request.get("data"), dict) else {}
        match request["cmd_id"]:
            case 22004:
                return self._subscribe(request, data.get("symbol_list"))
            case 22006 if data.get("cancel_type", 0) in {0, 2}:
                self.subscription = Subscription(frozenset(), trades_only=True)
            case 22000 | 22002 | 22006:
                pass
            case _:
                return Reply([_answer(request, 202, "request data param invalid")])
        return Reply([_answer(request)], beat=request["cmd_id"] == HEARTBEAT)

    def watch(self, now: float) -> Reply:
        """Whoever sends no heartbeat for 30 s is disconnected."""
        return Reply(close=(1000, "heartbeat timeout")) if now - self.heard > SILENT_SECONDS else Reply()

    def encode(self, prints: Sequence[Print]) -> list[Sent]:
        """One object a frame."""
        return [_push(one, swapped=self.form.swapped) for one in prints]

    def says(self, trouble: Trouble) -> Reply:
        """An error has the number 0 and belongs to no request."""
        match trouble:
            case "unauthorised":
                return Reply([_error(401, "token invalid")], (POLICY_VIOLATION, "token invalid"))
            case "throttled":
                words = "too many requests and connection will be closed"
                return Reply([_error(606, words)], (POLICY_VIOLATION, words))
            case "kicked":
                return Reply(close=(POLICY_VIOLATION, "connection limit of the token"))
            case "too_many_codes":
                return Reply([_error(603, "token level not enough")])
            case "error":
                return Reply([_error(604, "code unauthorized")])

    def _subscribe(self, request: Json, symbols: object) -> Reply:
        if not isinstance(symbols, list) or not all(
            isinstance(s, dict) and isinstance(s.get("code"), str) for s in symbols
        ):
            return Reply([_answer(request, 202, "request data param invalid")])
        found = list(dict.fromkeys(filter(self.terms.knows, filter(None, (code_of(s["code"]) for s in symbols)))))
        if symbols and not found:
            return Reply([_answer(request, 600, "code invalid")])
        # Documented: what is beyond the limit is cut off, and the answer is the same.
        codes = frozenset(found[: self.terms.codes_per_connection or CODES])
        self.subscription, self.fresh = Subscription(codes, trades_only=True), codes
        return Reply([_answer(request)])


def _admit(_terms: Terms, handshake: Handshake) -> Refusal | None:
    return None if handshake.query("token") or _terms.token is None else Refusal(401, _SHORT_OF_A_TOKEN.encode())


def _answer(request: Json, ret: int = 200, msg: str = "ok") -> str:
    echoed = {name: request.get(name) for name in ("seq_id", "trace")}
    return text({"ret": ret, "msg": msg, "cmd_id": request["cmd_id"] + 1, **echoed, "data": {}})


def _error(ret: int, msg: str) -> str:
    return text({"ret": ret, "msg": msg, "cmd_id": 0, "seq_id": 0, "trace": "", "data": {}})


def _push(one: Print, *, swapped: bool) -> Sent:
    seq = 2 * one.number
    lots = None if one.volume is None else one.volume / lot_of(one.code)
    tick: Json = {"code": one.code, "price": one.price, "time": one.time, "seq": seq}
    volume = turnover = ""
    if lots is not None:
        volume, turnover = plain(lots), f"{one.price * lots:.6f}"
        tick["volume"] = one.volume
        tick["turnover"] = round(one.price * lots * lot_of(one.code), 4)
    if one.side is not None:
        tick["side"] = one.side
    direction = _DIRECTIONS[one.side]
    if swapped:
        amount = f',"volume":{volume},"turnover":{turnover}' if volume else ""
        body = f'"seq":{seq},"tick_time":{one.time},"price":{one.price}{amount},"trade_direction":"{direction}"'
    else:
        body = (
            f'"seq":"{seq}","tick_time":"{one.time}","price":"{one.price:.6f}","volume":"{volume}",'
            f'"turnover":"{turnover}","trade_direction":{direction}'
        )
    frame = f'{{"cmd_id":22998,"data":{{"code":"{suffixed(one.code)}",{body}}}}}'
    return Sent(frame.encode(), binary=False, ticks=[tick] if one.genuine else [])


ALLTICK = Provider(
    "alltick",
    AllTickSession,
    _admit,
    connections=10,
    trades_only=True,
    throttled_seconds=3.0,
    answers_beats=True,
    knows_repeats=True,
)
