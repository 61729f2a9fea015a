"""Exchange time: ms since the epoch inside, whatever a feed writes outside, and the Shanghai date of a session.

Shanghai gave up daylight saving in 1991 and is UTC+8 all year since; earlier times are refused, so that plain
arithmetic is exact.
"""

from __future__ import annotations

import math
import re
from datetime import UTC, date, datetime
from functools import lru_cache
from zoneinfo import ZoneInfo

SHANGHAI = ZoneInfo("Asia/Shanghai")

DAY_MS = 86_400_000
SHANGHAI_MS = 8 * 3_600_000
"""UTC+8: what is added to a time to have Shanghai's days, ms."""
_EPOCH_ORDINAL = date(1970, 1, 1).toordinal()

# Between these a time is believed (ms). The bounds leave no number that could be read in two units.
EARLIEST = 694_195_200_000  # 1992-01-01 in Shanghai
LATEST = 4_102_416_000_000  # 2100-01-01 in Shanghai, itself excluded

_SECONDS_BELOW = 10**11
_MS_BELOW = 10**14
_US_BELOW = 10**17

_LONGEST = 64  # characters of a time that are read at all
_NUMBER = re.compile(r"([0-9]{1,20})(\.[0-9]*)?")
_TIME_OF_DAY = re.compile(
    r"(?P<hour>[0-9]{1,2}):(?P<minute>[0-9]{2})(?::(?P<second>[0-9]{2})(?:[.,](?P<fraction>[0-9]{1,9}))?)?"
)
_DATE_AND_TIME = re.compile(
    r"(?P<year>[0-9]{4})-?(?P<month>[0-9]{2})-?(?P<day>[0-9]{2})[T ]"
    r"(?P<hour>[0-9]{2}):?(?P<minute>[0-9]{2})(?::?(?P<second>[0-9]{2})(?:[.,](?P<fraction>[0-9]{1,9}))?)?"
    r" ?(?P<zone>Z|[+-][0-9]{2}(?::?[0-9]{2})?)?",
    re.IGNORECASE,
)
_COMPACT = re.compile(
    r"(?P<year>(?:19|20)[0-9]{2})(?P<month>[0-9]{2})(?P<day>[0-9]{2})"
    r"(?P<hour>[0-9]{2})(?P<minute>[0-9]{2})(?P<second>[0-9]{2})\.?(?P<fraction>[0-9]{3})?"
)


class TimeError(ValueError):
    """Not a time that an exchange can have sent."""


def parse_time(value: float | str, *, today: date | None = None) -> int:
    """A feed's time in ms since the epoch.

    Args:
        value: seconds, ms, µs or ns since the epoch, a number or its text, told apart by magnitude; or "09:30:01.250",
            "2026-11-20 09:30:01[.fff]", ISO 8601, "20261120 09:30:01[.fff]", "20261120093001[.fff]". Text without a
            zone is Shanghai time. What is finer than a ms is cut off, but float seconds are rounded: a float is never
            exactly .123.
        today: the Shanghai date of a bare time of day; without it, the date at this moment.

    Raises:
        TimeError: none of these, or before 1992 or after 2099 (a NaN, a negative number, a boolean, 0 for "none").
    """
    kind = type(value)
    if kind is int:
        ms = _whole(value)  # type: ignore[arg-type]
    elif kind is float:
        ms = _fractional(value)  # type: ignore[arg-type]
    elif isinstance(value, str):
        ms = _text(value, today)
    else:
        raise TimeError(f"a time is a number or a text, not {kind.__name__}")
    if EARLIEST <= ms < LATEST:
        return ms
    raise TimeError(f"{_shown(value)} is not a time between 1992 and 2099")


