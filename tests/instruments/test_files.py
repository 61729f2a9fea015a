"""Files of each form become records in the contract's units; what can't be read is named with its line."""

from __future__ import annotations

import contextlib
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pyarrow import parquet

from instruments.columns import ColumnError
from instruments.columns import read as read_columns
from instruments.files import Content, read
from instruments.rows import RowError
from instruments.rows import read as read_row
from schemas import Instrument, UsageError

SAMPLES = Path(__file__).parent / "samples"
DAY = "2026-11-20"
MAOTAI = Instrument(
    "600519",
    "SSE",
    name="贵州茅台",
    kind="a-share",
    board="MAIN",
    st=False,
    list_date="2001-08-27",
    lot=100,
    tick_size=0.01,
    shares=1_252_270_215,
    float_shares=1_252_270_215,
    day=DAY,
    previous_close=1690.0,
    limit_up=1859.0,
    limit_down=1521.0,
)


def sample(name: str) -> Content:
    content = read(SAMPLES / f"{name}.csv", DAY)
    assert not content.refused
    return content


def of(name: str, code: str) -> Instrument:
    return sample(name).rows[code].record


def written(path: Path, text: str, encoding: str = "utf-8") -> Content:
    path.write_bytes(text.encode(encoding))
    return read(path, DAY)


@pytest.mark.parametrize(("name", "form"), [("akshare", "AkShare"), ("qmt", "QMT"), ("own", "own")])
def test_the_same_stock_in_three_forms_is_the_same_record(name: str, form: str) -> None:
    """万股, shares as floats, and the project's own columns."""
    assert sample(name).form == form
    assert of(name, "600519") == MAOTAI


def test_tushare_s_interfaces_each_say_a_part() -> None:
    """Names and dates, limits of the latest day in the file, shares in 万 or 亿 by interface."""
    assert sample("tushare_stock_basic").form == "Tushare"
    basic, limits = of("tushare_stock_basic", "600519"), of("tushare_stk_limit", "600519")
    assert (basic.name, basic.list_date, basic.day, basic.shares) == ("贵州茅台", "2001-08-27", None, None)
    assert (limits.name, limits.day, limits.limit_up) == (None, DAY, 1859.0)
    assert of("tushare_stock_basic", "920819").board == "BSE"
    assert of("tushare_stk_limit", "510300.SSE").limit_down == 3.708
    assert of("tushare_daily_basic", "600519").shares == 1_252_270_215
    assert of("tushare_bak_basic", "600519").float_shares == 1_252_270_000


def test_other_kinds_and_days_without_a_limit() -> None:
    """A new listing's limits, ST by the name, an index that has a bank's digits, a convertible bond."""
    new = of("akshare", "688001")
    assert (new.limit_up, new.limit_down, new.previous_close, new.list_date) == (None, None, 32.1, "2026-11-19")
    assert of("qmt", "688001").limit_up is None
    assert of("akshare", "300001").st is True
    assert of("akshare", "000001").name == "平安银行"
    fund = of("akshare", "510300.SSE")
    assert (fund.kind, fund.tick_size, fund.st, fund.shares) == ("fund", 0.001, None, None)
    for name in ("qmt", "akshare_index"):
        index = of(name, "000001.SSE")
        assert (index.name, index.kind, index.previous_close, index.limit_up, index.list_date) == (
            "上证指数",
            "index",
            3912.4471,
            None,
            None,
        )
    assert of("qmt", "123001.SZSE").kind == "convertible"


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "gb18030"])
@pytest.mark.parametrize("name", ["akshare", "tushare_stock_basic", "qmt", "own"])
def test_in_any_encoding_and_as_parquet_it_is_the_same(tmp_path: Path, name: str, encoding: str) -> None:
    """As spreadsheets, Chinese editors and pandas write it, with tabs too."""
    text = (SAMPLES / f"{name}.csv").read_text("utf-8")
    expected = sample(name).rows
    assert written(tmp_path / "one.csv", text.replace("\n", "\r\n"), encoding).rows == expected
    lines = [[cell.strip('"') for cell in line.split(",")] for line in text.replace('"125,227', "125227").splitlines()]
    lines = [[cell.removesuffix('"') for cell in line] for line in lines]
    if name != "akshare":
        assert written(tmp_path / "two.csv", "\n".join("\t".join(line) for line in lines), encoding).rows == expected
        columns = dict(zip(lines[0], zip(*lines[1:], strict=True), strict=True))
        parquet.write_table(pa.table({name: list(cells) for name, cells in columns.items()}), tmp_path / "one.parquet")
        assert read(tmp_path / "one.parquet", DAY).rows == expected


