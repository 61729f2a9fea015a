"""Codes as the providers write them."""

from __future__ import annotations

from functools import lru_cache

from market.codes import Kind, UnknownCode, instrument
from market.kinds import resolve

_SUFFIXES = {"SSE": "SH", "SZSE": "SZ", "BSE": "BJ"}


@lru_cache(maxsize=32_768)
def suffixed(code: str, separator: str = ".") -> str:
    """``600519.SH``, ``000001.SZ``, ``920819.BJ``; what is not an A share has its exchange in the code already."""
    symbol, _, exchange = code.partition(".")
    if not exchange:
        exchange = instrument(code).exchange
    return f"{symbol}{separator}{_SUFFIXES.get(exchange, exchange)}"


@lru_cache(maxsize=32_768)
def code_of(written: str) -> str | None:
    """The code in the one form that ``market.codes`` knows, ``None`` for what is none."""
    try:
        return resolve(written)
    except UnknownCode:
        return None


@lru_cache(maxsize=32_768)
def lot_of(code: str) -> int:
    """Shares of a lot, or convertible bonds of one."""
    try:
        return 10 if instrument(code).kind is Kind.CONVERTIBLE else 100
    except UnknownCode:
        return 100


_LETTERS = str.maketrans("0123456789", "ABCDEFGHIJ")
_DIGITS = str.maketrans("ABCDEFGHIJ", "0123456789")


@lru_cache(maxsize=32_768)
def in_letters(code: str) -> str:
    """A ticker of six letters for an A share's six digits, 600519 as GAAFBJ: the drawn market under foreign symbols."""
    return code.partition(".")[0].translate(_LETTERS)


@lru_cache(maxsize=32_768)
def from_letters(symbol: str) -> str | None:
    """The A share that stands behind a ticker of ``in_letters``."""
    digits = symbol.translate(_DIGITS)
    return digits if len(digits) == len("600519") and digits.isdigit() else None
