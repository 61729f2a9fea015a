"""A row of an instrument file as a record of the contract, or why it is none. No I/O.

Cells are texts as they stand in the file. An empty one, ``-``, ``--``, ``nan`` and ``None`` say nothing. Numbers may
have thousands separated, and a unit behind them: ``1,252,270,215``, ``12.52亿``, ``125227.02万股``. A share count, a
price or a date of 0 says nothing either: exports write it for what they do not have.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal, InvalidOperation
from typing import Any

from instruments.columns import Column, Columns
from market.codes import EXCHANGES, Board, Kind, UnknownCode, instrument, normalise
from market.codes import Instrument as Named
from market.kinds import NAMES, resolve
from market.rules import is_st, lot, tick_size_e4
from market.times import SHANGHAI_MS
from schemas import Instrument, RecordError, decode, encode
from schemas.bounds import MAX_NAME

PRICES = ("previous_close", "limit_up", "limit_down")
"""What is of one day alone."""
NO_LIMIT = Decimal(1_000_000)
"""Yuan: exports write such a limit, or a larger one, on days without."""

_ABSENT = frozenset({"", "-", "--", "—", "nan", "none", "null", "nat", "n/a", "<na>"})
_YES, _NO = frozenset({"1", "true", "yes", "y", "是", "st"}), frozenset({"0", "false", "no", "n", "否"})
_DATE = re.compile(r"(\d{4})[-/.年]?(\d{1,2})[-/.月]?(\d{1,2})日?(?:[T ][\d:.+Z]*)?")
_EPOCH_MS = re.compile(r"-?\d{11,13}")
_UNITS = {
    "手": 100,
    "千股": 1_000,
    "万股": 10_000,
    "万": 10_000,
    "亿股": 100_000_000,
    "亿": 100_000_000,
    "股": 1,
    "元": 1,
}
_NUMBER = re.compile(r"([+-]?[\d.,]+(?:[eE][+-]?\d+)?)\s*(\D*)")
_EXCHANGES = {"SH": "SSE", "SHSE": "SSE", "XSHG": "SSE", "SS": "SSE", "SZ": "SZSE", "XSHE": "SZSE", "BJ": "BSE"}
_EXCHANGES |= {"BJSE": "BSE", "XBSE": "BSE", "上海": "SSE", "深圳": "SZSE", "北京": "BSE", "上交所": "SSE"}
_EXCHANGES |= {
    "深交所": "SZSE",
    "北交所": "BSE",
    "上海证券交易所": "SSE",
    "深圳证券交易所": "SZSE",
    "北京证券交易所": "BSE",
}
_INDEX_PREFIXES = {"000": "SSE", "399": "SZSE", "899": "BSE"}
_FUND_LOT, _BOND_LOT = 100, 10
_SHOWN = 40


class RowError(ValueError):
    """A row that can't be read; the text names the column and what stands there."""


@dataclass(frozen=True)
class Row:
    """What a row says.

    Attributes:
        record: with what follows from the code and the name; what else the row does not say is ``None``.
        said: fields that the row has a value for, and what follows from them.
    """

    record: Instrument
    said: frozenset[str]


def read(cells: Sequence[str], columns: Columns, day: str | None) -> Row:
    """The record of a row.

    Args:
        cells: of each column of the file its text.
        columns: of the file.
        day: of the prices, YYYY-MM-DD, where the row has none.

    Raises:
        RowError: it has no code, a value that can't be read, or one that the contract does not take.
    """
    given = {field: _cell(cells, column) for field, column in columns.of.items()}
    named = _named(given, columns.of["code"])
    values: dict[str, Any] = {"code": named.code, "exchange": named.exchange}
    values |= _follows(named)
    for field, text in given.items():
        if text and field in _READERS:
            found = _READERS[field](text, columns.of[field])
            if found is not None:
                values[field] = found
    if values.get("name") and "st" not in values and named.a_share:
        values["st"] = is_st(values["name"])
    prices = [field for field in PRICES if field in values]
    if not prices:
        values.pop("day", None)
    elif "day" not in values:
        values["day"] = day
    if values.get("limit_up") and values.get("limit_down") and values["limit_up"] < values["limit_down"]:
        raise RowError(f"{named.code}: limit up {values['limit_up']:g} is below limit down {values['limit_down']:g}")
    try:
        record = decode(Instrument, encode(Instrument(**values)))
    except RecordError as error:
        raise RowError(f"{named.code}: {error}") from error
    return Row(record, frozenset(values))


def _cell(cells: Sequence[str], column: Column) -> str:
    text = cells[column.place].strip(" \t\r\n\ufeff\u3000") if column.place < len(cells) else ""
    if text.startswith('="') and text.endswith('"'):
        text = text[2:-1]  # how spreadsheets are told to keep leading zeros
    text = text.strip("'\"").strip()
    return "" if text.lower() in _ABSENT else text


