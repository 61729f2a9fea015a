"""What came with a push beside the trade: the book, and the feed's own figures of the day, read leniently.

None of it refuses a tick. A side of a book with a level that can't be read is null as a whole, and named
(``unread_bids``, ``unread_asks``); so is each figure that can't be read (``unread_day_high`` …). A level whose price is
0 or null is one that is not there: nobody bids at the lower limit, and a side of such levels alone is empty, not null.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from producer.feeds.decoded import Beside
from producer.feeds.errors import UnreadableError
from producer.feeds.optional import Fields
from producer.feeds.values import (
    HIGHEST_PRICE,
    LOWEST_PRICE,
    read_previous_close,
    read_price,
    read_shares,
    read_turnover,
    short,
)
from schemas import Level

LEVELS = 5
"""Of a side, best first; those beyond are left out."""
_QUICK = 10**9
"""Units of a level's volume that are in range, whatever a unit is."""
BOOK = ("bids", "asks")
SUMS = ("day_volume", "day_turnover")
PRICES = ("day_open", "day_high", "day_low")
BESIDE = (*BOOK, *PRICES, *SUMS, "average")
"""The fields of ``Beside``, as ``Capabilities.carries`` names them."""


class Written(NamedTuple):
    """What a push has beside the trade, as the provider writes it; ``None`` is what it does not carry.

    ``bids`` and ``asks`` are sequences of levels: pairs of price and volume, or objects that name them so.
    """

    bids: Any = None
    asks: Any = None
    day_open: Any = None
    day_high: Any = None
    day_low: Any = None
    day_volume: Any = None
    day_turnover: Any = None
    average: Any = None


def paired(prices: Any, volumes: Any) -> Any:
    """The levels of a side that a provider writes as two arrays; ``None`` where it writes neither.

    What is not two arrays of one length is given back in a form that ``read_side`` refuses.
    """
    if prices is None and volumes is None:
        return None
    if isinstance(prices, list) and isinstance(volumes, list) and len(prices) == len(volumes):
        return list(zip(prices, volumes, strict=True))
    return False


def read_side(levels: Any, per_unit: int, clean: Callable[[float], float]) -> list[Level] | None:
    """The levels of a side, at most ``LEVELS``, without those that are not there; ``None`` for an empty text.

    Args:
        levels: see ``Written``.
        per_unit: shares that a unit of its volumes is.
        clean: makes a price of the number that it was written as.

    Raises:
        UnreadableError: it is no array, or a level of it can't be read.
    """
    if not isinstance(levels, list):
        if levels == "":
            return None
        raise UnreadableError(f"levels: {short(levels)} is not an array")
    read: list[Level] = []
    for level in levels:
        if len(read) == LEVELS:
            break
        price, volume = level if type(level) is tuple else _parts(level)
        # Most levels are numbers in range: only others are looked at one thing after the other.
        if type(price) is float and LOWEST_PRICE <= price <= HIGHEST_PRICE:
            value = clean(price)
        elif price is None or price == "" or not (value := read_price(_number(price))):
            continue
        else:
            value = clean(value)
        if type(volume) is int and 0 <= volume <= _QUICK:
            shares: int | float | None = volume * per_unit
        else:
            shares = _shares(volume, per_unit)
        if shares is None:
            raise UnreadableError("levels: one has a price and no volume")
        read.append(Level(value, shares))
    return read


def read_beside(
    written: Written, per_unit: int, unread: str | None, clean: Callable[[float], float]
) -> tuple[Beside | None, str | None]:
    """What a push carries beside its trade, ``None`` if nothing, and the names of fields that could not be read.

    Args:
        per_unit: shares that a unit of volume is.
        unread: those of the trade itself, which come first.
        clean: as for ``read_side``.
    """
    bids, asks, day_open, day_high, day_low, volume, turnover, average = written
    try:
        found = (
            None if bids is None else read_side(bids, per_unit, clean),
            None if asks is None else read_side(asks, per_unit, clean),
            None if day_open is None else _price(day_open, clean),
            None if day_high is None else _price(day_high, clean),
            None if day_low is None else _price(day_low, clean),
            None if volume is None else _shares(volume, per_unit),
            None if turnover is None else _money(turnover),
            None if average is None else _price(average, clean),
        )
    except UnreadableError:
        field = Fields()
        field.unread = unread
        found = (
            field("bids", read_side, bids, per_unit, clean),
            field("asks", read_side, asks, per_unit, clean),
            field("day_open", _price, day_open, clean),
            field("day_high", _price, day_high, clean),
            field("day_low", _price, day_low, clean),
            field("day_volume", _shares, volume, per_unit),
            field("day_turnover", _money, turnover),
            field("average", _price, average, clean),
        )
        unread = field.unread
    return (None if found == _NOTHING else Beside(*found)), unread


_NOTHING = (None,) * len(BESIDE)


def _price(value: Any, clean: Callable[[float], float]) -> float | None:
    if type(value) is float and LOWEST_PRICE <= value <= HIGHEST_PRICE:
        return clean(value)
    found = read_previous_close(_number(value))
    return None if found is None else clean(found)


def _shares(value: Any, per_unit: int) -> int | float | None:
    return read_shares(_number(value), per_unit)


def _money(value: Any) -> float | None:
    found = read_turnover(_number(value))
    return None if found is None else float(found)


def _number(value: Any) -> float | str:
    """A value that is a number or a text of one.

    Raises:
        UnreadableError: it is neither.
    """
    if isinstance(value, float | int | str) and not isinstance(value, bool):
        return value
    raise UnreadableError(f"{short(value)} is not a number")


def _parts(level: Any) -> tuple[Any, Any]:
    """Price and volume of a level.

    Raises:
        UnreadableError: it is neither a pair nor an object with both.
    """
    if isinstance(level, list | tuple) and len(level) >= 2:
        return level[0], level[1]
    if isinstance(level, dict) and "price" in level and "volume" in level:
        return level["price"], level["volume"]
    raise UnreadableError(f"levels: {short(level)} is not [price, volume]")
