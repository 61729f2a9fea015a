"""Prices as integers of 1/10,000 yuan, so that 10.23 - 10.22 is exactly one tick and never 0.0099."""

from __future__ import annotations

SCALE = 10_000


def to_e4(yuan: float) -> int:
    """A price or an amount of yuan in 1/10,000 yuan, rounded to the nearest."""
    return round(yuan * SCALE)


def from_e4(e4: int) -> float:
    """The yuan of a price in 1/10,000 yuan: the float nearest to it, which prints as written."""
    return e4 / SCALE


def sum_to_e4(yuan: float) -> int:
    """A sum of yuan in 1/10,000 yuan, exactly as it was published: the product of a large sum would be off."""
    whole = int(yuan)
    return whole * SCALE + round((yuan - whole) * SCALE)