def trading_date(ms: int) -> str:
    """The Shanghai date, YYYY-MM-DD, of an exchange time: that of its session, as none runs over midnight.

    Raises:
        TimeError: beyond the year 9999.
    """
    return _date_text((ms + SHANGHAI_MS) // DAY_MS)


def shanghai_date(ms: int) -> date:
    """The Shanghai date of an exchange time.

    Raises:
        TimeError: beyond the year 9999.
    """
    return date.fromisoformat(trading_date(ms))


def day_start(day: date | str) -> int:
    """Midnight in Shanghai at the start of a date (YYYY-MM-DD as text), ms since the epoch.

    Raises:
        TimeError: a text that is not a date.
    """
    if isinstance(day, str):
        try:
            day = date.fromisoformat(day)
        except ValueError as error:
            raise TimeError(f"{_shown(day)} is not a date: write it YYYY-MM-DD") from error
    return (day.toordinal() - _EPOCH_ORDINAL) * DAY_MS - SHANGHAI_MS


def shanghai_time(ms: int) -> str:
    """An exchange time as people read it, "2026-11-20 09:30:01.250"; ``parse_time`` reads it back.

    Raises:
        TimeError: beyond the year 9999.
    """
    seconds, fraction = divmod((ms + SHANGHAI_MS) % DAY_MS, 1000)
    minutes, second = divmod(seconds, 60)
    hour, minute = divmod(minutes, 60)
    return f"{trading_date(ms)} {hour:02}:{minute:02}:{second:02}.{fraction:03}"


@lru_cache(maxsize=4096)
def _date_text(day: int) -> str:
    try:
        return date.fromordinal(_EPOCH_ORDINAL + day).isoformat()
    except (ValueError, OverflowError) as error:
        raise TimeError(f"day {day} since 1970 has no date") from error


def _whole(number: int) -> int:
    """Ms of a whole number since the epoch, whatever its unit; far out of bounds stays out of bounds."""
    if number < _SECONDS_BELOW:
        return number * 1000
    if number < _MS_BELOW:
        return number
    if number < _US_BELOW:
        return number // 1000
    return number // 1_000_000


def _fractional(number: float) -> int:
    if not math.isfinite(number) or number < 0:
        raise TimeError(f"{number} is not a time")
    return round(number * 1000) if number < _SECONDS_BELOW else _whole(int(number))


def _text(text: str, today: date | None) -> int:
    text = text.strip() if len(text) <= _LONGEST else text
    if len(text) > _LONGEST or not text:
        raise TimeError(f"{_shown(text)} is not a time")
    # A compact date read as a number would be of the year 2612 or later, so it can't be mistaken for one.
    match = _COMPACT.fullmatch(text) or _DATE_AND_TIME.fullmatch(text)
    if match is not None:
        return _moment(match.groupdict(), text)
    number = _NUMBER.fullmatch(text)
    if number is not None:
        return _whole(int(number[1])) if number[2] is None else _fractional(float(text))
    match = _TIME_OF_DAY.fullmatch(text)
    if match is not None:
        day = today or datetime.now(UTC).astimezone(SHANGHAI).date()
        return _moment({"year": day.year, "month": day.month, "day": day.day} | match.groupdict(), text)
    raise TimeError(f"{_shown(text)} is not a time: write ms since the epoch, HH:MM:SS or YYYY-MM-DD HH:MM:SS")


def _moment(parts: dict[str, str | int | None], text: str) -> int:
    year, month, day, hour, minute, second = (
        int(parts[name] or 0) for name in ("year", "month", "day", "hour", "minute", "second")
    )
    try:
        moment = datetime(year, month, day, hour, minute, second, tzinfo=UTC)
    except ValueError as error:
        raise TimeError(f"{_shown(text)} is not a time: {error}") from error
    days = moment.toordinal() - _EPOCH_ORDINAL
    fraction = int(str(parts.get("fraction") or "0")[:3].ljust(3, "0"))
    utc = days * DAY_MS + ((hour * 60 + minute) * 60 + second) * 1000 + fraction
    zone = parts.get("zone")
    return utc - (SHANGHAI_MS if zone is None else _zone_ms(str(zone), text))


def _zone_ms(zone: str, text: str) -> int:
    """A zone's distance from UTC, ms, east positive."""
    if zone in {"Z", "z"}:
        return 0
    hours, minutes = int(zone[1:3]), int(zone[3:].lstrip(":") or "0")
    if hours >= 24 or minutes >= 60:
        raise TimeError(f"{_shown(text)} has no zone that exists")
    distance = (hours * 60 + minutes) * 60_000
    return -distance if zone[0] == "-" else distance


def _shown(value: object) -> str:
    if isinstance(value, int) and value.bit_length() > _LONGEST:
        return f"a number of {value.bit_length()} bits"  # Python refuses to print the longest ones
    shown = repr(value)
    return shown if len(shown) <= _LONGEST else shown[:_LONGEST] + "…"
