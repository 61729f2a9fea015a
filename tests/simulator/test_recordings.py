"""Exports of this field as recordings: each form is understood, or refused with the name of its column."""

from __future__ import annotations

import itertools
import tempfile
from datetime import date, datetime
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from market.times import SHANGHAI, parse_time
from schemas import UsageError
from simulator import playback
from simulator.playback import PlayedFeed

DAY = "2026-08-28"
OPEN = parse_time(f"{DAY} 09:30:00")


def played(path: Path, **options: Any) -> list[Any]:
    """Every tick of a file, in order."""
    source = PlayedFeed(path, speed=1e9, **options)
    ticks: list[Any] = []
    while source.next_due is not None:
        ticks += map(orjson.loads, source.take(float("inf"), 1_000).texts)
    return ticks


def file(folder: Path, text: str, encoding: str = "utf-8", name: str = "a.csv") -> Path:
    path = folder / name
    path.write_bytes(text.encode(encoding))
    return path


def one(folder: Path, header: str, row: str, **options: Any) -> Any:
    """The one tick of a file of one row."""
    [tick] = played(file(folder, f"{header}\n{row}\n"), **options)
    return tick


def test_a_date_in_a_column_of_its_own_dates_the_times(tmp_path: Path) -> None:
    """Two days stay two days, and none becomes today."""
    text = "code,date,time,price\n600519,2026-08-27,15:00:00,1480.05\n600519,2026-08-28,09:25:00,1485\n"
    ticks = played(file(tmp_path, text), today=date(2026, 11, 30))
    assert [tick["time"] for tick in ticks] == [parse_time("2026-08-27 15:00:00"), parse_time("2026-08-28 09:25:00")]


TIMES = [
    # columns, values, what they say
    ("date,time", "2026-08-28,09:30:00.500", 500),
    ("date,time", "20260828,093000500", 500),
    ("date,time", "20260828,93000500", 500),
    ("date,time", "20260828,93000", 0),
    ("date,time", "20260828,093000", 0),
    ("date,time", "20260828,093000500123", 500),
    ("date,time", "20260828.0,93000500.0", 500),
    ("date,time", "2026/8/28,9:30:00", 0),
    ("date,time", "2026.08.28,09:30:00.500", 500),
    ("date,time", "2026-08-28 00:00:00,09:30:00", 0),
    ("date,time", "2026-08-28,2026-08-28 09:30:00", 0),
    ("日期,时间", "2026年8月28日,09:30:00", 0),
    ("交易日期,成交时间", "20260828,93000", 0),
    ("TradingDay,UpdateTime", "20260828,09:30:00", 0),
    ("trade_date,trade_time", "2026-08-28,2026-08-28T09:30:00+08:00", 0),
    ("time", "20260828093000500", 500),
    ("time", "20260828093000", 0),
    ("time", "20260828 093000", 0),
    ("time", "20260828 93000500", 500),
    ("time", "2026/8/28 9:30", 0),
    ("time", "2026-08-28 09:30:00.500", 500),
    ("time", "2026-08-28T01:30:00Z", 0),
    ("date", "2026-08-28 09:30:00", 0),
    ("datetime", "2026-08-28 09:30:00.500000", 500),
    ("timestamp", f"{OPEN}", 0),
    ("timestamp", f"{OPEN // 1000}", 0),
    ("timestamp", f"{OPEN}000", 0),
    ("timestamp", f"{OPEN}000000", 0),
    ("时间戳", f"{OPEN}.0", 0),
    ("time", f"\ufeff{OPEN}", 0),
    ("time", '"=""20260828093000500"""', 500),
]


@pytest.mark.parametrize(("columns", "value", "ms"), TIMES)
def test_every_form_of_a_time_is_the_same_moment(tmp_path: Path, columns: str, value: str, ms: int) -> None:
    """Whatever today is."""
    tick = one(tmp_path, f"code,{columns},price", f"600519,{value},1", today=date(2026, 11, 30))
    assert tick["time"] == OPEN + ms


