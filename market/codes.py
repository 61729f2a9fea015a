"""Codes: what six digits name, on which exchange and board, and the many ways in which vendors write it.

A code travels in exactly one form, so that one instrument has one key:

- an A share is its bare six digits, ``600519``, and bare six digits are an A share and nothing else;
- everything else (index, fund, B share, bond, foreign) carries its exchange, ``000001.SSE``: the same digits can name
  two instruments, as 000001 is a bank in Shenzhen and the index in Shanghai.

``instrument`` reads that form and refuses any other; ``normalise`` turns a vendor's form into it.
Ranges: the exchanges' code tables, as gathered in 2026 (B shares 900xxx, hence 920 by three digits and never 9 alone).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from functools import lru_cache


class Board(StrEnum):
    """The boards that trading rules tell apart; what is not an A share is on none of them."""

    MAIN = "MAIN"
    CHINEXT = "CHINEXT"
    STAR = "STAR"
    BSE = "BSE"
    OTHER = "OTHER"


class Kind(StrEnum):
    """What an instrument is, as far as its digits tell."""

    A_SHARE = "A share"
    B_SHARE = "B share"
    INDEX = "index"
    FUND = "fund"
    CONVERTIBLE = "convertible bond"
    REPO = "repo"
    OTHER = "other"


class UnknownCode(ValueError):  # noqa: N818 - named after what it says
    """Not a code in the one form; the text says what it is instead, where that can be told, and how to write it."""


@dataclass(frozen=True, slots=True)
class Instrument:
    """What a code names. ``code`` is the text that ``instrument`` was given."""

    code: str
    exchange: str
    board: Board
    kind: Kind

    @property
    def a_share(self) -> bool:
        """Whether it is an A share of Shanghai, Shenzhen or Beijing."""
        return self.kind is Kind.A_SHARE


@dataclass(frozen=True, slots=True)
class CodeRange:
    """The codes that begin with ``prefix``; ``until`` is the last day on which the exchange used them."""

    prefix: str
    exchange: str
    board: Board
    kind: Kind = Kind.A_SHARE
    until: date | None = None


# Beijing's older listings kept their codes of the former third board until all moved to 920 after the October holidays.
_LAST_LEGACY_DAY = date(2025, 9, 30)

A_SHARE_RANGES = (
    *(CodeRange(prefix, "SSE", Board.MAIN) for prefix in ("600", "601", "603", "605")),
    *(CodeRange(prefix, "SSE", Board.STAR) for prefix in ("688", "689")),
    *(CodeRange(prefix, "SZSE", Board.MAIN) for prefix in ("000", "001", "002", "003")),
    *(CodeRange(prefix, "SZSE", Board.CHINEXT) for prefix in ("300", "301", "302")),
    CodeRange("920", "BSE", Board.BSE),
    *(CodeRange(prefix, "BSE", Board.BSE, until=_LAST_LEGACY_DAY) for prefix in ("43", "83", "87", "88")),
)

_OTHER_RANGES = tuple(
    CodeRange(prefix, exchange, Board.OTHER, kind)
    for exchange, kind, prefixes in (
        ("SSE", Kind.INDEX, ("000",)),
        ("SSE", Kind.B_SHARE, ("900",)),
        ("SSE", Kind.FUND, ("5",)),
        ("SSE", Kind.CONVERTIBLE, ("11",)),
        ("SSE", Kind.REPO, ("204",)),
        ("SZSE", Kind.INDEX, ("399",)),
        ("SZSE", Kind.B_SHARE, ("200", "201")),
        ("SZSE", Kind.FUND, ("15", "16", "18")),
        ("SZSE", Kind.CONVERTIBLE, ("12",)),
        ("SZSE", Kind.REPO, ("131",)),
        ("BSE", Kind.INDEX, ("899",)),
    )
    for prefix in prefixes
)

# How vendors write the three exchanges; the first of each is ours.
_SPELLINGS = {
    spelling: spellings[0]
    for spellings in (
        ("SSE", "SH", "SS", "SHSE", "XSHG"),
        ("SZSE", "SZ", "XSHE"),
        ("BSE", "BJ", "BJSE", "XBSE"),
    )
    for spelling in spellings
}
EXCHANGES = frozenset(_SPELLINGS.values())
_FOREIGN_PREFIXES = frozenset({"HK", "US"})  # written before the symbol by some vendors: HK.00700

_DIGITS = 6
_SHOWN = 40  # characters of a refused code that an error repeats
_WITH_EXCHANGE = re.compile(r"([0-9A-Z][0-9A-Z-]{0,15})\.([A-Z]{2,10})")
_GLUED = re.compile(r"([A-Z]{2,4})([0-9]{6})")
_CACHED = 32_768  # several times all that is listed: a feed of made-up codes can't grow it


def a_share_prefixes(on: date | None = None) -> tuple[CodeRange, ...]:
    """The ranges that A shares have on a day; without a day, those in use now."""
    return tuple(r for r in A_SHARE_RANGES if r.until is None or (on is not None and on <= r.until))


@lru_cache(maxsize=_CACHED)
def instrument(code: str) -> Instrument:
    """What a code in the one form names. Beijing's codes from before October 2025 are known for the sake of recordings.

    Raises:
        UnknownCode: neither the bare digits of an A share nor ``DIGITS.EXCHANGE`` of something else. An A share written
            with its exchange is refused too (``600519.SSE``): two spellings would be two keys.
    """
    if _six_digits(code):
        return _bare(code)
    return _with_exchange(code)


@lru_cache(maxsize=_CACHED)
def normalise(written: str) -> str:
    """The one form of a code, from any that vendors use.

    ``600519``, ``600519.SH``, ``600519.SSE``, ``600519.XSHG``, ``600519$SH``, ``SH.600519``, ``SH600519``, ``sh600519``
    and ``1.600519`` (1 Shanghai; 0 Shenzhen and Beijing) are all 600519; ``sh000001`` is ``000001.SSE``, the index, and
    ``000001.SZ`` is 000001, the bank. What is listed elsewhere keeps its exchange: ``AAPL$US`` is ``AAPL.US``.

    Raises:
        UnknownCode: none of these forms, or digits that the named exchange does not have.
    """
    text = written.upper()
    if _six_digits(text):
        return instrument(text).code
    symbol, exchange = _split(text)
    own = _a_share_range(symbol)
    if exchange == "0":
        exchange = "BSE" if own is not None and own.exchange == "BSE" else "SZSE"
    elif exchange == "1":
        exchange = "SSE"
    exchange = _SPELLINGS.get(exchange, exchange)
    if own is not None and own.exchange == exchange:
        return symbol
    return instrument(f"{symbol}.{exchange}").code


def _bare(code: str) -> Instrument:
    own = _a_share_range(code)
    if own is not None:
        return Instrument(code, own.exchange, own.board, Kind.A_SHARE)
    for other in _OTHER_RANGES:
        if code.startswith(other.prefix):
            article = "an" if other.kind is Kind.INDEX else "a"
            raise UnknownCode(f"{code} is {article} {other.kind}: write {code}.{other.exchange}")
    raise UnknownCode(f"{code} is in no range of A shares; anything else carries its exchange: {code}.EXCHANGE")


def _with_exchange(code: str) -> Instrument:
    match = _WITH_EXCHANGE.fullmatch(code)
    if match is None:
        raise UnknownCode(f"{code[:_SHOWN]!r} is neither the six digits of an A share nor DIGITS.EXCHANGE")
    symbol, exchange = match.groups()
    ours = _SPELLINGS.get(exchange)
    if ours is None:
        return Instrument(code, exchange, Board.OTHER, Kind.OTHER)
    if not _six_digits(symbol):
        raise UnknownCode(f"{code}: codes of {ours} have six digits")
    own = _a_share_range(symbol)
    if own is not None and own.exchange == ours:
        raise UnknownCode(f"{code} is an A share: write {symbol}")
    kinds = [r.kind for r in _OTHER_RANGES if r.exchange == ours and symbol.startswith(r.prefix)]
    if own is not None and not kinds:
        raise UnknownCode(f"{ours} has no {symbol}, it is an A share of {own.exchange}: write {symbol}")
    if exchange != ours:
        raise UnknownCode(f"{code}: write {symbol}.{ours}")
    return Instrument(code, ours, Board.OTHER, kinds[0] if kinds else Kind.OTHER)


def _split(text: str) -> tuple[str, str]:
    """Symbol and exchange of a vendor's form, the exchange as written."""
    glued = _GLUED.fullmatch(text)
    if glued is not None and glued[1] in _SPELLINGS:
        return glued[2], glued[1]
    first, separator, second = text.replace("$", ".").partition(".")
    if not separator:
        raise UnknownCode(
            f"{text[:_SHOWN]!r} is not a code: write six digits as 600519, or with the exchange as 600519.SH"
        )
    exchange_first = first in _SPELLINGS or first in _FOREIGN_PREFIXES or (first in {"0", "1"} and _six_digits(second))
    return (second, first) if exchange_first else (first, second)


def _six_digits(text: str) -> bool:
    return len(text) == _DIGITS and text.isascii() and text.isdigit()


def _a_share_range(symbol: str) -> CodeRange | None:
    if not _six_digits(symbol):
        return None
    return next((r for r in A_SHARE_RANGES if symbol.startswith(r.prefix)), None)
