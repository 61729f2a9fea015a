"""The values of a recording's fields, in the forms that exports of this field write: text in, or a reason why not."""

from __future__ import annotations

import re
import unicodedata
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal, InvalidOperation
from typing import Any

from market.codes import EXCHANGES, UnknownCode, normalise
from market.times import TimeError, day_start, parse_time, shanghai_date
from simulator.columns import units

_ABSENT = frozenset({"", "null", "none", "nan", "nat", "n/a", "na", "-", "--", "---", "–", "—", "\\n"})
_SIDES = (
    dict.fromkeys(("buy", "b", "买", "买盘", "买入", "主买", "外盘", "bid"), "buy")
    | dict.fromkeys(("sell", "s", "卖", "卖盘", "卖出", "主卖", "内盘", "ask"), "sell")
    | dict.fromkeys(("n", "m", "neutral", "中性", "中性盘", "平盘", "未知", "unknown"), "")
)
_EXCHANGES = {"上海": "SSE", "上交所": "SSE", "沪": "SSE", "沪市": "SSE", "沪a": "SSE", "上证": "SSE"}
_EXCHANGES |= {"深圳": "SZSE", "深交所": "SZSE", "深": "SZSE", "深市": "SZSE", "深a": "SZSE", "深证": "SZSE"}
_EXCHANGES |= {"北京": "BSE", "北交所": "BSE", "北": "BSE", "京市": "BSE"}
_LARGEST = 1 << 53
"""Above it a JSON number is no longer exact everywhere."""
_HIGHEST_A_SHARE = 100_000
"""Yuan: many times the price of any A share ever, and below what it is in 1/10,000 yuan."""
_WHOLE = frozenset({"volume", "seq", "day_volume"})
_LONGEST = 64

_DATE = re.compile(
    r"(?P<year>[0-9]{4})[-/.年](?P<month>[0-9]{1,2})[-/.月](?P<day>[0-9]{1,2})日?(?:[T ]\s*(?P<rest>.+))?",
    re.IGNORECASE,
)
_COMPACT_DATE = re.compile(
    r"(?P<year>(?:19|20)[0-9]{2})(?P<month>[0-9]{2})(?P<day>[0-9]{2})(?:\.0+)?(?:[T ]+(?P<rest>.+))?", re.IGNORECASE
)
_CLOCK = re.compile(r"[0-9]{1,2}:[0-9]{2}(?::[0-9]{2}(?:[.,:][0-9]{1,9})?)?")
_CLOCK_DIGITS = re.compile(r"([0-9]{1,2})([0-9]{2})([0-9]{2})([0-9]{3}|[0-9]{6}|[0-9]{9})?")
_ROUNDED = re.compile(r"[0-9](?:\.[0-9]+)?e\+?[0-9]+", re.IGNORECASE)
_GROUPED = re.compile(r"[0-9]{1,3}(?:,[0-9]{3})+(?:\.[0-9]*)?")
_NUMBER = re.compile(
    r"\+?([0-9][0-9,]*(?:\.[0-9]*)?|\.[0-9]+)(?:e([+-]?[0-9]{1,3}))?\s*([^0-9\s.,]{0,4})", re.IGNORECASE
)
_DATE_AND_CLOCK_DIGITS = len("20261120093000")
_EARLIEST_CLOCK = timedelta(hours=6)
"""Digits without a leading zero that read as an earlier clock may count seconds or ms since midnight as well."""


class ValueUnreadError(ValueError):
    """A value that is in no form that is known; the text says which value, and what was expected."""


def absent(value: Any) -> bool:
    """Whether the recording has nothing here."""
    return value is None or (isinstance(value, str) and value.strip().lower() in _ABSENT)


def text(value: Any) -> str:
    """A text as it was meant: without spaces, and without what a spreadsheet puts around digits (``="000001"``).

    Raises:
        ValueUnreadError: a number, or no text at all.
    """
    if value is not None and not isinstance(value, str):
        raise ValueUnreadError(f"{_shown(value)} is not text")
    plain = (value or "").strip().strip("\ufeff")
    if plain.startswith('="') and plain.endswith('"'):
        plain = plain[2:-1]
    return plain.strip("'\"").strip()


