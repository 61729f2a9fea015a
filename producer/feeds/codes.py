"""Codes as vendors write them, to and from the one form of ``market.codes``, and what a unit of volume is there."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import lru_cache

import msgspec

from market.codes import Instrument, Kind, UnknownCode, instrument
from market.kinds import DEFAULT, lacking, resolve
from producer.feeds.errors import UnreadableError
from producer.feeds.limits import BEYOND, CODES, FOREIGN_CODES
from producer.feeds.provider import Units
from schemas import UsageError

_SUFFIXES = {"SSE": "SH", "SZSE": "SZ", "BSE": "BJ"}


class Listing(msgspec.Struct, frozen=True, gc=False):
    """What a vendor's code names; a unit of its volume is so many ``shares``."""

    code: str
    exchange: str
    shares: int


class Listings:
    """Reads one feed's codes, and remembers them."""

    def __init__(self, units: Units, *, foreign: bool, home: str = "", kinds: frozenset[Kind] = DEFAULT) -> None:
        """A feed that has named no code yet.

        Args:
            foreign: let through what is not an A share, but no more than ``FOREIGN_CODES`` of them.
            kinds: let these through; of what is not an A share, likewise no more.
            home: the one exchange of the feed, outside of China; its symbols are written without it.
        """
        self._units = units
        self._foreign = foreign
        self._home = home
        self._kinds = kinds
        self._foreign_codes: set[str] = set()
        self._known: dict[str, Listing] = {}
        self.get = self._known.get
        """The listing of a code that was found before, else ``None``."""

    def find(self, written: str) -> Listing:
        """The listing of a code in any form that ``market.kinds.resolve`` reads, or of a symbol of ``home``.

        A symbol is letters and digits in capitals, dots and dashes, 16 at most.

        Raises:
            UnreadableError: it names nothing, or what is not let through, or one code too many that is not an A share.
        """
        try:
            if self._home:
                found = instrument(f"{written.replace('.', '-')}.{self._home}")
            else:
                found = instrument(resolve(written.strip()))
        except UnknownCode as error:
            raise UnreadableError(f"code: {error}") from error
        if not (self._home or self._foreign or found.kind in self._kinds):
            raise UnreadableError(f"code: {_refusal(found, self._kinds)}")
        if not found.a_share:
            self._keep_foreign(found.code)
        if len(self._known) >= CODES:
            self._known.clear()
        listing = Listing(found.code, found.exchange, self._units.shares_per_unit(found.board, found.kind))
        self._known[written] = listing
        return listing

    def _keep_foreign(self, code: str) -> None:
        """Keep a code that is not an A share.

        Raises:
            UnreadableError: there are too many. So the tables by code stay bounded, whatever a server invents.
        """
        if code in self._foreign_codes:
            return
        if len(self._foreign_codes) >= FOREIGN_CODES:
            raise UnreadableError(f"{BEYOND} of one line that are not A shares: {code}")
        self._foreign_codes.add(code)


def _refusal(found: Instrument, kinds: frozenset[Kind]) -> str:
    """Why an instrument is not let through, and what lets it."""
    named = lacking(found, kinds)
    if found.a_share and named is not None:
        return named
    way = "" if named is None else f" ({named})"
    return f"{found.code} is not an A share; --foreign lets it through{way}"


@lru_cache(maxsize=32_768)
def suffixed(code: str, separator: str = ".") -> str:
    """``600519.SH``, ``000001.SZ``, ``920819.BJ``; an index or a fund, ``000001.SSE`` here, likewise.

    Raises:
        UsageError: it is not a code.
    """
    try:
        found = instrument(resolve(code))
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


def read_codes(written: object) -> tuple[str, ...] | None:
    """The codes of an answer, in the one form; what is not a code is left as it is. ``None`` for what is not a list."""
    return tuple(_one_form(code) for code in written if isinstance(code, str)) if isinstance(written, list) else None


def _one_form(written: str) -> str:
    try:
        return resolve(written)
    except UnknownCode:
        return written