@pytest.mark.parametrize(
    ("columns", "value", "named"),
    [
        ("date,time", "28/08/2026,09:30:00", "date"),
        ("date,time", "2026-02-30,09:30:00", "date"),
        ("date,time", "46262,09:30:00", "date"),
        ("date,time", "2026-08-28,2026-08-29 09:30:00", "time"),
        ("date,time", "20260828,34200000", "time"),
        ("date,time", "20260828,34200", "time"),
        ("date,time", "20260828,996000", "time"),
        ("date,time", "20260828,", "time"),
        ("time", "2.02608E+16", "time"),
        ("time", "2026-08-28", "time"),
        ("time", "20260828", "time"),
        ("my day,time", "2026-08-28,09:30:00", "my day"),
        ("time,datetime2,timestamp,datetime", "09:30:00,1,1,2026-08-28 09:30:00", None),
        ("trade_time,datetime", "09:30:00,2026-08-28 09:30:00", "trade_time"),
    ],
)
def test_a_time_that_could_be_misread_is_refused_by_name(
    tmp_path: Path, columns: str, value: str, named: str | None
) -> None:
    """The error names the column: nothing is guessed, and nothing becomes a tick of today."""
    if named is None:
        named = "datetime"
    with pytest.raises(UsageError, match=rf"line \d: .*{named}"):
        one(tmp_path, f"code,{columns},price", f"600519,{value},1")


@pytest.mark.parametrize(
    ("written", "code"),
    [
        ("sh600000", "600000"),
        ("SH600000", "600000"),
        ("600000.XSHG", "600000"),
        ("000001.XSHE", "000001"),
        ("SZ000001", "000001"),
        ("sz.000002", "000002"),
        ("bj920002", "920002"),
        ("600519.SH", "600519"),
        ("000001.XSHG", "000001.SSE"),
        ("sh000001", "000001.SSE"),
        ('"=""000001"""', "000001"),
        ("'000001", "000001"),
    ],
)
@pytest.mark.parametrize("column", ["code", "symbol", "ts_code", "SecurityID", "代码", "证券代码", "股票代码"])
def test_every_form_of_a_code_in_a_column_of_every_name(tmp_path: Path, column: str, written: str, code: str) -> None:
    """The one form goes out."""
    assert one(tmp_path, f"{column},time,price", f"{written},{OPEN},1")["code"] == code


def test_an_exchange_in_a_column_of_its_own_tells_the_index_from_the_bank(tmp_path: Path) -> None:
    """000001 is two instruments; an exchange that is not known is refused by the name of its column's code."""
    assert one(tmp_path, "code,exchange,time,price", f"000001,SH,{OPEN},3000")["code"] == "000001.SSE"
    assert one(tmp_path, "代码,交易所,时间,价格", f"000001,深交所,{OPEN},11")["code"] == "000001"
    with pytest.raises(UsageError, match="code the exchange 'LSE'"):
        one(tmp_path, "code,exchange,time,price", f"000001,LSE,{OPEN},11")


@pytest.mark.parametrize(
    ("header", "row", "volume", "turnover"),
    [
        ("volume,turnover", "300,450003", 300, 450003),
        ("volume,turnover", '"1,300","1,450,003.00"', 1300, 1450003),
        ("成交量,成交额", "300,450003", 300, 450003),
        ("成交量(手),成交额(万元)", "3,45.0003", 300, 450003),
        ("成交量\uff08手\uff09,成交额\uff08元\uff09", "3,450003", 300, 450003),
        ("成交量(股),成交金额", "300,450003", 300, 450003),
        ("vol [lots],amount", "3,450003", 300, 450003),
        ("volume,turnover", "3手,45.0003万", 300, 450003),
        ("成交量(手),成交额", "3手,450003元", 300, 450003),
        ("volume,turnover", "300.0,4.50003e5", 300, 450003),
        ("qty,money", "--,-", None, None),
    ],
)
def test_volumes_and_turnovers_are_shares_and_yuan(
    tmp_path: Path, header: str, row: str, volume: int | None, turnover: float | None
) -> None:
    """Thousands grouped, units beside the name or the number, and dashes for what is not known."""
    tick = one(tmp_path, f"code,time,price,{header}", f"600519,{OPEN},1500.01,{row}")
    assert (tick.get("volume"), tick.get("turnover")) == (volume, turnover)