def code(value: Any, exchange: Any = None) -> str:
    """The one form of a code; ``exchange`` is another column's, which says whose a bare code is.

    Raises:
        ValueUnreadError: no code, or no exchange.
    """
    written = text(value)
    if not absent(exchange) and written.isdigit():
        written = f"{written}.{_exchange(text(exchange))}"
    try:
        return normalise(written)
    except UnknownCode as error:
        digits = written.partition(".")[0]
        short = digits.isdigit() and len(digits) < len("000001")
        hint = " (has a spreadsheet taken the leading zeros away?)" if short else ""
        raise ValueUnreadError(f"{error}{hint}") from error


def _exchange(written: str) -> str:
    known = _EXCHANGES.get(written.lower(), written.upper())
    if known in EXCHANGES or known in {"SH", "SS", "SHSE", "XSHG", "SZ", "XSHE", "BJ", "BJSE", "XBSE"}:
        return known
    raise ValueUnreadError(f"the exchange {_shown(written)} is not known: SSE, SZSE or BSE")


def day(value: Any) -> tuple[date, str]:
    """The date of a column of dates, and what follows it, as a time of day in the same column.

    Raises:
        ValueUnreadError: no date, or one in which day and month can't be told apart.
    """
    written = str(value) if type(value) is int else text(value)
    match = _DATE.fullmatch(written) or _COMPACT_DATE.fullmatch(written)
    if match is None:
        raise ValueUnreadError(f"{_shown(value)} is not a date: write YYYY-MM-DD or YYYYMMDD")
    try:
        return date(int(match["year"]), int(match["month"]), int(match["day"])), match["rest"] or ""
    except ValueError as error:
        raise ValueUnreadError(f"{_shown(value)} is not a date: {error}") from error


def is_day(value: Any) -> bool:
    """Whether a value of a column that is not known is, by its looks, a date of our time."""
    try:
        found, _ = day(value)
    except ValueUnreadError:
        return False
    return 1990 <= found.year <= 2099


def time(value: Any, on: date | None, today: date | None) -> tuple[int, bool]:
    """An exchange time, ms since the epoch, and whether its date is ``today`` because none was written.

    Args:
        value: what ``market.times.parse_time`` reads, a date in another form with a time, or a time of day, as
            ``09:30:00.500`` or in digits: HHMMSS, HHMMSSmmm (a leading zero may be missing), HHMMSS and µs or ns.
        on: the date of another column; a value with a date of its own has to agree.
        today: the date of a bare time of day.

    Raises:
        ValueUnreadError: no time, or one that contradicts ``on``.
    """
    if isinstance(value, float) and value.is_integer() and (on is not None or value >= 10**16):
        value = int(value)
    if type(value) not in (int, str):
        return _parsed(value), False
    written = re.sub(r"\.0+$", "", text(str(value)))
    if _ROUNDED.fullmatch(written):
        raise ValueUnreadError(f"{_shown(value)} has been rounded, as spreadsheets do: export the column as text")
    clock = _clock(written)
    if clock is not None:
        chosen = on or today
        start = day_start(chosen or shanghai_date(int(datetime.now(UTC).timestamp() * 1000)))
        return start + clock, on is None
    ms = _parsed(_dated(written))
    if on is not None and shanghai_date(ms) != on:
        raise ValueUnreadError(f"{_shown(value)} is of {shanghai_date(ms)}, and the column of dates says {on}")
    return ms, False


def _dated(written: str) -> str:
    """A date and time in one of the forms that ``parse_time`` reads."""
    match = _DATE.fullmatch(written)
    if match is not None and match["rest"]:
        hour, colon, rest = match["rest"].strip().partition(":")
        return f"{match['year']}-{int(match['month']):02}-{int(match['day']):02} {hour:0>2}{colon}{rest}"
    match = _COMPACT_DATE.fullmatch(written)
    clock = None if match is None or not match["rest"] else _clock(match["rest"].strip())
    if match is not None and clock is not None:
        seconds, ms = divmod(clock, 1000)
        return f"{match['year']}-{match['month']}-{match['day']} {timedelta(seconds=seconds)!s:0>8}.{ms:03}"
    return written


