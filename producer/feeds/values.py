"""How a feed's values are read: numbers, times and sizes as vendors write them, or an error that names the field.

Nothing here does I/O.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Literal

from market.prices import SCALE
from market.times import EARLIEST, LATEST, TimeError, parse_time, shanghai_date, shanghai_time
from producer.feeds.errors import UnreadableError
from producer.feeds.provider import TimeUnit
from schemas.bounds import INT64, MAX_PRICE, MAX_TURNOVER, MAX_VOLUME

LOWEST_PRICE, HIGHEST_PRICE = 1 / SCALE, MAX_PRICE
"""Yuan. The smallest is the unit in which prices are compared."""

Side = Literal["buy", "sell"]
Sides = Mapping[int | str, Side | None]
"""The sides by how a provider writes them; ``None`` where the feed does not know it."""

_PRICES = f"{LOWEST_PRICE} to {HIGHEST_PRICE:.0f} yuan"
_SEQ_RANGE = range(-INT64, INT64 + 1)
_NUMBER = re.compile(r"[+-]?\d{1,25}(?:\.\d{1,25})?(?:[eE][+-]?\d{1,3})?", re.ASCII)
_WHOLE = re.compile(r"[+-]?\d{1,20}", re.ASCII)
_DECIMALS = 3  # of a yuan: a fund's tick size, and a tenth of a share's
_MONEY_DECIMALS = 4
_NEARLY_WHOLE = 1e-6
_DIGITS_OF_MS, _SAFE_DIGITS = 13, 19
_LATEST_NS = LATEST * 1_000_000
_MS_PER = {"s": 1000.0, "ms": 1.0, "us": 1e-3, "ns": 1e-6}

_parsed_time = lru_cache(maxsize=8_192, typed=True)(parse_time)  # texts of one second come by the hundred


def number(text: str, field: str) -> float:
    """The number that a text spells; never NaN or infinite.

    Raises:
        UnreadableError: it is not a number.
    """
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    # Python also takes 1_0, digits of other scripts, nan and inf.
    if not -math.inf < value < math.inf or "_" in text or not text.isascii():
        raise UnreadableError(f"{field}: {text.strip()[:60]!r} is not a number")
    return value


def read_price(value: float | str) -> float:
    """A price; 0 where there is none.

    Raises:
        UnreadableError: not a number, or out of range.
    """
    if isinstance(value, str):
        value = number(value, "price")
    if LOWEST_PRICE <= value <= HIGHEST_PRICE:
        return value
    if value == 0:
        return 0.0
    raise _outside("price", value, _PRICES)


def without_noise(yuan: float) -> float:
    """A price without what binary floats leave behind: 1700.010009765625 is 1700.01.

    The exchanges' tick sizes are not enforced here; the quality gate does that.
    """
    return round(yuan, _DECIMALS if yuan > 1 else _DECIMALS + 1)


def read_previous_close(value: float | str) -> float | None:
    """A previous close, ``None`` for 0 and an empty text.

    Raises:
        UnreadableError: not a number, or out of range.
    """
    if isinstance(value, str):
        if not value.strip():
            return None
        value = number(value, "previous_close")
    if LOWEST_PRICE <= value <= HIGHEST_PRICE:
        return value
    if value == 0:
        return None
    raise _outside("previous_close", value, _PRICES)


def time_reader(unit: TimeUnit) -> Callable[[float | str, int], int]:
    """What reads a time in ms; numbers are in the unit, or in the one that their magnitude shows.

    A bare time of day is of the Shanghai date of the second argument, the receipt in µs. What is returned raises
    ``UnreadableError``.
    """
    if unit == "auto":
        return _any_time
    factor = _MS_PER[unit]

    def known(value: float | str, received: int) -> int:
        if isinstance(value, str) and not _NUMBER.fullmatch(value.strip()):
            return _any_time(value, received)
        units = number(value, "time") if isinstance(value, str) else value
        if not 0 <= units <= _LATEST_NS:
            raise UnreadableError(_not_a_time(value, unit))
        # A whole number of a fine unit has more digits than a float.
        exact = int(value) if isinstance(value, str) and _WHOLE.fullmatch(value.strip()) else units
        divisor = round(1 / factor) if factor < 1 else 1
        ms = exact // divisor if isinstance(exact, int) and divisor > 1 else round(units * factor)
        if not EARLIEST <= ms < LATEST:
            raise UnreadableError(_not_a_time(value, unit))
        return int(ms)

    return known


def ms_between(unit: TimeUnit) -> tuple[int, int]:
    """Whole numbers from the first up to the second, itself excluded, are ms as they are; none in another unit."""
    return (EARLIEST, LATEST) if unit in {"auto", "ms"} else (0, 0)


def read_shares(value: float | str, per_unit: int) -> int | float | None:
    """A volume in shares, from units of so many; ``None`` for an empty text.

    Raises:
        UnreadableError: not a number, negative or too large.
    """
    if isinstance(value, str):
        if not value.strip():
            return None
        value = number(value, "volume")
    if not 0 <= value <= MAX_VOLUME:
        raise _outside("volume", value, f"0 to {MAX_VOLUME:.0e} shares")
    whole = int(value)
    units = whole if whole == value else value
    if per_unit == 1:
        return units
    if units * per_unit > MAX_VOLUME:
        raise UnreadableError(f"volume: {short(units)} lots are more than {MAX_VOLUME:.0e} shares")
    return units * per_unit if units is whole else nearly_whole(units * per_unit)


def nearly_whole(value: float) -> int | float:
    """A whole number where only a float's error makes it a fraction: 0.07 lots are 7 shares."""
    near = round(value)
    return near if abs(value - near) < _NEARLY_WHOLE else value


