"""What is run in what time, loads that are drawn, and judgements on looks: the pure parts of the benchmarks."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import orjson
import pytest
from typer.testing import CliRunner

from benchmarks.blaster import frames
from benchmarks.hops import latency
from benchmarks.load import Load
from benchmarks.measured import Filled
from benchmarks.peers.feed import record
from benchmarks.run import SUITE, Entry, plan
from benchmarks.steady import flat, rise
from cli import wide
from cli.commands import bench
from cli.main import app
from producer.feeds.decoded import Frame
from producer.feeds.post import PostFeed
from producer.feeds.provider import Options
from schemas import BareTick, encode
from schemas.topics import FEED_EVENTS, TICKS, topics

ENTRIES = (Entry("first", "--full", 10, "--short", 2), Entry("second", "", 20, "-s", 4), Entry("third", "", 3, "-t", 1))


def test_without_a_limit_everything_is_run_at_full_length() -> None:
    """In order of importance."""
    turns, without = plan(ENTRIES, None)
    assert [(turn.entry.name, turn.options) for turn in turns] == [("first", "--full"), ("second", ""), ("third", "")]
    assert not without


@pytest.mark.parametrize(
    ("minutes", "lengths", "without"),
    [
        (1, {"third": 1}, ["first", "second"]),
        (7, {"first": 2, "second": 4, "third": 1}, []),
        (15, {"first": 10, "second": 4, "third": 1}, []),
        (17, {"first": 10, "second": 4, "third": 3}, []),
        (40, {"first": 10, "second": 20, "third": 3}, []),
    ],
)
def test_time_is_spent_on_everything_shortly_first(
    minutes: float, lengths: dict[str, float], without: list[str]
) -> None:
    """Then on the most important at full length; never more than there is."""
    turns, left_out = plan(ENTRIES, minutes)
    assert {turn.entry.name: turn.minutes for turn in turns} == lengths
    assert left_out == without
    assert sum(turn.minutes for turn in turns) <= minutes


def test_every_entry_of_the_suite_is_a_benchmark_and_shorter_when_short() -> None:
    """A misspelt module would only be found while measuring."""
    assert all(find_spec(f"benchmarks.{entry.name}") for entry in SUITE)
    assert all(entry.short_minutes < entry.full_minutes for entry in SUITE)


@pytest.mark.parametrize("per_frame", [1, 7, 100])
def test_the_feed_of_the_benchmarks_is_one_that_the_producer_reads_whole(per_frame: int) -> None:
    """So many ticks a frame, none of them refused."""
    decoder = PostFeed(Options())
    decoded = [decoder.decode(Frame(frame, False, 1_795_138_200_000_000)) for frame in frames(1_000, per_frame)]
    assert sum(len(one.ticks) for one in decoded) == 1_000
    assert max(len(one.ticks) for one in decoded) == per_frame
    assert not any(one.letters for one in decoded)


def test_other_recorders_write_the_records_of_this_project_byte_for_byte() -> None:
    """A smaller record would be less work: every field of the contract, in its order, with the right exchange."""
    received, decoder = 1_795_138_200_000_000, PostFeed(Options())
    for n, frame in enumerate(frames(500, 1), 1):
        (tick,) = decoder.decode(Frame(frame, False, received)).ticks
        ours = BareTick(
            tick.code, tick.exchange, tick.price, tick.time, received, "post-1", 7, n,
            tick.volume, tick.turnover, tick.side, tick.seq, tick.previous_close,
        )  # fmt: skip
        theirs = record(orjson.loads(frame)["ticks"][0], received, 7, n)
        assert orjson.dumps(theirs) == encode(ours)


def test_a_load_is_the_same_for_the_same_seed_and_knows_its_changes() -> None:
    """The first tick of a code is a change."""
    load = Load(2_000, codes=50)
    assert list(load.draw()) == list(load.draw())
    assert 50 <= load.changes < 2_000
    assert all(changes[0][1] is None for changes in load.expected.values())


def test_another_number_of_partitions_is_of_this_process_alone() -> None:
    """Topics of a single partition keep it, and what was declared comes back."""
    declared = topics()[TICKS].partitions
    try:
        wide.declare(3)
        assert topics()[TICKS].partitions == 3
        assert topics()[FEED_EVENTS].partitions == 1
    finally:
        wide.declare(declared)
    assert topics()[TICKS].partitions == declared


def test_memory_that_rises_is_not_flat_and_memory_that_only_starts_is() -> None:
    """What comes in the first third is start-up."""
    growing = [(float(second), 100 + second * 0.05) for second in range(600)]
    settled = [(float(second), 100 + min(second, 150) * 0.2) for second in range(600)]
    assert rise(growing) == pytest.approx(599 * 0.05)
    assert not flat(growing)
    assert flat(settled)


def test_a_rate_leaves_out_start_and_idling() -> None:
    """From the first records seen to the last that came."""
    assert Filled([(0.0, 0), (5.0, 0), (6.0, 100), (7.0, 200), (8.0, 300), (60.0, 300)]).rate == 100
    assert Filled([(0.0, 0), (1.0, 0)]).rate == 0


def test_percentiles_are_of_what_was_seen() -> None:
    """Of a thousand samples, the last one of each share."""
    seen = latency([float(n) for n in range(1_000)])
    assert (seen.p50, seen.p99, seen.p999, seen.samples) == (500, 990, 999, 1_000)


def test_bench_says_what_it_would_run(capfd: pytest.CaptureFixture[str]) -> None:
    """``--plan`` starts nothing."""
    result = CliRunner().invoke(app, ["bench", "limits", "--plan", "--minutes", "1"])
    assert result.exit_code == 0
    assert "python -m benchmarks.limits --ticks" in capfd.readouterr().out


def test_bench_refuses_a_name_that_is_no_benchmark(capfd: pytest.CaptureFixture[str]) -> None:
    """And names those that are."""
    result = CliRunner().invoke(app, ["bench", "nonsense", "--plan"])
    assert result.exit_code == 2
    assert "there are changes_job" in capfd.readouterr().err


def test_bench_without_a_checkout_says_where_to_run_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """An installed ``ashare`` has no benchmarks."""
    monkeypatch.setattr(bench, "_ROOT", tmp_path)
    result = CliRunner().invoke(app, ["bench"])
    assert "run `make bench` in a checkout" in str(result.exception)
