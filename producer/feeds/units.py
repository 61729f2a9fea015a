"""The settings of a feed's units, laid over what its provider declares."""

from __future__ import annotations

from typing import cast, get_args

from market.codes import Board
from producer.feeds.provider import TimeUnit, TurnoverRule, Units, VolumeUnit
from schemas import UsageError


def units_of(declared: Units, volume_unit: str | None, turnover: str | None, time_unit: str | None) -> Units | None:
    """The declared units with those that the settings override; ``None`` where they override none.

    Raises:
        UsageError: none of the units.
    """
    if volume_unit is None and turnover is None and time_unit is None:
        return None
    volume, by_board = declared.volume, dict(declared.volume_by_board)
    for part in (volume_unit or "").split(","):
        board, equals, unit = part.strip().rpartition("=")
        if not part.strip():
            continue
        if unit not in get_args(VolumeUnit) or (equals and board.upper() not in Board.__members__):
            raise UsageError(
                f"--volume-unit {volume_unit}: write shares or lots, and boards that differ as"
                f" lots,STAR=shares (boards: {', '.join(Board.__members__)})"
            )
        if equals:
            by_board[Board[board.upper()]] = cast("VolumeUnit", unit)
        else:
            volume, by_board = cast("VolumeUnit", unit), {}
    for flag, value, known in (
        ("--turnover", turnover, get_args(TurnoverRule)),
        ("--time-unit", time_unit, get_args(TimeUnit)),
    ):
        if value is not None and value not in known:
            raise UsageError(f"{flag} {value} is none of: {', '.join(known)}")
    return Units(
        volume,
        by_board,
        cast("TurnoverRule", turnover or declared.turnover),
        cast("TimeUnit", time_unit or declared.time),
    )
