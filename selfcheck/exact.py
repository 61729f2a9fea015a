"""Exact arithmetic on prices: decimals as they are written, never binary fractions of them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import ROUND_HALF_EVEN, Decimal
from functools import lru_cache

from schemas.errors import UsageError

TICK = Decimal("0.01")
"""Tick size of an A share, yuan (rules of the three exchanges); funds, with 0.001, are not in the check's market."""
_FORM = re.compile(r"(?P<size>\d+(?:\.\d+)?)(?P<unit>ticks?|bp)?")


@lru_cache(maxsize=1 << 18)
def exact(number: float) -> Decimal:
    """The decimal that a JSON number was written as: the shortest that reads back as the same float."""
    return Decimal(repr(number))


def basis_points(change: Decimal, previous: Decimal) -> float:
    """``change / previous`` in basis points, two decimals, half away from zero.

    By integers, so without rounding twice.

    Args:
        change: yuan, on the grid of 1/10,000.
        previous: yuan, above 0, on the same grid.
    """
    numerator = int(abs(change) * 10_000) * 10_000 * 100
    denominator = int(previous * 10_000)
    hundredths = (2 * numerator + denominator) // (2 * denominator)
    return (-hundredths if change < 0 else hundredths) / 100


@dataclass(frozen=True, slots=True)
class Rule:
    """A threshold as asked for: ``size`` yuan, ticks or basis points of the last emitted price."""

    size: Decimal
    unit: str

    @classmethod
    def parse(cls, text: str) -> Rule:
        """Read ``0.05``, ``2ticks`` or ``50bp``.

        Raises:
            UsageError: it is none of them.
        """
        match = _FORM.fullmatch(text.strip())
        if match is None:
            raise UsageError(f"threshold {text!r} is not understood (--threshold): give 0.05 (yuan), 2ticks or 50bp")
        return cls(Decimal(match["size"]), {None: "yuan", "tick": "ticks"}.get(match["unit"], match["unit"]))

    def yuan(self, price: Decimal) -> Decimal:
        """The threshold at a last emitted price of ``price`` yuan, unrounded."""
        match self.unit:
            case "yuan":
                return self.size
            case "ticks":
                return self.size * TICK
            case _:
                return price * self.size / 10_000

    def shown(self, price: Decimal) -> float:
        """The threshold in yuan as a record shows it: to eight decimals."""
        return float(self.yuan(price).quantize(Decimal("1e-8"), ROUND_HALF_EVEN))