def test_lots_by_a_setting(tmp_path: Path) -> None:
    """A setting that contradicts the column's name is refused, and names it."""
    row = f"600519,{OPEN},1500.01,3"
    assert one(tmp_path, "code,time,price,volume", row, volume_unit="lots")["volume"] == 300
    assert one(tmp_path, "code,time,price,成交量(手)", row, volume_unit="lots")["volume"] == 300
    with pytest.raises(UsageError, match="成交量"):
        one(tmp_path, "code,time,price,成交量(手)", row, volume_unit="shares")


@pytest.mark.parametrize(
    ("header", "row", "named"),
    [
        ("volume(brl)", "1", "volume"),
        ("price(分)", "1", "price"),
        ("volume", '"1,5"', "volume"),
        ("volume", "3x", "volume"),
        ("volume,vol,qty", "1,2,3", None),
        ("vol,qty", "1,2", "vol"),
        ("side", "up", "side"),
        ("amount", '"1.500,01"', "amount"),
    ],
)
def test_a_number_that_could_be_misread_is_refused_by_name(
    tmp_path: Path, header: str, row: str, named: str | None
) -> None:
    """Where one of several columns has the field's own name, that one counts."""
    text = f"600519,{OPEN},1500.01,{row}"
    if named is None:
        assert one(tmp_path, f"code,time,price,{header}", text)["volume"] == 1
        return
    with pytest.raises(UsageError, match=rf"line \d: .*{named}"):
        one(tmp_path, f"code,time,price,{header}" if "price(" not in header else f"code,time,{header},x", text)


def test_a_price_in_another_unit_is_refused(tmp_path: Path) -> None:
    """Exports of Level-2 count 1/10,000 yuan."""
    with pytest.raises(UsageError, match="price '15000100' yuan"):
        one(tmp_path, "code,time,price", f"600519,{OPEN},15000100")
    assert one(tmp_path, "code,time,price", f"600519,{OPEN},1500.01")["price"] == 1500.01


@pytest.mark.parametrize(
    ("written", "side"), [("买盘", "buy"), ("卖盘", "sell"), ("中性盘", None), ("B", "buy"), ("S", "sell"), ("N", None)]
)
def test_sides_in_words(tmp_path: Path, written: str, side: str | None) -> None:
    """What is neither is not known."""
    assert one(tmp_path, "代码,时间,成交价,性质", f"600519,{OPEN},1500.01,{written}").get("side") == side


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "gbk", "gb18030", "utf-16"])
@pytest.mark.parametrize("delimiter", [",", "\t", ";"])
def test_encodings_and_delimiters(tmp_path: Path, encoding: str, delimiter: str) -> None:
    """As spreadsheets of this field save them."""
    text = "代码,名称,日期,时间,成交价,成交量,成交额\n600519,贵州茅台,2026-08-28,09:30:00,1500.01,100,150001\n"
    [tick] = played(file(tmp_path, text.replace(",", delimiter), encoding))
    assert tick == {"code": "600519", "price": 1500.01, "time": OPEN, "volume": 100, "turnover": 150001.0}


def test_rows_of_price_zero_are_no_ticks_and_told_of(tmp_path: Path) -> None:
    """Before the first trade of a day, a snapshot has price 0; with a volume it is an error."""
    text = f"code,time,price,volume\n600519,{OPEN},0,0\n600519,{OPEN},0.000,\n600519,{OPEN},1500.01,100\n"
    source = PlayedFeed(file(tmp_path, text))
    assert len(source.take(1.0, 10).texts) == 1
    assert source.notes == ["2 rows of price 0 are left out: nothing was traded yet"]
    with pytest.raises(UsageError, match="price '0'"):
        one(tmp_path, "code,time,price,volume", f"600519,{OPEN},0,100")


