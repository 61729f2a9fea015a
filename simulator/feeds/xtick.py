"""XTick's server: the subscription in the URL, and whole exchanges in zipped binary packets, a map by code.

``/ws/{"token":…,"authCodes":[…]}``, URL-encoded; a class is ``tick.SH.1``, ``tick.SZ.1`` or ``tick.BJ.1``, at most 50
single codes stand beside them. A bad token or class is an immediate close. Chosen where the vendor leaves it open:
``seqNo`` counts the packets of one ``authCode`` on one connection from 1; keys of the map carry their suffix; a single
code's packets carry that code as ``authCode``; a code that ticked twice in a moment comes in two packets. Volume is the
day's, in lots, amount the day's in yuan; the book's sizes are lots, and a level that is not there is 0.
"""

from __future__ import annotations

import gzip
import io
import zipfile
from collections.abc import Sequence
from urllib.parse import unquote, urlsplit

import orjson

from simulator.feed import Subscription
from simulator.feeds.cumulative import Differences
from simulator.feeds.forms import code_of, lot_of, suffixed
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
    text,
    whole,
)

SINGLE_CODES = 50
_CLASSES = {"tick.SH.1": "SSE", "tick.SZ.1": "SZSE", "tick.BJ.1": "BSE"}
_OF_EXCHANGE = {exchange: name for name, exchange in _CLASSES.items()}
_LEVELS = 5


class XTickSession(Session):
    """One connection of XTick's push."""

    def __init__(self, terms: Terms, handshake: Handshake, now: float) -> None:
        """See ``Session``; all is said in the address."""
        super().__init__(terms, handshake, now)
        asked = parse(unquote(urlsplit(handshake.path).path.rpartition("/")[2])) or {}
        token, names = asked.get("token"), asked.get("authCodes")
        self.account = token if isinstance(token, str) else ""
        names = [name for name in names if isinstance(name, str)] if isinstance(names, list) else []
        self._classes = {_CLASSES[name] for name in names if name in _CLASSES}
        singles = [code_of(name) for name in names if name not in _CLASSES]
        self._codes = frozenset(code for code in singles if code is not None and terms.knows(code))
        self._refused = (
            not names or len(self._codes) < len(singles) or len(singles) > (terms.codes_per_connection or SINGLE_CODES)
        )
        self._packets: dict[str, int] = {}
        self._differences = Differences()
        if terms.takes(self.account) and not self._refused:
            self.subscription = Subscription(None if self._classes else self._codes)
            self.fresh = self.subscription.codes

    def greet(self) -> Reply:
        """Nothing, or the end."""
        return Reply() if self.subscription else self.says("unauthorised")

    def receive(self, message: str | bytes, now: float) -> Reply:  # noqa: ARG002 - nothing is documented
        """Whatever a client says is ignored: no message is documented."""
        self.heard = now
        return Reply()

    def select(self, prints: Sequence[Print]) -> list[Print]:
        """Of the exchanges subscribed, or of single codes."""
        classes, codes = self._classes, self._codes
        return [one for one in prints if one.exchange in classes or one.code in codes]

    def encode(self, prints: Sequence[Print]) -> list[Sent]:
        """A packet for each class and single code."""
        by_name: dict[str, list[Print]] = {}
        for one in prints:
            name = _OF_EXCHANGE[one.exchange] if one.exchange in self._classes else suffixed(one.code)
            by_name.setdefault(name, []).append(one)
        size = self.terms.ticks_per_frame
        return [self._packet(name, part) for name, some in by_name.items() for part in distinct(some, size)]

    def says(self, trouble: Trouble) -> Reply:
        """Text frames are messages; what they say is not documented."""
        match trouble:
            case "unauthorised" | "too_many_codes":
                return Reply(close=(POLICY_VIOLATION, "bad token, bad class or no right"))
            case "throttled":
                return Reply([text({"msg": "too many requests"})], (POLICY_VIOLATION, "too many requests"))
            case "kicked":
                return Reply(["kicked: the token is in use elsewhere"], (POLICY_VIOLATION, "token in use"))
            case "error":
                return Reply([text({"msg": "internal error"})])

    def _packet(self, name: str, prints: list[Print]) -> Sent:
        number = self._packets[name] = self._packets.get(name, 0) + 1
        ticks: list[Json] = []
        data: dict[str, Json] = {}
        for one in prints:
            data[suffixed(one.code)] = self._tick(one)
            tick = self._read(one)
            if tick is not None:
                ticks.append(tick)
        packet = orjson.dumps({"period": "tick", "authCode": name, "seqNo": number, "data": data})
        return Sent(packed(packet, self.form.shape), binary=True, ticks=ticks)

    def _tick(self, one: Print) -> Json:
        lot = lot_of(one.code)
        tick: Json = {
            "time": one.time,
            "lastPrice": one.price,
            "open": one.open,
            "high": one.high,
            "low": one.low,
            "lastClose": one.previous_close or 0.0,
            "amount": whole(one.day_turnover),
            "volume": whole(one.day_volume / lot),
        }
        if not one.genuine:
            tick |= dict.fromkeys(("lastPrice", "open", "high", "low", "amount", "volume"), 0)
        if self.form.swapped:
            tick = {key: str(value) for key, value in tick.items()}
        (bid, bid_sizes), (ask, ask_sizes) = _arrays(one.bids, lot), _arrays(one.asks, lot)
        book = {"askPrice": ask, "bidPrice": bid, "askVol": ask_sizes, "bidVol": bid_sizes}
        return tick | ({key: list(map(str, some)) for key, some in book.items()} if self.form.swapped else book)

    def _read(self, one: Print) -> Json | None:
        if not one.genuine or self._differences.repeats(one.code, one.time, one.day_volume):
            return None
        volume, turnover = self._differences.take(one.code, one.time, one.day_volume, one.day_turnover)
        tick: Json = {"code": one.code, "price": one.price, "time": one.time}
        tick |= {name: value for name, value in (("volume", volume), ("turnover", turnover)) if value is not None}
        if one.previous_close:
            tick["previous_close"] = one.previous_close
        if one.beside:
            tick |= {"bids": one.bids or [], "asks": one.asks or [], "open": one.open, "high": one.high, "low": one.low}
            tick |= {"day_volume": one.day_volume, "day_turnover": one.day_turnover}
        return tick


def _arrays(levels: list[list[float]] | None, lot: int) -> tuple[list[float], list[float]]:
    """Prices and lots of five levels; what is not there is 0."""
    prices, sizes = [0.0] * _LEVELS, [0.0] * _LEVELS
    for at, (price, shares) in enumerate((levels or [])[:_LEVELS]):
        prices[at], sizes[at] = price, whole(shares / lot)
    return prices, sizes


def packed(packet: bytes, shape: int) -> bytes:
    """A packet in the forms that binary frames come in: GZIP, ZIP, or not packed at all."""
    match shape % 3:
        case 0:
            return gzip.compress(packet, 1, mtime=0)
        case 1:
            buffer = io.BytesIO()
            with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as file:
                file.writestr(zipfile.ZipInfo("packet.json"), packet, zipfile.ZIP_DEFLATED)
            return buffer.getvalue()
        case _:
            return packet


XTICK = Provider("xtick", XTickSession, knows_repeats=True, cumulative=True, shapes=3)
