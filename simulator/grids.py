"""The prices that a code of the drawn market can have on a day."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple


class Grid(NamedTuple):
    """The lowest and the highest price of a day and the tick size, in 1/10,000 yuan; and the shares of a lot."""

    low: int
    high: int
    step: int
    lot: int = 100


Grids = Callable[[str], Grid | None]
"""By code; ``None`` where there is no book."""
