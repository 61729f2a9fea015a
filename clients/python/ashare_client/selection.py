"""Which records are wanted: told by the key, before anything is decoded."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from ashare_client.boards import board, expand
from ashare_client.errors import ArgumentError
from ashare_client.records import PriceChange

_REMEMBERED = 65_536
_CODE = re.compile(r"[0-9]{6}|[0-9A-Za-z-]+\.[A-Za-z]+")
_MOVE = re.compile(r"([0-9]+(?:\.[0-9]+)?)\s*(bp|)")


class Selection:
    """Codes and boards: a code is wanted that is named, or is on a named board; all are when neither is given."""

    def __init__(self, codes: Iterable[str] | str | None = None, boards: Iterable[str] | str | None = None) -> None:
        """Any of both; a text may name several with commas between.

        Raises:
            ArgumentError: no code or no board is written like that, or nothing at all would be wanted.
        """
        named, on = _several("codes", codes), _several("boards", boards)
        for code in named or ():
            if not _CODE.fullmatch(code):
                raise ArgumentError(
                    f"codes: {code!r} is not a code: write 600519, or 000001.SSE for what is not an A share"
                )
            if code.isdigit() and board(code) is None:
                raise ArgumentError(f"codes: {code} is not an A share: write it with its exchange, as 510300.SSE")
        self.codes = None if named is None else frozenset(named)
        self.boards = None if on is None else expand(on)
        self.everything = self.codes is None and self.boards is None
        self._known: dict[bytes, bool] = {}

    def wants(self, code: str) -> bool:
        """Whether a code's records are wanted."""
        if self.everything or (self.codes is not None and code in self.codes):
            return True
        return self.boards is not None and board(code) in self.boards

    def wants_key(self, key: bytes | None) -> bool:
        """Whether records of this key are wanted; remembered per key."""
        if self.everything:
            return True
        if key is None:
            return False
        wanted = self._known.get(key)
        if wanted is None:
            if len(self._known) >= _REMEMBERED:
                self._known.clear()
            wanted = self._known[key] = self.wants(key.decode("utf-8", "replace"))
        return wanted


@dataclass(frozen=True)
class Move:
    """The least move that is wanted: in yuan (as 1/10,000 yuan, so that 10.23 - 10.22 is 0.01) or in basis points."""

    units: int | None = None
    basis_points: float | None = None

    def reached(self, change: PriceChange) -> bool:
        """Whether a change is at least as large; a code's first, which has no previous price, is none."""
        if self.units is not None:
            return change.change is not None and round(abs(change.change) * 10_000) >= self.units
        assert self.basis_points is not None
        return change.change_bp is not None and abs(change.change_bp) >= self.basis_points


def least_move(given: float | str | None) -> Move | None:
    """What `min_change` says: `0.05` is yuan, `"50bp"` basis points.

    Raises:
        ArgumentError: it says neither.
    """
    if given is None:
        return None
    match = _MOVE.fullmatch(str(given).strip())
    if match is None or isinstance(given, bool):
        raise ArgumentError(f"min_change: {given!r} is not a move: write 0.05 (yuan) or '50bp'")
    return Move(basis_points=float(match[1])) if match[2] else Move(units=round(float(match[1]) * 10_000))


def _several(name: str, given: Iterable[str] | str | None) -> list[str] | None:
    if given is None:
        return None
    each = given.split(",") if isinstance(given, str) else [str(one) for one in given]
    found = [one.strip() for one in each if one.strip()]
    if not found:
        raise ArgumentError(f"{name}: nothing is named, so nothing would come: leave it out to get all")
    return found
