"""``ashare instruments`` and those who follow its topic, on a real broker."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from broker import admin
from broker.publisher import Publisher
from cli.main import app
from deploy.embedded import KafkaBroker, free_port
from instruments.following import Following
from instruments.topic import read, write
from schemas import Instrument, UsageError
from schemas.topics import INSTRUMENTS

SAMPLES = Path(__file__).parent / "samples"
SECONDS = 60
run = CliRunner()


@pytest.fixture(scope="module")
def own_broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """One of the tests' own, since producers and workers of other tests would follow what is applied here."""
    with KafkaBroker(tmp_path_factory.mktemp("instruments")) as broker:
        with ThreadPoolExecutor(1) as pool:
            pool.submit(lambda: asyncio.run(admin.apply(broker.bootstrap))).result()
        yield broker.bootstrap


@pytest.fixture
def bare(own_broker: str) -> str:
    """The broker, with nothing known."""

    async def clear() -> None:
        await write(own_broker, (), await read(own_broker))

    with ThreadPoolExecutor(1) as pool:
        pool.submit(lambda: asyncio.run(clear())).result()
    return own_broker


def instruments(bootstrap: str, *words: str | Path, code: int = 0) -> Result:
    result = run.invoke(app, ["instruments", *map(str, words), "--bootstrap", bootstrap], catch_exceptions=False)
    assert result.exit_code == code
    return result


def counted(result: Result) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(result.stdout)
    return found


def test_files_lay_over_one_another(bare: str) -> None:
    """Names from one, limits from another; what is applied again changes nothing."""
    said = instruments(bare, "apply", SAMPLES / "tushare_stock_basic.csv").stdout
    assert said == "3 instruments (Tushare): 3 added, 0 changed, 0 unchanged, 0 removed\n"
    before = instruments(bare, "diff", SAMPLES / "tushare_stk_limit.csv").stdout.splitlines()
    assert before[0] == "+ 510300.SSE"
    assert before[1].startswith("~ 600519      ")
    assert "limit_up – -> 1859.0" in before[1]
    limits = counted(instruments(bare, "apply", SAMPLES / "tushare_stk_limit.csv", "--json"))
    assert {name: limits[name] for name in ("added", "changed", "unchanged", "days")} == {
        "added": 1,
        "changed": 2,
        "unchanged": 0,
        "days": ["2026-11-20"],
    }
    assert "nothing to write" in instruments(bare, "apply", SAMPLES / "tushare_stk_limit.csv").stdout
    shown = json.loads(instruments(bare, "show", "600519", "--json").stdout)
    assert (shown["name"], shown["list_date"], shown["limit_up"], shown["day"]) == (
        "贵州茅台",
        "2001-08-27",
        1859.0,
        "2026-11-20",
    )
    assert "limit_down      3.708" in instruments(bare, "show", "510300").stdout
    assert "000300.SSE: nothing is known of it" in instruments(bare, "show", "000300.SSE", code=1).stderr


def test_what_the_file_does_not_have_is_removed_where_that_is_asked(bare: str) -> None:
    instruments(bare, "apply", SAMPLES / "qmt.csv")
    difference = instruments(bare, "diff", SAMPLES / "own.csv", "--remove-missing").stdout
    assert "- 000001.SSE\n" in difference
    found = counted(instruments(bare, "apply", SAMPLES / "own.csv", "--remove-missing", "--json"))
    assert (found["added"], found["unchanged"], found["removed"]) == (1, 1, 4)
    assert set(asyncio.run(read(bare))) == {"600519", "510300.SSE"}


def test_a_row_that_cannot_be_read_keeps_all_of_the_file_out(bare: str, tmp_path: Path) -> None:
    file = tmp_path / "some.csv"
    file.write_text("代码,名称\n600519,贵州茅台\n1,平安银行\n700519,没有\n", "gbk")
    with pytest.raises(UsageError) as refused:
        instruments(bare, "apply", file)
    lines = str(refused.value).splitlines()
    assert [line.partition(": ")[0] for line in lines] == [f"{file}, line 3", f"{file}, line 4", f"{file}"]
    assert "2 rows can't be read, so nothing is applied: mend them, or --skip" in lines[-1]
    assert asyncio.run(read(bare)) == {}
    with pytest.raises(UsageError, match="--remove-missing would remove"):
        instruments(bare, "apply", file, "--skip", "--remove-missing")
    result = instruments(bare, "apply", file, "--skip")
    assert "1 added" in result.stdout
    assert "2 rows skipped" in result.stdout
    assert "line 3" in result.stderr


def test_wrong_use_names_the_fix(bare: str, tmp_path: Path) -> None:
    """A day that is none, a broker that is not there, a file without rows."""
    with pytest.raises(UsageError, match="write YYYY-MM-DD"):
        instruments(bare, "apply", SAMPLES / "own.csv", "--day", "20 Nov")
    with pytest.raises(UsageError, match="no Kafka broker answers"):
        instruments(f"127.0.0.1:{free_port()}", "apply", SAMPLES / "own.csv")
    (tmp_path / "head.csv").write_text("代码,名称\n")
    with pytest.raises(UsageError, match="holds no instrument"):
        instruments(bare, "diff", tmp_path / "head.csv")


async def test_who_follows_has_all_of_it_and_every_change(bare: str) -> None:
    """A record that is none costs that one alone."""
    maotai = Instrument("600519", "SSE", name="贵州茅台")
    await write(bare, [maotai, Instrument("000001", "SZSE")])
    told: list[Sequence[str]] = []
    following = Following(bare, told.append)
    await following.start(SECONDS)
    try:
        assert {*following.known} == {"600519", "000001"}
        assert following.known.get("600519") == maotai
        told.clear()
        publisher = Publisher(bare, client_id="test")
        await publisher.start(INSTRUMENTS)
        for key, value in ((b"600519", b"rubbish"), (b"600000", b'{"code":"600001","exchange":"SSE"}')):
            publisher.queue(INSTRUMENTS, 0).add(key, value, 1_795_138_200_000)
        await publisher.stop()
        await write(bare, [Instrument("688001", "SSE")], ["000001"])
        async with asyncio.timeout(SECONDS):
            while {*following.known} != {"600519", "688001"}:  # noqa: ASYNC110 - what is waited for is Kafka
                await asyncio.sleep(0.05)
        assert following.known.get("600519") == maotai
        assert following.unreadable == 2
        assert sorted(code for some in told for code in some) == ["000001", "688001"]
    finally:
        await following.stop()


async def test_without_the_topic_or_a_broker_nothing_is_known_and_nothing_fails(bare: str) -> None:
    """Where there is no topic, a start does not wait for one."""
    following = Following(bare, topic="ashare.nowhere.v1")
    await following.start(SECONDS)
    await following.stop()
    away = Following(f"127.0.0.1:{free_port()}")
    await away.start(0.2)
    await away.stop()
    assert not len(following.known) + len(away.known)
