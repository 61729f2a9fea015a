"""The columns of an instrument file: which of its names means which field, and in which unit its numbers are.

The forms are those of AkShare (Chinese names), Tushare (``ts_code``), QMT/xtquant (``InstrumentID``) and of this
project's own records; ``docs/instruments.md`` has the tables. A name that is not known is ignored. Case, spaces,
underscores and the width of characters do not matter. A unit may stand behind the name in parentheses:
``总股本(万股)``.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Literal

from market.codes import Kind

Form = Literal["own", "AkShare", "Tushare", "QMT"]

_NAMES: Mapping[str, str] = {
    "code": "code tscode symbol instrumentid instrument stockcode securityid windcode ticker"
    " 代码 证券代码 股票代码 基金代码 债券代码 转债代码 指数代码 a股代码 公司代码",
    "exchange": "exchange exchangeid 交易所 市场",
    "name": "name instrumentname secname stockname displayname"
    " 名称 简称 证券简称 证券名称 股票简称 股票名称 基金简称 基金名称 债券简称 债券名称 转债名称 指数名称 a股简称",
    "kind": "kind 类别 证券类别",
    "board": "board",
    "st": "st isst",
    "list_date": "listdate opendate listingdate ipodate 上市日期 上市时间 a股上市日期",
    "lot": "lot minordervolume 每手股数 最小申报数量",
    "tick_size": "ticksize pricetick 最小变动价位 最小价格变动 报价单位",
    "shares": "shares totalvolume totalshare totalshares totalcapital 总股本 a股总股本 总发行股本",
    "float_shares": "floatshares floatvolume floatshare freefloatshares circulatingcapital"
    " 流通股 流通股本 a股流通股本 流通a股",
    "day": "day tradedate tradingday date 交易日 交易日期 日期",
    "previous_close": "previousclose preclose prevclose lastclose 昨收 昨收价 前收盘 前收盘价 昨收盘",
    "limit_up": "limitup uplimit upstopprice highlimit 涨停 涨停价",
    "limit_down": "limitdown downlimit downstopprice lowlimit 跌停 跌停价",
}
_FIELDS = {name: field for field, names in _NAMES.items() for name in (field.replace("_", ""), *names.split())}
_PREFERRED = {
    "code": ("tscode", "instrumentid", "代码", "证券代码", "a股代码"),
    "name": ("instrumentname", "名称", "证券简称", "a股简称"),
}
"""Where several columns mean one field, the one that says most: Tushare has ``ts_code`` beside ``symbol``."""
_HOLDS = {
    "基金代码": Kind.FUND,
    "债券代码": Kind.CONVERTIBLE,
    "转债代码": Kind.CONVERTIBLE,
    "指数代码": Kind.INDEX,
}
"""Columns whose name says of which kind their codes are: bare 000001 is the index among 指数代码."""

_SHARES = {"股": 1, "份": 1, "shares": 1, "手": 100, "千股": 1_000, "万股": 10_000, "万": 10_000, "万份": 10_000}
_SHARES |= {"百万股": 1_000_000, "亿股": 100_000_000, "亿": 100_000_000, "亿份": 100_000_000}
_YUAN = {"元": 1, "yuan": 1, "cny": 1}
_UNITS = {
    "shares": _SHARES,
    "float_shares": _SHARES,
    "previous_close": _YUAN,
    "limit_up": _YUAN,
    "limit_down": _YUAN,
    "tick_size": _YUAN,
    "lot": _SHARES,
}
_TUSHARE_SHARES, _BAK_BASIC_SHARES = Decimal(10_000), Decimal(100_000_000)
"""``total_share`` and ``float_share``: 万股 in ``daily_basic``, 亿股 in ``bak_basic``, which has the columns below."""
_BAK_BASIC = frozenset({"totalassets", "liquidassets", "fixedassets", "bvps"})
_WITH_UNIT = re.compile(r"(.+?)\s*[(\[]\s*(.+?)\s*[)\]]")


class ColumnError(ValueError):
    """Columns that can't be told apart, a unit that is not known, or no code; the text names the fix."""


@dataclass(frozen=True)
class Column:
    """Where a field stands: the file's name of the column, its place, and by what its numbers are multiplied.

    Attributes:
        holds: the kind of the codes in it, where its name says that.
    """

    name: str
    place: int
    scale: Decimal = Decimal(1)
    holds: Kind | None = None


@dataclass(frozen=True)
class Columns:
    """The columns of a file, by field, and the form that they were recognised as."""

    form: Form
    of: Mapping[str, Column]

    @property
    def fields(self) -> frozenset[str]:
        """Fields of a record that the file says something of; what it has no column for stays as it was."""
        return frozenset(self.of)


def read(names: Sequence[str]) -> Columns:
    """The columns of a header.

    Raises:
        ColumnError: no column holds a code, two columns mean one field, or one is in a unit that is not known.
    """
    plain = [_parted(name) for name in names]
    everything = {name for name, _ in plain}
    form = _form(everything)
    tushare = _BAK_BASIC_SHARES if everything & _BAK_BASIC else _TUSHARE_SHARES
    found: dict[str, list[tuple[str, Column]]] = {}
    for place, (name, unit) in enumerate(plain):
        field = _FIELDS.get(name)
        if field is not None:
            documented = tushare if form == "Tushare" and name in {"totalshare", "floatshare"} else Decimal(1)
            scale = _scale(names[place], field, unit) or documented
            column = Column(names[place], place, scale, _HOLDS.get(name))
            found.setdefault(field, []).append((name, column))
    if "code" not in found:
        raise ColumnError(
            f"no column holds a code: name it code, 代码, ts_code or InstrumentID (columns: {', '.join(names)[:200]})"
        )
    return Columns(form, {field: _one(field, columns) for field, columns in found.items()})


def _form(names: set[str]) -> Form:
    if "tscode" in names:
        return "Tushare"
    if "instrumentid" in names or names & {"upstopprice", "floatvolume", "pricetick"}:
        return "QMT"
    if any(not name.isascii() for name in names & _FIELDS.keys()):
        return "AkShare"
    return "own"


def _parted(name: str) -> tuple[str, str]:
    """A name without case, spaces and underscores, and the unit in its parentheses."""
    text = unicodedata.normalize("NFKC", name).strip("\ufeff \t\"'").lower()
    match = _WITH_UNIT.fullmatch(text)
    text, unit = (match[1], match[2]) if match else (text, "")
    return re.sub(r"[\s_\-./]", "", text), unit


def _scale(name: str, field: str, unit: str) -> Decimal | None:
    known = _UNITS.get(field)
    if not unit or known is None:
        return None
    if unit not in known:
        raise ColumnError(f"column {name!r}: the unit {unit!r} of {field} is not known; known are {', '.join(known)}")
    return Decimal(known[unit])


def _one(field: str, columns: Sequence[tuple[str, Column]]) -> Column:
    if len(columns) == 1:
        return columns[0][1]
    for name in (field.replace("_", ""), *_PREFERRED.get(field, ())):
        own = [column for plain, column in columns if plain == name]
        if len(own) == 1:
            return own[0]
    names = ", ".join(repr(column.name) for _, column in columns)
    raise ColumnError(f"{names} all mean {field}: leave one of them in the file")