def read_turnover(value: float | str) -> float | None:
    """A turnover in yuan, ``None`` for an empty text.

    Raises:
        UnreadableError: not a number, negative or too large.
    """
    if isinstance(value, str):
        if not value.strip():
            return None
        value = number(value, "turnover")
    if not 0 <= value <= MAX_TURNOVER:
        raise _outside("turnover", value, f"0 to {MAX_TURNOVER:.0e} yuan")
    return value


def computed_turnover(price: float, volume: float | None) -> float | None:
    """The turnover of so many shares at a price.

    Raises:
        UnreadableError: it is too large.
    """
    return None if volume is None else read_turnover(float(round(price * volume, _MONEY_DECIMALS)))


def read_sequence(value: int | str) -> int | None:
    """A number of 64 bits, ``None`` for an empty text.

    Raises:
        UnreadableError: not a whole number, or too large.
    """
    if isinstance(value, str):
        if not (value.isdecimal() and value.isascii() and len(value) < _SAFE_DIGITS):
            if not value.strip():
                return None
            if not _WHOLE.fullmatch(value.strip()):
                raise UnreadableError(f"seq: {value[:60]!r} is not a whole number")
        value = int(value)
    if value not in _SEQ_RANGE:
        raise UnreadableError(f"seq: {short(value)} does not fit 64 bits")
    return value


def numbered_sides(*, buy: int, sell: int, unknown: int = 0) -> Sides:
    """Sides that are written as numbers, or as the texts of numbers."""
    sides: dict[int | str, Side | None] = {buy: "buy", sell: "sell", unknown: None}
    return {**sides, **{str(number): side for number, side in sides.items()}, "": None}


def small(value: object) -> int | None:
    """A message's number, as number or text; ``None`` for anything else."""
    if isinstance(value, str) and value.isascii() and value.isdecimal() and len(value) < 10:
        return int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) and abs(value) < 10**9 else None


def short(value: object) -> str:
    """A value as an error may show it."""
    try:
        return repr(value)[:60]
    except ValueError:  # Python does not print an integer of thousands of digits
        return "a number"


def _outside(field: str, value: float, limits: str) -> UnreadableError:
    return UnreadableError(f"{field}: {short(value)} is outside of {limits}")


def _any_time(value: float | str, received: int) -> int:
    """A time in ms, whatever its unit."""
    if isinstance(value, str) and len(value) == _DIGITS_OF_MS and value.isdecimal() and value.isascii():
        ms = int(value)
        if EARLIEST <= ms < LATEST:
            return ms
    try:
        return _parsed_time(value, today=shanghai_date(received // 1000))
    except (ValueError, OverflowError) as error:
        raise UnreadableError(f"time: {error}") from error


def _not_a_time(value: float | str, unit: TimeUnit) -> str:
    """Why a number is not a time in a unit that was given, and which time it would be in its own."""
    text = f"time: {short(value)} {unit} is not a time between 1992 and 2099"
    try:
        ms = parse_time(value)
    except (TimeError, OverflowError):
        return text
    return f"{text}; without --time-unit {unit} it is {shanghai_time(ms)}"
