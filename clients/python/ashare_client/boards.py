"""The board that a code is on, by its first digits.

A bare six-digit code is an A share; whatever else (an index, a fund) carries its exchange, as `000001.SSE`, and is on
none of these boards.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache

from ashare_client.errors import ArgumentError

_PREFIXES = {
    "SSE-MAIN": ("600", "601", "603", "605"),
    "SZSE-MAIN": ("000", "001", "002", "003"),
    "CHINEXT": ("300", "301", "302"),
    "STAR": ("688", "689"),
    # 43, 83, 87, 88: Beijing's codes from before October 2025, for the sake of what is replayed.
    "BSE": ("920", "43", "83", "87", "88"),
}
_GROUPS = {"MAIN": frozenset({"SSE-MAIN", "SZSE-MAIN"})}
_BOARDS = {prefix: board for board, prefixes in _PREFIXES.items() for prefix in prefixes}
_DIGITS = 6

BOARDS = (*_PREFIXES, *_GROUPS)
"""What `boards=` takes; `MAIN` is the main boards of Shanghai and Shenzhen together."""


@lru_cache(maxsize=32_768)
def board(code: str) -> str | None:
    """The board of a code: `SSE-MAIN`, `SZSE-MAIN`, `CHINEXT`, `STAR` or `BSE`; `None` for what is not an A share."""
    if len(code) != _DIGITS or not code.isascii() or not code.isdigit():
        return None
    return _BOARDS.get(code[:3]) or _BOARDS.get(code[:2])


def expand(names: Iterable[str]) -> frozenset[str]:
    """The single boards behind names.

    Raises:
        ArgumentError: there is no such board.
    """
    found: set[str] = set()
    for name in names:
        written = str(name).upper()
        if written not in BOARDS:
            raise ArgumentError(f"boards: there is no {name!r}: take {', '.join(BOARDS)}")
        found |= _GROUPS.get(written, {written})
    return frozenset(found)
