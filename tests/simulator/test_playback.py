"""A recorded file as a source."""

from __future__ import annotations

import gzip
from datetime import date
from pathlib import Path
from typing import Any

import orjson
import pytest

from market.times import parse_time
from schemas import UsageError
from simulator.playback import PlayedFeed
from simulator.run import recorded


def write(folder: Path, name: str, text: str, encoding: str = "utf-8") -> Path:
    path = folder / name
    path.write_text(text, encoding)
    return path


def play(path: Path, **options: Any) -> list[tuple[float, Any]]:
    """Every tick of a file with the second at which it is due."""
    source = PlayedFeed(path, **options)
    played: list[tuple[float, Any]] = []
    while (due := source.next_due) is not None:
        assert source.take(due - 1e-9, 10).texts == []
        played += [(round(due, 6), orjson.loads(text)) for text in source.take(due, 1).texts]
    return played


def test_csv_and_json_lines_say_the_same(tmp_path: Path) -> None:
    """Only what the recording has is pushed; other columns are ignored, whatever their encoding."""
    csv = write(
        tmp_path,
        "a.csv",
        "名称,Code,time,price,volume,turnover,side,seq\n"
        "茅台,600519,1790000000123,1700.01,300,510003.0,buy,7\n"
        "平安,000001.SZ,1790000000,11.5,,,,\n"
        "\n"
        "平安,000001,1790000001000,11.50,0,0,S,\n",
        "gbk",
    )
    lines = write(
        tmp_path,
        "a.jsonl",
        '{"code":"600519","time":1790000000123,"price":1700.01,"volume":300,"turnover":510003.0,"side":"buy","seq":7}\n'
        '{"ticks":[{"code":"000001","time":"1790000000","price":"11.5","volume":null},'
        '{"code":"000001","time":1790000001000000,"price":11.5,"volume":0,"turnover":0,"side":"SELL","name":1}]}\n',
    )
    expected = [
        {
            "code": "600519",
            "price": 1700.01,
            "time": 1790000000123,
            "volume": 300,
            "turnover": 510003.0,
            "side": "buy",
            "seq": 7,
        },
        {"code": "000001", "price": 11.5, "time": 1790000000000},
        {"code": "000001", "price": 11.5, "time": 1790000001000, "volume": 0, "turnover": 0, "side": "sell"},
    ]
    assert [tick for _, tick in play(csv)] == expected
    assert [tick for _, tick in play(lines)] == expected
    packed = tmp_path / "a.jsonl.gz"
    packed.write_bytes(gzip.compress(lines.read_bytes()))
    assert [tick for _, tick in play(packed)] == expected


TIMES = ("09:30:00", "09:30:00.300", "2026-11-20 09:30:01", "09:30:00.900", "09:30:01.500", "13:00:00", "13:00:10")


def test_the_pace_is_the_recording_s(tmp_path: Path) -> None:
    """Distances are kept, a time that runs backwards waits for nothing, and lunch is jumped."""
    path = write(tmp_path, "a.csv", "code,time,price\n" + "".join(f"600519,{time},1700\n" for time in TIMES))
    played = play(path, today=date(2026, 11, 20))
    assert [due for due, _ in played] == [0.0, 0.3, 1.0, 1.0, 1.5, 1.5, 11.5]
    assert [tick["time"] for _, tick in played] == [parse_time(time, today=date(2026, 11, 20)) for time in TIMES]
    faster = play(path, today=date(2026, 11, 20), speed=10.0)
    assert [due for due, _ in faster] == [0.0, 0.03, 0.1, 0.1, 0.15, 0.15, 1.15]


def test_only_what_traded_counts_as_traded(tmp_path: Path) -> None:
    """Volume 0 is not a trade; a recording without volumes is unknown, not zero."""
    path = write(tmp_path, "a.csv", "code,time,price,volume\n600519,1790000000,1700,0\n600519,1790000000,1700,\n")
    assert PlayedFeed(path).take(0.0, 10).traded == [False, True]


GOOD = "600519,1790000000,1700,100,buy\n"


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("600519,1790000000,abc,100,buy", "price 'abc'"),
        ("600519,1790000000,nan,100,buy", "price 'nan'"),
        ("600519,1790000000,inf,100,buy", "price 'inf'"),
        ("600519,1790000000,-1,100,buy", "price '-1'"),
        ("600519,1790000000,0,100,buy", "price '0'"),
        ("600519,1790000000,,100,buy", "price ''"),
        ("600519,yesterday,1700,100,buy", "time"),
        ("600519,,1700,100,buy", "time"),
        (",1790000000,1700,100,buy", "code"),
        ("1,1790000000,11.5,100,buy", "leading zeros"),
        ("600519,1790000000,1700,-5,buy", "volume '-5'"),
        ("600519,1790000000,1700,1e300,buy", "volume '1e300'"),
        ("600519,1790000000,1700,100,up", "side 'up'"),
        ("600519,1790000000,1700", "3 columns where the header has 5"),
    ],
)
def test_a_bad_line_is_an_error_that_names_file_and_line(tmp_path: Path, line: str, why: str) -> None:
    """What comes before it plays; what is wrong is said, with the value."""
    path = write(tmp_path, "bad.csv", f"code,time,price,volume,side\n{GOOD}{GOOD}{line}\n{GOOD}")
    source = PlayedFeed(path)
    assert len(source.take(0.0, 10).texts) == 2
    assert source.next_due == 0.0
    with pytest.raises(UsageError) as caught:
        source.take(0.0, 10)
    assert f"{path}, line 4: " in str(caught.value)
    assert why in str(caught.value)


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("{", "not JSON"),
        ("[1]", "a tick is an object"),
        ('{"ticks":{}}', "ticks is not an array"),
        ('{"ticks":[7]}', "a tick is an object"),
        ('{"code":600519,"time":1790000000,"price":1}', "code 600519 is not text"),
        ('{"code":"600519","time":true,"price":1}', "time"),
        ('{"code":"600519","time":1790000000,"price":true}', "price True"),
        ('{"code":"600519","time":1790000000}', "price None"),
        ('{"code":"600519","price":1}', "time"),
    ],
)
def test_a_bad_json_line_is_named_too(tmp_path: Path, line: str, why: str) -> None:
    """As in CSV."""
    path = write(tmp_path, "bad.jsonl", '{"code":"600519","time":1790000000,"price":1}\n' + line + "\n")
    with pytest.raises(UsageError) as caught:
        play(path)
    assert f"{path}, line 2: " in str(caught.value)
    assert why in str(caught.value)


@pytest.mark.parametrize(
    ("name", "text", "why"),
    [
        ("a.csv", "code,price\n600519,1\n", "the header lacks time"),
        ("a.csv", "", "the header lacks code, time, price"),
        ("a.csv", "code,time,price\n", "no ticks"),
        ("a.jsonl", "\n", "no ticks"),
        ("a.csv.gz", "not packed", "can't be played"),
    ],
)
def test_a_file_that_cannot_be_played_is_refused_at_once(tmp_path: Path, name: str, text: str, why: str) -> None:
    """Before anyone connects."""
    with pytest.raises(UsageError, match=why):
        PlayedFeed(write(tmp_path, name, text))


def test_a_missing_file_and_an_impossible_speed_are_refused(tmp_path: Path) -> None:
    """Both errors name what was given."""
    with pytest.raises(UsageError, match="gone"):
        recorded(tmp_path / "gone.csv")
    for speed in ("fast", "x0", "-1", "xnan", "x"):
        with pytest.raises(UsageError, match="--speed"):
            recorded(tmp_path / "gone.csv", speed=speed)