def _named(given: Mapping[str, str], column: Column) -> Named:
    text, exchange = given["code"], given.get("exchange", "").upper()
    if not text:
        raise RowError(f"{column.name}: there is no code")
    try:
        found = instrument(_code(text, _EXCHANGES.get(exchange, exchange), column.holds))
    except UnknownCode as error:
        short = text.isdigit() and len(text) < 6
        hint = " (has a spreadsheet taken the leading zeros away?)" if short else ""
        raise RowError(f"{column.name}: {error}{hint}") from error
    if column.holds is not None and found.kind is not column.holds:
        raise RowError(f"{column.name}: {found.code} is of the kind {found.kind}, and that column holds another")
    return found


def _code(text: str, exchange: str, holds: Kind | None) -> str:
    bare = text.isascii() and text.isdigit()
    if bare and exchange in EXCHANGES:
        return normalise(f"{text}.{exchange}")
    if bare and holds is Kind.INDEX and text[:3] in _INDEX_PREFIXES:
        return normalise(f"{text}.{_INDEX_PREFIXES[text[:3]]}")
    return resolve(text)


def _follows(named: Named) -> dict[str, Any]:
    """What a code says by itself."""
    found: dict[str, Any] = {"board": named.board.name}
    if named.kind in NAMES:
        found["kind"] = NAMES[named.kind]
    if named.board is not Board.OTHER:
        found["lot"] = lot(named.board).minimum
    elif named.kind in {Kind.FUND, Kind.CONVERTIBLE}:
        found["lot"] = _FUND_LOT if named.kind is Kind.FUND else _BOND_LOT
    if named.kind in {Kind.A_SHARE, Kind.B_SHARE, Kind.FUND, Kind.CONVERTIBLE}:
        found["tick_size"] = tick_size_e4(named.code) / 10_000
    return found


def _number(text: str, column: Column) -> Decimal:
    match = _NUMBER.fullmatch(text)
    unit = match[2].strip() if match else ""
    if match is None or (unit and unit not in _UNITS):
        raise RowError(f"{column.name}: {text[:_SHOWN]!r} is not a number")
    try:
        value = Decimal(match[1].replace(",", ""))
    except InvalidOperation:
        raise RowError(f"{column.name}: {text[:_SHOWN]!r} is not a number") from None
    if abs(value.adjusted()) > 400:
        raise RowError(f"{column.name}: {text[:_SHOWN]!r} is not a number of anything")
    return value * (Decimal(_UNITS[unit]) if unit else column.scale)


def _price(text: str, column: Column) -> float | None:
    value = _number(text, column)
    if value < 0:
        raise RowError(f"{column.name}: {text[:_SHOWN]!r} is not a price")
    return None if value == 0 else round(float(value), 4)


def _limit(text: str, column: Column) -> float | None:
    return None if _number(text, column) >= NO_LIMIT else _price(text, column)


def _count(text: str, column: Column) -> int | None:
    value = _number(text, column)
    if value < 0:
        raise RowError(f"{column.name}: {text[:_SHOWN]!r} is not a number of shares")
    return round(value) or None


def _day(text: str, column: Column) -> str | None:
    if not text.strip("0") or text in {"99999999", "19700101", "1970-01-01"}:
        return None
    if _EPOCH_MS.fullmatch(text):  # pandas writes dates as ms since the epoch
        return date.fromordinal(date(1970, 1, 1).toordinal() + (int(text) + SHANGHAI_MS) // 86_400_000).isoformat()
    match = _DATE.fullmatch(text.removesuffix(".0"))
    try:
        if match is not None:
            return date(int(match[1]), int(match[2]), int(match[3])).isoformat()
    except ValueError:
        pass
    raise RowError(f"{column.name}: {text[:_SHOWN]!r} is not a date: write YYYY-MM-DD or YYYYMMDD")


def _flag(text: str, column: Column) -> bool:
    plain = text.lower().removesuffix(".0")
    if plain in _YES or is_st(text):
        return True
    if plain in _NO:
        return False
    raise RowError(f"{column.name}: {text[:_SHOWN]!r} is neither yes nor no: write true or false")


def _name(text: str, column: Column) -> str:
    if len(text) > MAX_NAME or not text.isprintable():
        raise RowError(f"{column.name}: {text[:_SHOWN]!r} is not a name of at most {MAX_NAME} characters")
    return text


_READERS = {
    "name": _name,
    "st": _flag,
    "list_date": _day,
    "lot": _count,
    "tick_size": _price,
    "shares": _count,
    "float_shares": _count,
    "day": _day,
    "previous_close": _price,
    "limit_up": _limit,
    "limit_down": _limit,
}
"""Kind and board follow from the code: what a file says of them is not read."""
