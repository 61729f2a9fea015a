"""The book and the day's figures of a recording's row, where it has any: under the names of the post's protocol.

Figures come from columns of any known name (``simulator.columns``). A book comes from JSON alone, as a ledger holds it:
``bids`` and ``asks``, arrays of ``[price, volume]`` or of objects with these two, in yuan and shares.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from simulator import values
from simulator.columns import FIGURES, Column
from simulator.values import ValueUnreadError

SIDES = ("bids", "asks")


def beside(row: Mapping[str, Any], found: Mapping[str, Column]) -> dict[str, Any]:
    """What a row has; a figure of 0 that is a price says that nothing was traded yet, and is left out.

    Raises:
        ValueUnreadError: one is in no form that is known; the text names the column.
    """
    read: dict[str, Any] = {}
    for field in FIGURES:
        column = found.get(field)
        if column is None:
            continue
        try:
            number = values.number(row.get(column.name), field, column.scale)
        except ValueUnreadError as error:
            raise ValueUnreadError(f"{column.name.strip()} {error}") from error
        if number or (number is not None and field.startswith("day_")):
            read[field] = number
    for side in SIDES:
        if row.get(side) is not None:
            read[side] = _levels(side, row[side])
    return read


def _levels(side: str, written: Any) -> list[list[float]]:
    if not isinstance(written, list):
        raise ValueUnreadError(f"{side} {str(written)[:40]!r} is not an array of [price, volume]")
    levels: list[Any] = [
        [level.get("price"), level.get("volume")] if isinstance(level, dict) else level for level in written
    ]
    for level in levels:
        if (
            not isinstance(level, list)
            or len(level) != len(SIDES)
            or not all(type(one) in (int, float) for one in level)
        ):
            raise ValueUnreadError(f"{side} {str(level)[:40]!r} is not [price, volume]")
    return [level for level in levels if level[0] > 0]
