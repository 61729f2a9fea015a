"""Codes as vendors write them, to and from the one form of ``market.codes``, and what a unit of volume is there."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from typing import NamedTuple

from market.codes import UnknownCode, instrument, normalise
from producer.feeds.limits import BEYOND, CODES, FOREIGN_CODES
from producer.feeds.provider import Units
from producer.feeds.reading import RefusedError
from schemas import UsageError

_SUFFIXES = {"SSE": "SH", "SZSE": "SZ", "BSE": "BJ"}


class Place(NamedTuple):
    """What a vendor's code names."""

    code: str
    exchange: str
    shares: int
    """A unit of volume is so many."""


class Places:
    """Reads one feed's codes, and remembers them."""

    def __init__(self, units: Units, *, foreign: bool) -> None:
        """With ``foreign``, what is no A share passes too, but no more than ``FOREIGN_CODES`` of them."""
        self._units = units
        self._foreign = foreign
        self._foreigners: set[str] = set()
        self._known: dict[str, Place] = {}
        self.get = self._known.get
        """The place of a code that was found before, else ``None``."""

    def find(self, written: str, exchange: str | None = None) -> Place:
        """The place of a code in any form that ``market.codes.normalise`` reads.

        Args:
            exchange: that of a bare code, where something beside it says so.

        Raises:
            RefusedError: it names nothing, or no A share.
        """
        known = written
        if exchange is not None and "." not in written:
            written = f"{written}.{exchange}"
        try:
            found = instrument(normalise(written.strip()))
        except UnknownCode as error:
            raise RefusedError(f"code: {error}") from error
        if not (self._foreign or found.a_share):
            raise RefusedError(f"code: {found.code} is no A share; --foreign lets it through")
        if not found.a_share:
            self._make_room(found.code)
        return self._remember(known, Place(found.code, found.exchange, self._units.shares_per_unit(found.board)))

    def of_exchange(self, symbol: str, exchange: str) -> Place:
        """The place of a symbol outside of China, of a feed that has only those.

        Raises:
            RefusedError: the symbol has no form here: letters and digits in capitals, dots and dashes, 16 at most.
        """
        try:
            found = instrument(f"{symbol.replace('.', '-')}.{exchange}")
        except UnknownCode as error:
            raise RefusedError(f"code: {error}") from error
        self._make_room(found.code)
        return self._remember(symbol, Place(found.code, found.exchange, self._units.shares_per_unit(found.board)))

    def _make_room(self, code: str) -> None:
        """Keep a code that is no A share.

        Raises:
            RefusedError: there are too many: whatever a server invents, the tables by code stay bounded.
        """
        if code in self._foreigners:
            return
        if len(self._foreigners) >= FOREIGN_CODES:
            raise RefusedError(f"{BEYOND} of one line that are no A shares: {code}")
        self._foreigners.add(code)

    def _remember(self, written: str, place: Place) -> Place:
        if len(self._known) >= CODES:
            self._known.clear()
        self._known[written] = place
        return place


@lru_cache(maxsize=32_768)
def suffixed(code: str, separator: str = ".") -> str:
    """``600519.SH``, ``000001.SZ``, ``920819.BJ``; an index or a fund, ``000001.SSE`` here, likewise.

    Raises:
        UsageError: it is no code.
    """
    try:
        found = instrument(normalise(code))
    except UnknownCode as error:
        raise UsageError(str(error)) from error
    symbol = found.code.partition(".")[0]
    return f"{symbol}{separator}{_SUFFIXES.get(found.exchange, found.exchange)}"


def symbol_of(code: str, exchange: str, feed: str) -> str:
    """The symbol of ``AAPL.US`` at a feed that has only this exchange's instruments.

    Raises:
        UsageError: the code is of another one.
    """
    symbol, _, place = code.strip().upper().rpartition(".")
    if not symbol or place != exchange:
        raise UsageError(f"{feed} has no {code}: its codes are written SYMBOL.{exchange}")
    return symbol


def chunks(codes: Sequence[str], most: int | None) -> Iterator[Sequence[str]]:
    """Runs of at most so many codes."""
    size = most or max(len(codes), 1)
    return (codes[at : at + size] for at in range(0, len(codes), size))


def listed(feed: str, codes: Sequence[str] | None) -> Sequence[str]:
    """The codes of a request to a provider without a wildcard.

    Raises:
        UsageError: the whole market was asked for.
    """
    if codes is None:
        raise UsageError(f"{feed} has no subscription to the whole market: give --symbols or --watchlist")
    return codes


def read_codes(written: Iterable[object]) -> tuple[str, ...]:
    """The codes of an answer, in the one form; what is none is left as it is."""
    return tuple(_one_form(code) for code in written if isinstance(code, str))


def _one_form(written: str) -> str:
    try:
        return normalise(written)
    except UnknownCode:
        return written
