"""The notebook-style scripts give, over an archive, what its ticks say."""

from __future__ import annotations

import random
import runpy
import statistics
import subprocess
import sys
from collections.abc import Callable, Iterable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from broker.publisher import Headers
from deploy.embedded import KafkaBroker
from schemas import Tick, encode, topics
from tests.examples.programs import EXAMPLES
from tests.examples.public_topic import send

DAYS = (date(2026, 11, 19), date(2026, 11, 20))
CODES = ("000001", "300750", "600519", "688981")
NINE_THIRTY = timedelta(hours=1, minutes=30)  # in UTC
SHANGHAI = timedelta(hours=8)


def drawn(day: date) -> list[Tick]:
    """A quarter of an hour of ticks, several at a time; one code's feed carries no previous close."""
    rng = random.Random(day.toordinal())
    opening = int((datetime(day.year, day.month, day.day, tzinfo=UTC) + NINE_THIRTY).timestamp() * 1000)
    ticks = []
    for n in range(1800):
        code = rng.choice(CODES)
        time = opening + n // 3 * 1500
        ticks.append(
            Tick(
                code=code,
                exchange="SSE" if code.startswith("6") else "SZSE",
                price=round(100 + rng.random() * 10, 2),
                time=time,
                received=time * 1000 + rng.randrange(1, 90_000),
                source=f"post-{1 + n % 2}",
                run=opening,
                n=n // 2,
                volume=100 * rng.randrange(1, 9),
                turnover=rng.random() * 10_000,
                previous_close=None if code == "300750" else 100.0,
            )
        )
    return ticks


TICKS = {day: drawn(day) for day in DAYS}
LAST = TICKS[DAYS[-1]]


@pytest.fixture(scope="package")
def archive(broker: KafkaBroker, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two days, put into an archive from the topic, which has some ticks once more, and one that can't be read."""
    folder = tmp_path_factory.mktemp("archive")
    ticks = [tick for day in DAYS for tick in TICKS[day]]
    again = random.Random(1).sample(LAST, 100)
    records: list[tuple[str, bytes, Headers]] = [(tick.code, encode(tick), []) for tick in (*ticks, *again)]
    send(broker.bootstrap, topics.TICKS, [*records, ("600519", b"{", [])])
    ashare = str(Path(sys.executable).with_name("ashare"))
    command = [
        ashare,
        "archive",
        "--topic=ticks",
        "--include-today",
        f"--dir={folder}",
        "--bootstrap",
        broker.bootstrap,
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "rows added" in done.stdout
    return folder


@pytest.fixture
def run(archive: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], dict[str, Any]]:
    """Runs a script over the archive, and gives its variables."""

    def run_it(name: str) -> dict[str, Any]:
        script = EXAMPLES / "notebooks" / name
        monkeypatch.setattr(sys, "argv", [str(script), str(archive)])
        return runpy.run_path(str(script))

    return run_it


def bars(ticks: Iterable[Tick], minutes: int) -> dict[tuple[str, datetime], list[Tick]]:
    """Ticks by code and the beginning of their stretch of minutes, Shanghai time without a zone."""
    found: dict[tuple[str, datetime], list[Tick]] = {}
    for tick in ticks:
        begin = tick.time // (minutes * 60_000) * minutes * 60
        shanghai = datetime.fromtimestamp(begin, UTC).replace(tzinfo=None) + SHANGHAI
        found.setdefault((tick.code, shanghai), []).append(tick)
    return dict(sorted(found.items()))


def ohlc(ticks: list[Tick]) -> tuple[float, float, float, float]:
    prices = [tick.price for tick in ticks]
    return prices[0], max(prices), min(prices), prices[-1]


def total(ticks: Iterable[Tick], field: str) -> float:
    return float(sum(getattr(tick, field) for tick in ticks))


def test_duckdb(run: Callable[[str], dict[str, Any]]) -> None:
    """Days, bars of a minute and the largest moves."""
    result = run("duckdb_archive.py")
    assert result["days"].fetchall() == [
        (day, len(ticks), len(CODES), pytest.approx(total(ticks, "turnover"))) for day, ticks in TICKS.items()
    ]
    assert result["bars"].fetchall() == [
        (minute, *ohlc(ticks), total(ticks, "volume"))
        for (code, minute), ticks in bars(LAST, 1).items()
        if code == "600519"
    ]
    closes = {tick.code: tick.price for tick in LAST if tick.previous_close}
    moves = [(code, price, 100.0, pytest.approx((price - 100) * 100, abs=0.01)) for code, price in closes.items()]
    assert result["moves"].fetchall() == sorted(moves, key=lambda move: -abs(move[1] - 100))


def test_polars(run: Callable[[str], dict[str, Any]]) -> None:
    """Days, lateness of each line, and bars of five minutes of every code."""
    result = run("polars_archive.py")
    assert result["days"].rows() == [(day, len(ticks), len(CODES)) for day, ticks in TICKS.items()]
    sources = ["post-1", "post-2"]
    assert result["lateness"]["source"].to_list() == sources
    for source, *found in result["lateness"].rows():
        late = [(t.received - t.time * 1000) / 1000 for ticks in TICKS.values() for t in ticks if t.source == source]
        percentiles = statistics.quantiles(late, n=100, method="inclusive")
        assert found == [pytest.approx(percentiles[49], abs=0.2), pytest.approx(percentiles[98], abs=0.2)]
    expected_bars = bars(LAST, 5)
    *prices, averages = zip(
        *((time.replace(tzinfo=None), *rest) for _, time, *rest in result["bars"].rows()), strict=True
    )
    assert result["bars"]["code"].to_list() == [code for code, _ in expected_bars]
    assert list(zip(*prices, strict=True)) == [(time, *ohlc(ticks)) for (_, time), ticks in expected_bars.items()]
    assert list(averages) == [
        pytest.approx(total(ticks, "turnover") / total(ticks, "volume")) for ticks in expected_bars.values()
    ]
