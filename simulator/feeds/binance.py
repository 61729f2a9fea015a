"""Binance's server: mini tickers; here the drawn market under symbols of six letters and USDT.

The A share 600519 is GAAFBJUSDT (0 is A, 9 is J), at its price in yuan, now USDT. No token. Streams are in the address
(``/ws/!miniTicker@arr``, ``/ws/gaafbjusdt@miniTicker``, ``/stream?streams=a/b``, which wraps each message), or are
subscribed by ``{"method":"SUBSCRIBE","params":[…],"id":1}``. Numbers are text; ``v`` and ``q`` are sums of 24
hours, here of the trading day. More than 5 messages in a second are the end of a connection, more than 1,024 streams
are refused.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from urllib.parse import unquote, urlsplit

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
    distinct,
    parse,
    plain,
    text,
)

EXCHANGE = "BINANCE"
STREAMS = 1_024
MESSAGES_A_SECOND = 5
ALL = "!miniTicker@arr"
_ONE = "@miniTicker"


class BinanceSession(Session):
    """One connection of Binance's market streams."""

    def __init__(self, terms: Terms, handshake: Handshake, now: float) -> None:
        """See ``Session``; streams may be in the address."""
        super().__init__(terms, handshake, now)
        address = urlsplit(handshake.path)
        self._wrapped = address.path.rstrip("/").endswith("/stream")
        listed = handshake.query("streams") or "" if self._wrapped else unquote(address.path).rpartition("/ws/")[2]
        self._streams: dict[str, None] = {}
        self._asked: deque[float] = deque(maxlen=MESSAGES_A_SECOND)
        self._seen: dict[str, tuple[int, float]] = {}
        self._hold([name for name in listed.split("/") if "@" in name])

    def receive(self, message: str | bytes, now: float) -> Reply:
        """``SUBSCRIBE``, ``UNSUBSCRIBE`` and ``LIST_SUBSCRIPTIONS``."""
        self.heard = now
        if len(self._asked) == MESSAGES_A_SECOND and now - self._asked[0] < 1.0:
            return self.says("throttled")
        self._asked.append(now)
        request = parse(message)
        if request is None:
            return Reply([text({"error": {"code": 3, "msg": "Invalid JSON"}, "id": None})])
        method, params, number = request.get("method"), request.get("params"), request.get("id")
        if method == "LIST_SUBSCRIPTIONS":
            return Reply([text({"result": list(self._streams), "id": number})])
        if method not in {"SUBSCRIBE", "UNSUBSCRIBE"} or not isinstance(params, list):
            return Reply([text({"error": {"code": 2, "msg": "Invalid request"}, "id": number})])
        names = [name for name in params if isinstance(name, str)]
        if method == "UNSUBSCRIBE":
            for name in names:
                self._streams.pop(name, None)
            self._hold([])
        elif len(self._streams.keys() | set(names)) > (self.terms.codes_per_connection or STREAMS):
            return self.says("too_many_codes")
        else:
            self._hold(names)
        return Reply([text({"result": None, "id": number})])

    def encode(self, prints: Sequence[Print]) -> list[Sent]:
        """An array for the market, an object for a symbol, each in its wrapper where the address asked for it."""
        if ALL in self._streams:
            return [
                self._frame(ALL, [self._ticker(one) for one in part], part)
                for part in distinct(prints, self.terms.ticks_per_frame)
            ]
        return [self._frame(f"{in_letters(one.code).lower()}usdt{_ONE}", self._ticker(one), [one]) for one in prints]

    def says(self, trouble: Trouble) -> Reply:
        """Errors carry a code and a text."""
        match trouble:
            case "throttled":
                return Reply([_error(1_000, "Too many requests")], (POLICY_VIOLATION, "Too many requests"))
            case "too_many_codes":
                return Reply([_error(1_001, "Too many streams")])
            case "unauthorised" | "kicked":
                return Reply(close=(POLICY_VIOLATION, "disconnected"))
            case "error":
                return Reply([_error(1, "internal error")])

    def _hold(self, names: Sequence[str]) -> None:
        self._streams |= dict.fromkeys(names)
        if ALL in self._streams:
            self.subscription, self.fresh = Subscription(None), None
            return
        symbols = (name.removesuffix(_ONE).upper().removesuffix("USDT") for name in self._streams)
        codes = frozenset(code for code in map(from_letters, symbols) if code is not None and self.terms.knows(code))
        self.subscription = Subscription(codes)
        self.fresh = codes

    def _frame(self, stream: str, data: object, prints: Sequence[Print]) -> Sent:
        wrapped = self._wrapped or self.form.shape % 2
        ticks = [tick for one in prints if (tick := self._read(one)) is not None]
        return Sent(text({"stream": stream, "data": data} if wrapped else data).encode(), binary=False, ticks=ticks)

    def _ticker(self, one: Print) -> Json:
        numbers = {
            "c": one.price,
            "o": one.open,
            "h": one.high,
            "l": one.low,
            "v": one.day_volume if one.genuine else 0,
            "q": one.day_turnover if one.genuine else 0,
        }
        shown = numbers if self.form.swapped else {key: plain(value) for key, value in numbers.items()}
        return {"e": "24hrMiniTicker", "E": one.time, "s": f"{in_letters(one.code)}USDT", **shown}

    def _read(self, one: Print) -> Json | None:
        """Without a volume: the difference of two sums over a window that moves is none."""
        if not one.genuine or self._seen.get(one.code) == (one.time, one.day_volume):
            return None
        self._seen[one.code] = (one.time, one.day_volume)
        return {"code": _written(one.code), "price": one.price, "time": one.time}


def _written(code: str) -> str:
    return f"{in_letters(code)}USDT.{EXCHANGE}"


def _error(code: int, message: str) -> str:
    return text({"error": {"code": code, "msg": message}, "id": None})


BINANCE = Provider(
    "binance",
    BinanceSession,
    knows_repeats=True,
    cumulative=True,
    shapes=2,
    writes=_written,
)