@given(st.permutations(range(12)))
def test_rows_out_of_order_are_sorted_and_told_of(order: list[int]) -> None:
    """As an export of one code after the other; rows of one time stay as they stand."""
    with tempfile.TemporaryDirectory() as folder:
        rows = [f"600519,{OPEN + 60_000 * (number // 2)},{number + 1}" for number in order]
        source = PlayedFeed(file(Path(folder), "code,time,price\n" + "\n".join(rows) + "\n"), speed=1e9)
        ticks = list(map(orjson.loads, source.take(float("inf"), 100).texts))
        assert ticks == sorted(ticks, key=lambda tick: tick["time"])
        assert [t["price"] for t in ticks] == [
            number + 1 for half in range(6) for number in order if number // 2 == half
        ]
        disordered = any(a // 2 > b // 2 for a, b in itertools.pairwise(order))
        assert any("sorted" in note for note in source.notes) == disordered


def test_disorder_beyond_what_is_read_ahead_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was played can't be put in order any more; the line is named."""
    monkeypatch.setattr(playback, "AHEAD", 3)
    rows = [f"600519,{OPEN + 60_000 * number},1" for number in (0, 1, 2, 3, 1)]
    with pytest.raises(UsageError, match="line 6: its time is 120 s before"):
        played(file(tmp_path, "code,time,price\n" + "\n".join(rows) + "\n"))


def test_a_session_from_the_socket_plays_without_its_greetings(tmp_path: Path) -> None:
    """Welcome, acknowledgement and pong are not ticks; frames are played as they came."""
    late = OPEN - 90_000
    lines = [
        '{"type":"welcome","msg":"hi"}',
        '{"action":"subscribed","symbols":["600519"]}',
        f'{{"ticks":[{{"code":"600519","price":1,"time":{OPEN}}}]}}',
        '{"action":"pong"}',
        f'{{"ticks":[{{"code":"600519","price":2,"time":{late}}}]}}',
    ]
    source = PlayedFeed(file(tmp_path, "\n".join(lines) + "\n", name="a.jsonl"))
    assert [orjson.loads(text)["price"] for text in source.take(1.0, 10).texts] == [1, 2]
    assert source.notes == ["3 lines that are not ticks (greetings, answers) are left out"]


def test_times_without_any_date_are_told_of(tmp_path: Path) -> None:
    """They get the date of --start, which is said."""
    source = PlayedFeed(file(tmp_path, "code,time,price\n600519,09:30:00,1\n"), today=date(2026, 8, 28))
    assert orjson.loads(source.take(0.0, 1).texts[0])["time"] == OPEN
    assert source.notes == ["its times have no date and are played as of 2026-08-28: --start gives another date"]


FORMS = (
    "%Y-%m-%d %H:%M:%S.%f",
    "%Y/%m/%d %H:%M:%S",
    "%Y%m%d%H%M%S",
    "%Y%m%d %H%M%S",
    "%Y.%m.%d %H:%M:%S",
    "%Y年%m月%d日 %H:%M:%S",
    "%Y-%m-%dT%H:%M:%S",
)


@given(
    st.datetimes(datetime(2000, 1, 1), datetime(2098, 1, 1)).map(lambda at: at.replace(microsecond=0)),  # noqa: DTZ001 - Shanghai's
    st.sampled_from(FORMS),
    st.booleans(),
)
def test_a_written_moment_is_read_as_itself(at: datetime, form: str, apart: bool) -> None:
    """In one column or in two; never as another moment."""
    written = at.strftime(form)
    moment = int(at.replace(tzinfo=SHANGHAI).timestamp() * 1000)
    with tempfile.TemporaryDirectory() as folder:
        if apart:
            day, clock = at.strftime("%Y%m%d"), at.strftime("%H%M%S")
            tick = f"600519,{day},{clock}"
            header = "code,date,time,price"
        else:
            tick, header = f"600519,{written}", "code,time,price"
        [found] = played(file(Path(folder), f"{header}\n{tick},1\n"))
    assert found["time"] == moment
