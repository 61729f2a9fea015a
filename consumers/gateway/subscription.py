"""What a client asks for: which codes, from which move on, how often, and which fields. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import msgspec

from consumers.gateway.rows import FIELDS
from jobs.thresholds import Threshold, parse
from market.codes import Board, UnknownCode
from market.kinds import resolve
from market.rules import tick_size_e4
from schemas import UsageError
from schemas.outside import printable

MAX_HZ = 20.0
MAX_CODES = 10_000
MAX_ID = 32
_BP_E2 = 1_000_000
"""1/100 basis points of one."""


class Subscribe(msgspec.Struct, forbid_unknown_fields=True, tag_field="type", tag="subscribe"):
    """The message, as it comes."""

    id: str = "main"
    codes: str | list[str] = "*"
    boards: str | list[str] | None = None
    threshold: float | dict[Literal["yuan", "ticks", "bp"], float] = 0.0
    max_hz: float = 4.0
    fields: list[str] | None = None
    trailing: bool = True
    snapshot: bool = True


@dataclass(frozen=True)
class Subscription:
    """What clients with equal settings share.

    Attributes:
        codes: those wanted, ``None`` for all.
        boards: of those, which boards; ``None`` for all.
        threshold: a row is sent when its price has moved by more.
        period: seconds between two sends of one row at least, and to the last value of a burst at most.
        fields: of each row, in order.
        trailing: whether the last value of a burst is sent, however small its move is.
    """

    id: str
    codes: frozenset[str] | None
    boards: frozenset[Board] | None
    threshold: Threshold
    period: float
    fields: tuple[str, ...]
    trailing: bool

    def covers(self, code: str, board: Board) -> bool:
        """Whether it is about a row."""
        return (self.codes is None or code in self.codes) and (self.boards is None or board in self.boards)


class Move:
    """Whether a move is larger than a threshold; prices in 1/10,000 yuan."""

    __slots__ = ("_bp_e2", "_ticks", "_yuan_e4")

    def __init__(self, threshold: Threshold) -> None:
        """Prices are whole, so the fraction of a threshold decides nothing."""
        self._yuan_e4 = None if threshold.yuan_e4 is None else int(threshold.yuan_e4)
        self._ticks = threshold.ticks
        self._bp_e2 = threshold.bp_e2

    def larger(self, code: str, before: int, now: int) -> bool:
        """Whether the price has moved by more, from what was sent to what there is."""
        moved = now - before if now > before else before - now
        if self._yuan_e4 is not None:
            return moved > self._yuan_e4
        if self._ticks is not None:
            return moved > self._ticks * tick_size_e4(code)
        return moved * _BP_E2 > (self._bp_e2 or 0) * before


def read(asked: Subscribe, *, max_hz: float = MAX_HZ) -> Subscription:
    """The subscription that a message asks for; codes in the one form.

    Raises:
        UsageError: a value can't be meant; the text names the field and the fix.
    """
    if not 0 < len(asked.id) <= MAX_ID or not asked.id.isprintable():
        raise UsageError(f"id: 1 to {MAX_ID} printable characters")
    if not 0.01 <= asked.max_hz <= max_hz:
        raise UsageError(f"max_hz: {asked.max_hz:g} is not between 0.01 and {max_hz:g}")
    fields = FIELDS if asked.fields is None else _fields(asked.fields)
    return Subscription(
        asked.id,
        read_codes(asked.codes),
        read_boards(asked.boards),
        _threshold(asked.threshold),
        1.0 / asked.max_hz,
        fields,
        asked.trailing,
    )


def read_codes(asked: str | Sequence[str]) -> frozenset[str] | None:
    """Codes as an array, a comma string or ``*``; ``None`` for all.

    Raises:
        UsageError: one is not a code, there is none, or there are too many.
    """
    written = asked.split(",") if isinstance(asked, str) else list(asked)
    codes = [code.strip() for code in written if code.strip()]
    if codes == ["*"]:
        return None
    if not codes:
        raise UsageError("codes: give some, or * for all")
    if len(codes) > MAX_CODES:
        raise UsageError(f"codes: {len(codes):,} are more than {MAX_CODES:,}: ask for *, or for boards")
    try:
        return frozenset(map(resolve, codes))
    except UnknownCode as error:
        raise UsageError(f"codes: {printable(str(error))}") from None


def read_boards(asked: str | Sequence[str] | None) -> frozenset[Board] | None:
    """Boards as an array or a comma string; ``None`` for all.

    Raises:
        UsageError: one is not a board.
    """
    if asked is None:
        return None
    names = [name.strip().upper() for name in (asked.split(",") if isinstance(asked, str) else asked) if name.strip()]
    if not names or not set(names) <= set(Board.__members__):
        raise UsageError(f"boards: give some of {', '.join(Board.__members__)}")
    return frozenset(Board[name] for name in names)


def read_fields(asked: str | None) -> tuple[str, ...]:
    """Fields as a comma string; ``None`` for all.

    Raises:
        UsageError: one is not a field.
    """
    return FIELDS if asked is None else _fields([name.strip() for name in asked.split(",") if name.strip()])


def _fields(asked: Iterable[str]) -> tuple[str, ...]:
    wanted = set(asked)
    if unknown := sorted(wanted - set(FIELDS)):
        raise UsageError(f"fields: {printable(unknown[0][:40])} is not one of {', '.join(FIELDS)}")
    return tuple(field for field in FIELDS if field == "code" or field in wanted)


def _threshold(asked: float | Mapping[Any, float]) -> Threshold:
    if isinstance(asked, Mapping):
        if len(asked) != 1:
            raise UsageError("threshold: give one of yuan, ticks and bp")
        ((unit, amount),) = asked.items()
    else:
        unit, amount = "yuan", asked
    return parse(f"{amount:.6f}".rstrip("0").rstrip(".") + {"yuan": "", "ticks": "ticks", "bp": "bp"}[unit])
