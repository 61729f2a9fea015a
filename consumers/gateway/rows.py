"""A row as clients get it: a snapshot's fields and what is known beside them, each encoded once. Pure."""

from __future__ import annotations

from datetime import date
from functools import lru_cache
from typing import Any, Protocol

import msgspec

from instruments.known import Known
from market.bands import day_band_e4
from market.codes import Board, Instrument, UnknownCode, instrument
from market.prices import SCALE, to_e4

FIELDS = (
    "code",
    "exchange",
    "board",
    "price",
    "time",
    "received",
    "session",
    "open",
    "high",
    "low",
    "ticks",
    "volume",
    "turnover",
    "previous_close",
    "gap",
    "doubtful",
    "quality",
    "name",
    "limit_up",
    "limit_down",
    "limit",
)
_TAKEN = tuple(field for field in FIELDS if field not in {"board", "name", "limit_up", "limit_down", "limit"})
_encode = msgspec.json.Encoder().encode
_NAMES = {field: b'"%s":' % field.encode() for field in FIELDS}


class Record(Protocol):
    """A snapshot, whichever library has read it."""

    @property
    def code(self) -> str:
        """The code in the one form."""

    @property
    def session(self) -> str:
        """The Shanghai date, YYYY-MM-DD."""

    @property
    def price(self) -> float:
        """Yuan."""

    @property
    def previous_close(self) -> float | None:
        """Yuan."""


class Row:
    """One state of a code; a change of it is another row.

    Attributes:
        price: 1/10,000 yuan.
        low, high: the session's limits in 1/10,000 yuan, ``None`` where there are none or they are not known.
    """

    __slots__ = ("_fragments", "board", "code", "high", "low", "name", "price", "record")

    def __init__(self, record: Any, known: Known) -> None:
        """Encoded when it is first asked for."""
        self.record = record
        self.code: str = record.code
        self.price = to_e4(record.price)
        self.board = named(self.code)[0]
        facts = known.get(self.code)
        self.name = None if facts is None else facts.name
        self.low: int | None
        self.high: int | None
        if facts is not None and facts.day == record.session and facts.limit_up and facts.limit_down:
            self.low, self.high = to_e4(facts.limit_down), to_e4(facts.limit_up)
        else:
            close = record.previous_close
            st = bool(facts is not None and facts.st)
            band = None if close is None else _band(self.code, to_e4(close), record.session, st)
            self.low, self.high = (None, None) if band is None else band
        self._fragments: dict[tuple[str, ...], bytes] = {}

    @property
    def limit(self) -> str | None:
        """At which limit the price stands: up, down or neither."""
        if self.high is not None and self.price >= self.high:
            return "up"
        return "down" if self.low is not None and self.price <= self.low else None

    def fragment(self, fields: tuple[str, ...]) -> bytes:
        """The row as JSON, encoded once for the same fields."""
        known = self._fragments.get(fields)
        if known is None:
            known = self._fragments[fields] = self._encoded(fields)
        return known

    def _encoded(self, fields: tuple[str, ...]) -> bytes:
        values = {field: getattr(self.record, field) for field in _TAKEN if field in fields}
        values |= {
            "board": self.board.name,
            "name": self.name,
            "limit_up": None if self.high is None else self.high / SCALE,
            "limit_down": None if self.low is None else self.low / SCALE,
            "limit": self.limit,
        }
        return _encode({field: values[field] for field in fields})


@lru_cache(maxsize=131_072)
def named(code: str) -> tuple[Board, Instrument | None]:
    """A code's board, and what it names."""
    try:
        found = instrument(code)
    except UnknownCode:
        return Board.OTHER, None
    return found.board, found


@lru_cache(maxsize=131_072)
def _band(code: str, close: int, session: str, st: bool) -> tuple[int, int] | None:  # noqa: FBT001 - of a cached function
    what = named(code)[1]
    if what is None:
        return None
    try:
        return day_band_e4(close, what, date.fromisoformat(session), st=st)
    except ValueError:
        return None