def test_parquet_with_types_of_its_own(tmp_path: Path) -> None:
    """Dates, whole numbers, floats with NaN, and a nested column that is none of ours."""
    from datetime import date

    table = pa.table(
        {
            "ts_code": ["600519.SH", "000001.SZ"],
            "list_date": [date(2001, 8, 27), None],
            "trade_date": [20261120, 20261120],
            "up_limit": [1859.0, float("nan")],
            "tags": [["a"], []],
        }
    )
    parquet.write_table(table, tmp_path / "some.parquet")
    content = read(tmp_path / "some.parquet", "2026-11-23")
    first, second = (content.rows[code].record for code in ("600519", "000001"))
    assert (first.list_date, first.day, first.limit_up) == ("2001-08-27", DAY, 1859.0)
    assert (second.list_date, second.day, second.limit_up) == (None, None, None)
    parquet.write_table(pa.table({"代码": [1], "名称": ["平安银行"]}), tmp_path / "ints.parquet")
    (refused,) = read(tmp_path / "ints.parquet", DAY).refused
    assert (refused.place, "leading zeros" in refused.why) == ("row 1", True)


@pytest.mark.parametrize(
    ("row", "why"),
    [
        ("1,平安银行,,,", "leading zeros"),
        (",平安银行,,,", "代码: there is no code"),
        ("700519,没有,,,", "700519 is in no range of A shares"),
        ("600519,贵州茅台,,abc,", "总股本: 'abc' is not a number"),
        ("600519,贵州茅台,,-5,", "总股本: '-5' is not a number of shares"),
        ("600519,贵州茅台,27/08/2001,,", "上市日期: '27/08/2001' is not a date"),
        ("600519,贵州茅台,2001-02-30,,", "上市日期: '2001-02-30' is not a date"),
        ("600519,贵州茅台,,1e300,", "600519: Instrument"),
        ("600519,贵州茅台,,,-1", "昨收: '-1' is not a price"),
        ("600000,又一,,,", "600000 stands in line 2 already"),
    ],
)
def test_a_row_that_cannot_be_read_is_named_with_its_line(tmp_path: Path, row: str, why: str) -> None:
    content = written(tmp_path / "some.csv", f"代码,名称,上市日期,总股本,昨收\n600000,浦发银行,,,\n\n{row}\n")
    (refused,) = content.refused
    assert refused.place == "line 4"
    assert why in refused.why
    assert set(content.rows) == {"600000"}


def test_a_line_is_counted_as_the_file_has_it(tmp_path: Path) -> None:
    """A cell may hold a line break."""
    content = written(tmp_path / "some.csv", '代码,名称,全称\n600000,浦发,"two\nlines"\nx,y,z\n')
    assert [one.place for one in content.refused] == ["line 4"]


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "is empty"),
        ("a,b\n1,2\n", "no column holds a code"),
        ("代码,昨收,前收盘\n600519,1,2\n", "'昨收', '前收盘' all mean previous_close"),
        ("代码,总股本(打)\n600519,1\n", "the unit '打' of shares is not known"),
        ("\0\0", "neither CSV in UTF-8 or GBK nor Parquet"),
        ("PAR1 and no more", "is not a Parquet file"),
    ],
)
def test_a_file_that_is_none_says_why(tmp_path: Path, text: str, why: str) -> None:
    with pytest.raises(UsageError, match=r"some\.csv") as refused:
        written(tmp_path / "some.csv", text)
    assert why in str(refused.value)


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="can't be read"):
        read(tmp_path / "none.csv", DAY)


@given(st.lists(st.text(max_size=12), min_size=1, max_size=6), st.lists(st.text(max_size=12), max_size=7))
@settings(max_examples=200)
def test_any_cells_are_a_row_or_a_documented_error(names: list[str], cells: list[str]) -> None:
    """Whatever a file holds, nothing else is raised."""
    try:
        columns = read_columns(["code", *names])
    except ColumnError:
        return
    for code in ("600519", *cells[:1]):
        try:
            row = read_row([code, *cells], columns, DAY)
        except RowError:
            continue
        assert row.record.code


@given(
    st.sampled_from(["上市日期", "总股本", "昨收", "涨停", "名称", "st", "交易日", "交易所"]),
    st.one_of(st.text("0123456789.,-eE亿万股年月日/ \uff11", max_size=12), st.text(max_size=80)),
)
@settings(max_examples=400)
def test_any_cell_of_a_known_column_likewise(name: str, cell: str) -> None:
    with contextlib.suppress(RowError):
        read_row(["600519", cell], read_columns(["代码", name]), DAY)
