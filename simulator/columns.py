"""The columns of a recording: which of a file's names means which field, and in which unit it is.

Exports of this field name their columns in English or Chinese, with or without a unit in parentheses: ``time``,
``TradeTime``, ``成交时间``, ``成交量(手)``. A name that is not known is not a column of ours and is ignored; where two
names mean one field, the field's own name counts, and without it the file is refused.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal

REQUIRED = ("code", "time", "price")

_NAMES: Mapping[str, str] = {
    "code": "symbol ticker securityid secucode stockcode stkcode tscode windcode instrument instrumentid orderbookid"
    " 代码 证券代码 股票代码 交易代码 合约代码 标的代码",
    "exchange": "exch exchangeid market marketid 交易所 市场 市场代码 交易市场",
    "date": "tradedate tradingdate tradeday tradingday actionday naturalday mddate day"
    " 日期 交易日 交易日期 成交日期 自然日",
    "time": "datetime timestamp tradetime tradingtime tradedatetime exchtime exchangetime updatetime ticktime mdtime"
    " transacttime 时间 时刻 成交时间 交易时间 日期时间 成交日期时间 时间戳 更新时间",
    "price": "last lastprice lastpx tradeprice tradepx px matchprice 价格 成交价 成交价格 最新价 最新成交价 现价 最新",
    "volume": "vol qty quantity size tradevolume tradevol tradeqty matchvolume matchqty lastqty 成交量 成交数量 数量"
    " 成交股数 现量",
    "turnover": "amount amt money value trademoney tradeamount tradeturnover 成交额 成交金额 金额",
    "side": "bs bsflag buysell buysellflag direction tradeside 方向 买卖 买卖方向 买卖标志 成交方向 性质 内外盘",
    "previous_close": "preclose precloseprice preclosepx prevclose prevcloseprice lastclose 昨收 昨收价 昨收盘 昨收盘价"
    " 前收 前收价 前收盘 前收盘价",
    "seq": "sequence 序列号",
    "open": "dayopen openprice openpx 开盘 开盘价 今开",
    "high": "dayhigh highprice highpx 最高 最高价",
    "low": "daylow lowprice lowpx 最低 最低价",
    "day_volume": "totalvolume totalvolumetrade cumvolume cumulativevolume 累计成交量 总成交量 总量",
    "day_turnover": "totalturnover totalvaluetrade cumturnover totalamount 累计成交额 总成交额 总额",
    "average": "averageprice avgprice avgpx 均价 成交均价",
}
FIGURES = ("open", "high", "low", "day_volume", "day_turnover", "average")
"""The day's own, as the post's protocol names them: read where they are asked for."""
_FIELDS = {name: field for field, names in _NAMES.items() for name in (field.replace("_", ""), *names.split())}

_MONEY = {1: "元 人民币元 yuan cny rmb", 1_000: "千元", 10_000: "万元 万", 1_000_000: "百万元", 100_000_000: "亿元 亿"}
_UNITS: dict[str, Mapping[int, str]] = {
    "volume": {1: "股 share shares", 100: "手 百股 lot lots", 1_000: "千股", 10_000: "万股", 1_000_000: "万手"},
    "turnover": _MONEY,
    "price": {1: _MONEY[1]},
    **{field: {1: _MONEY[1]} for field in ("previous_close", "open", "high", "low", "average")},
}
_UNITS |= {"day_volume": _UNITS["volume"], "day_turnover": _MONEY}
_SCALES = {
    field: {name: Decimal(scale) for scale, names in units.items() for name in names.split()}
    for field, units in _UNITS.items()
}
_WITH_UNIT = re.compile(r"(.+?)\s*[(\[]\s*(.+?)\s*[)\]]")


class ColumnError(ValueError):
    """Columns that can't be told apart, or a unit that is not known; the text names the column."""


@dataclass(frozen=True)
class Column:
    """Where a field stands: the file's name of the column, and by what its numbers are multiplied."""

    name: str
    scale: Decimal = Decimal(1)
    stated: bool = False
    """Whether the name says the unit."""


def read(names: Sequence[str], *, figures: bool = False) -> dict[str, Column]:
    """The column of each field that the names of a header, or of a JSON object, hold; with or without ``FIGURES``.

    Raises:
        ColumnError: two columns mean one field, or one is in a unit that is not known.
    """
    found: dict[str, list[Column]] = {}
    for name in names:
        plain, unit = _parted(name)
        field = _FIELDS.get(plain)
        if field is not None and (figures or field not in FIGURES):
            found.setdefault(field, []).append(_column(name, field, unit))
    return {field: _one(field, columns) for field, columns in found.items()}


def units(field: str, suffix: str) -> Decimal | None:
    """By what a number is multiplied whose text ends in a unit, as ``1.5万`` or ``300手``; ``None``: no such unit."""
    return _SCALES.get(field, {}).get(suffix) or ({"万": Decimal(10**4), "亿": Decimal(10**8)}.get(suffix))


def _parted(name: str) -> tuple[str, str]:
    """A name without case, spaces and underscores, and the unit in its parentheses."""
    text = unicodedata.normalize("NFKC", name).strip().strip("\"'").lower()
    match = _WITH_UNIT.fullmatch(text)
    text, unit = (match[1], match[2]) if match else (text, "")
    return re.sub(r"[\s_\-./]", "", text), unit


def _column(name: str, field: str, unit: str) -> Column:
    if not unit:
        return Column(name)
    scale = _SCALES.get(field, {}).get(unit)
    if field in _SCALES and scale is None:
        known = ", ".join(_SCALES[field])
        raise ColumnError(f"column {name!r}: the unit {unit!r} of {field} is not known; known are {known}")
    return Column(name, scale or Decimal(1), stated=scale is not None)


def _one(field: str, columns: Sequence[Column]) -> Column:
    """The column of a field: the only one, else the one with the field's own name."""
    if len(columns) == 1:
        return columns[0]
    own = [column for column in columns if column.name.strip().lower() == field]
    if len(own) == 1:
        return own[0]
    several = " and ".join(repr(column.name) for column in columns)
    raise ColumnError(f"columns {several} both mean {field}: keep one of them, or name the right one {field}")