def _clock(written: str) -> int | None:
    """A time of day in ms since midnight; ``None`` where the text is none.

    Raises:
        ValueUnreadError: digits that count seconds since midnight, or an hour that no day has.
    """
    digits = _CLOCK_DIGITS.fullmatch(written) if written.isascii() else None
    if digits is not None:
        hour, minute, second = (int(digits[part]) for part in (1, 2, 3))
        fraction = (digits[4] or "")[:3]
        since = timedelta(hours=hour, minutes=minute, seconds=second)
        if len(written) == _DATE_AND_CLOCK_DIGITS or hour > 23 or minute > 59 or second > 59:
            return None
        if len(digits[1]) == 1 and since < _EARLIEST_CLOCK:
            _refused_clock(written)
        return round(since.total_seconds()) * 1000 + int(fraction or 0)
    if not _CLOCK.fullmatch(written):
        return None
    try:
        return (
            parse_time(written.replace(",", "."), today=date(2000, 1, 1)) - day_start(date(2000, 1, 1))
        ) % 86_400_000
    except TimeError:
        return _refused_clock(written)


def _refused_clock(written: str) -> int:
    raise ValueUnreadError(
        f"{_shown(written)} is not a time of day of a session: write HH:MM:SS[.mmm] or HHMMSS[mmm]; is it a count since"
        " midnight?"
    )


def _parsed(value: Any) -> int:
    try:
        return parse_time(value)
    except TimeError as error:
        raise ValueUnreadError(str(error)) from error


def number(value: Any, field: str, scale: Decimal) -> float | int | None:
    """A number from 0 up; ``None`` where the recording has none. Thousands may be grouped, and a unit may follow.

    Raises:
        ValueUnreadError: no number, one below 0 or so large that JSON can't hold it.
    """
    if absent(value):
        return None
    if type(value) in (int, float) and scale == 1:
        result: float | int = value
    else:
        exact = _decimal(value, field, scale)
        result = int(exact) if field in _WHOLE and exact == exact.to_integral_value() else float(exact)
    if not 0 <= result < _LARGEST:
        raise ValueUnreadError(f"{_shown(value)} is not a number from 0 up")
    return int(result) if field in _WHOLE and result == int(result) else result


def _decimal(value: Any, field: str, scale: Decimal) -> Decimal:
    if type(value) in (int, float):
        return Decimal(str(value)) * scale
    written = unicodedata.normalize("NFKC", text(value)).strip("¥$ ") if isinstance(value, str) else ""
    match = _NUMBER.fullmatch(written)
    if match is None:
        raise ValueUnreadError(f"{_shown(value)} is not a number from 0 up")
    digits = match[1]
    if "," in digits and not _GROUPED.fullmatch(digits):
        raise ValueUnreadError(f"{_shown(value)} is not a number from 0 up: is its comma a decimal point?")
    suffix = match[3].lower()
    own = units(field, suffix) if suffix else Decimal(1)
    if own is None:
        raise ValueUnreadError(f"{_shown(value)} is not a number from 0 up: its unit {_shown(match[3])} is not known")
    try:
        exact = Decimal(digits.replace(",", "")).scaleb(int(match[2] or 0))
    except InvalidOperation as error:
        raise ValueUnreadError(f"{_shown(value)} is not a number from 0 up") from error
    # A unit beside the number says what the column's does: 手 in a column of 手 is not counted twice.
    return exact * (own if suffix in {"手", "股", "元", "lot", "lots", "share", "shares"} else own * scale)


def price(value: Any, of: str, scale: Decimal) -> float | int | None:
    """A price in yuan.

    Raises:
        ValueUnreadError: no number, or far above what an A share can cost: then it is in another unit.
    """
    found = number(value, "price", scale)
    if found is not None and found >= _HIGHEST_A_SHARE and of.isdigit():
        raise ValueUnreadError(f"{_shown(value)} yuan is not a price of an A share: is it in 1/10,000 yuan?")
    return found


def side(value: Any) -> str:
    """``buy``, ``sell``, or nothing where it is neither or not known.

    Raises:
        ValueUnreadError: a word that is none of these.
    """
    if absent(value):
        return ""
    word = text(value).lower()
    if absent(word):
        return ""
    known = _SIDES.get(word)
    if known is None:
        raise ValueUnreadError(f"{_shown(value)} is neither buy nor sell")
    return known


def _shown(value: Any) -> str:
    if isinstance(value, int) and value.bit_length() > _LONGEST:
        return f"a number of {value.bit_length()} bits"
    shown = repr(value)
    return shown if len(shown) <= _LONGEST else shown[:_LONGEST] + "…"
