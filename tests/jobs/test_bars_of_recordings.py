"""Bars of a recorded day that the simulator plays, against those computed from the file's rows alone."""

from __future__ import annotations

import csv
import random
from collections import defaultdict
from decimal import Decimal
from pathlib import Path

import msgspec
import orjson
import pytest

from jobs.bars import Bars
from producer.feeds.decoded import Frame
from producer.feeds.post import PostFeed
from producer.feeds.provider import Options
from schemas import Tick, decode
from simulator.playback import PlayedFeed
from tests.jobs.chunks import chunk

DAY = "2026-08-28"
CODES = ("600519", "000001", "300750", "688001", "920819")
PUSHES = (
    ["09:25:00", "09:25:03"]
    + [f"{h:02}:{m:02}:{s:02}" for h, m in [(9, 30), (9, 31), (10, 15), (11, 28), (11, 29)] for s in range(0, 60, 3)]
    + ["11:30:00", "11:30:03", "13:00:00"]
    + [f"{h:02}:{m:02}:{s:02}" for h, m in [(13, 0), (14, 56), (14, 57), (14, 59)] for s in range(1, 60, 3)]
    + ["15:00:00", "15:00:03", "15:05:00", "15:29:57"]
)


def record(path: Path, seed: int) -> list[dict[str, str]]:
    """A day of snapshots, one every three seconds a code, as exports of this field have it."""
    rng = random.Random(seed)
    rows = []
    prices = {code: rng.randrange(900, 150_000) for code in CODES}
    for clock in PUSHES:
        for code in CODES:
            if rng.random() < 0.4:
                continue
            prices[code] = max(100, prices[code] + rng.randrange(-5, 6))
            volume = rng.choice((0, 100, 300, 12_300))
            price = Decimal(prices[code]) / 100
            rows.append(
                {
                    "code": code, "date": DAY, "time": clock, "price": str(price), "volume": str(volume),
                    "turnover": str(price * volume),
                }
            )  # fmt: skip
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return rows


def label(clock: str) -> tuple[str, str] | None:
    """The bar of a clock time, by looking at its text; ``None`` for none."""
    if "09:25" <= clock < "09:30":
        return "09:25", "opening"
    if clock.startswith("11:30"):
        return "11:29", ""
    if clock.startswith("15:00"):
        return "14:59", "closing"
    if "09:30" <= clock < "11:30" or "13:00" <= clock < "15:00":
        return clock[:5], ""
    return None


@pytest.mark.parametrize("seed", [1, 20_260_828])
def test_a_played_day_gives_the_bars_of_its_file(tmp_path: Path, seed: int) -> None:
    """Every price, sum and count, of every minute of every code, and nothing else."""
    due: defaultdict[tuple[str, str, str], list[dict[str, str]]] = defaultdict(list)
    for row in record(tmp_path / "day.csv", seed):
        place = label(row["time"])
        if place is not None and row["volume"] != "0":
            due[row["code"], *place].append(row)

    feed, played = PostFeed(Options()), PlayedFeed(tmp_path / "day.csv", speed=1e9)
    ticks: list[Tick] = []
    while played.next_due is not None:
        for text in played.take(float("inf"), 1_000).texts:
            received = orjson.loads(text)["time"] * 1000 + 250_000
            frame = Frame(b'{"ticks":[' + text.encode() + b"]}", binary=False, received=received)
            for one in feed.decode(frame).ticks:
                named = {"source": "a", "run": 1, "n": len(ticks), "received": received}
                fields = {k: v for k, v in msgspec.to_builtins(one).items() if v is not None} | named
                ticks.append(decode(Tick, orjson.dumps(fields)))
    job = Bars()
    made, _ = job.apply({}, chunk(ticks))
    found = {(one.bar.code, one.bar.start, str(one.bar.auction or "")): one.bar for one in [*made, *job.finish(3)]}
    assert len(found) == len(due) > 40
    for (code, clock, auction), rows in due.items():
        hour, minute = map(int, clock.split(":"))
        bar = found[code, played_midnight(ticks) + (hour * 60 + minute) * 60_000, auction]
        prices = [float(row["price"]) for row in rows]
        assert (bar.open, bar.high, bar.low, bar.close) == (prices[0], max(prices), min(prices), prices[-1])
        assert bar.volume == sum(int(row["volume"]) for row in rows)
        assert bar.turnover == float(sum(Decimal(row["turnover"]) for row in rows))
        assert (bar.ticks, bar.session) == (len(rows), DAY)


def played_midnight(ticks: list[Tick]) -> int:
    """Midnight in Shanghai of the day that is played."""
    return ticks[0].time - (ticks[0].time + 8 * 3_600_000) % 86_400_000
