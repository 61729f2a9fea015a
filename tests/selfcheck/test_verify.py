"""``ashare verify``, for real and briefly."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import pytest

COMMAND = [sys.executable, "-m", "cli", "verify"]


def verified(*given: str) -> Any:
    """What a check that ends well says."""
    done = subprocess.run([*COMMAND, *given, "--json"], capture_output=True, text=True, timeout=380, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return json.loads(done.stdout)


@pytest.mark.timeout(240)
def test_a_brief_load_comes_through_the_whole_pipeline_unharmed() -> None:
    """Opening rate of a retail feed, eight seconds: exit code 0, and one JSON object that says what was counted.

    A threshold that is set meanwhile is applied in every partition, from the same ticks on as the reference says.
    """
    set_at = ("--threshold-at", "1=default=0")
    verdict = verified("--rate", "400", "--seconds", "8", "--threshold", "2ticks", "--seed", "3", *set_at)
    assert verdict["ok"]
    assert verdict["sent"] == verdict["published"] == verdict["stored"] == 3200
    assert verdict["changes"] > 100
    wrong = ("lost", "duplicated", "out_of_order", "snapshot_mismatches", "store_mismatches", "change_mismatches")
    assert not any(verdict[name] for name in wrong)
    (threshold,) = verdict["thresholds"]
    assert (threshold["scope"], threshold["threshold"], threshold["partitions"]) == ("default", "0", 12)
    assert verdict["rate_sent"] > 0
    assert verdict["rate_stored"] > 0
    assert verdict["ticks_a_chunk"] >= 1
    late = verdict["latency_ms"]
    assert 0 < late["p50"] <= late["p99"] <= late["max"]
    assert late["samples"] > 100


@pytest.mark.timeout(240)
@pytest.mark.parametrize("feed", ["post", "xtick"])
def test_the_book_and_the_days_figures_come_through_too(feed: str) -> None:
    """As the market pushed them, beside every tick that it has them of."""
    verdict = verified("--books", "--feed", feed, "--rate", "400", "--seconds", "6", "--seed", "3")
    assert verdict["ok"]
    assert verdict["books"] == verdict["sent"] == verdict["stored"] == 2400
    assert verdict["book_mismatches"] == 0


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (["--threshold", "5%"], "50bp"),
        (["--threshold-at", "5=default=5%"], "50bp"),
        (["--threshold-at", "default=0.5"], "SECONDS=SCOPE=THRESHOLD"),
        (["--threshold-at", "20=default=0.5"], "before --seconds 20"),
        (["--threshold-at", "5=board:MOON=0.5"], "boards are MAIN"),
        (["--watchlist-at", "5:100"], "SECONDS:OUT/IN"),
        (["--watchlist-at", "20:10/10"], "before --seconds 20"),
        (["--watchlist-at", "5:10/10", "--feed", "xtick"], "new connection"),
        (["--watchlist-at", "5:10/10", "--lines", "2"], "leave out --misbehave"),
        (["--books", "--feed", "alltick"], "give --feed post, xtick or tickflow"),
        (["--freeze-worker", "90", "--seconds", "120"], "give --workers 2"),
        (["--freeze-worker", "90", "--workers", "2"], "give --seconds 103"),
        (["--brokers", "2"], "give 3"),
        (["--kill-broker"], "give --brokers 3"),
        (["--kill-broker", "--brokers", "3", "--seconds", "10"], "give --seconds 20 at least"),
        (["--kill-broker", "--brokers", "3", "--workers", "2", "--freeze-worker", "9", "--seconds", "60"], "leave out"),
        (["--clock-step", "-3600"], "give --kill-producer-every as well"),
        (["--kill-producer-every", "7", "--feed", "alltick"], "leave out --feed"),
        (["--kill-producer-every", "7", "--misbehave", "all"], "leave out --misbehave"),
    ],
)
def test_what_cannot_be_checked_is_refused_before_anything_starts(given: list[str], said: str) -> None:
    done = subprocess.run([*COMMAND, *given], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 2
    assert said in done.stderr


@pytest.mark.timeout(240)
@pytest.mark.parametrize(
    ("given", "gaps"),
    [
        (["--feed", "alltick", "--codes", "300", "--misbehave", "kill,close,repeats"], True),
        (["--lines", "2", "--kill-line-every", "3"], False),
    ],
)
def test_lines_that_end_lose_what_is_announced_or_nothing_at_all(given: list[str], gaps: bool) -> None:
    """One line announces each gap and no other; of two lines that are one stream, nothing is missing or doubled."""
    verdict = verified(*given, "--rate", "500", "--seconds", "16", "--seed", "5")
    assert verdict["sent"] == verdict["published"] == verdict["stored"] > 2_000
    assert verdict["gaps_injected"] == verdict["gaps_announced"]
    assert bool(verdict["gaps_announced"]) is gaps


@pytest.mark.timeout(240)
def test_what_a_killed_producer_takes_along_is_announced_whatever_its_clock_says() -> None:
    """Each start an hour behind the last: what nobody got lies in announced gaps, nothing that was got is dropped."""
    killing = ("--kill-producer-every", "4", "--clock-step", "-3600")
    verdict = verified(*killing, "--rate", "400", "--seconds", "30", "--seed", "9")
    assert verdict["ok"]
    assert verdict["gaps_announced"] == verdict["gaps_injected"] > 0
    assert verdict["sent"] - verdict["missing_announced"] == verdict["published"] == verdict["stored"]
    assert 0 < verdict["missing_announced"] < verdict["sent"] / 2
    assert verdict["numbers_fell"] == verdict["rows_went_back"] == verdict["missing_untold"] == 0


@pytest.mark.timeout(240)
def test_a_watchlist_that_changes_costs_what_stays_no_tick() -> None:
    """Of a feed that replaces the list: every tick of what stays comes through, and the others go and come in time."""
    load = ("--feed", "alltick", "--codes", "300", "--rate", "1000", "--seconds", "6", "--seed", "7")
    verdict = verified(*load, "--watchlist-at", "2:30/20")
    assert verdict["sent"] == verdict["published"] == verdict["stored"] > 3_000
    assert (verdict["codes_stayed"], verdict["codes_left"], verdict["codes_came"]) == (270, 30, 20)
    assert verdict["lost_of_stayed"] == verdict["watchlist_mismatches"] == verdict["gaps_announced"] == 0
    (change,) = verdict["watchlist_changes"]
    assert change["left_shown"] > 10
    assert change["came_shown"] > 10


@pytest.mark.timeout(240)
def test_workers_that_are_killed_and_ended_in_turn_leave_nothing_behind() -> None:
    """Three that share the partitions and a folder: what each was in the middle of, another one does."""
    disturbing = ("--workers", "3", "--kill-worker-every", "6", "--rebalance-every", "4")
    verdict = verified(*disturbing, "--rate", "1000", "--seconds", "14", "--seed", "11")
    assert verdict["sent"] == verdict["published"] == verdict["stored"] == 14_000
    assert verdict["rows_went_back"] == verdict["uncommitted"] == verdict["ids_ambiguous"] == 0
    done = [(one["what"], one["worker"]) for one in verdict["disturbances"]]
    assert {"killed", "restarted"} == {what for what, _ in done}
    assert [worker for _, worker in done] == [1 + turn % 3 for turn in range(len(done))]
    assert verdict["slowest_stop_s"] > 0
    longest = max(verdict["pauses"], key=lambda pause: pause["seconds"])
    assert 0 < verdict["longest_pause_s"] == longest["seconds"]
    assert longest["group"].startswith("ashare-")


@pytest.mark.timeout(240)
def test_a_worker_that_stood_still_past_its_session_goes_on_without_a_step_back() -> None:
    """Beside another, which takes its partitions over: what it held is neither published nor served nor stored."""
    freezing = ("--workers", "2", "--freeze-worker", "14", "--store", "questdb")
    verdict = verified(*freezing, "--rate", "1000", "--seconds", "28", "--seed", "12")
    assert verdict["sent"] == verdict["published"] == verdict["stored"] == 28_000
    assert verdict["rows_went_back"] == verdict["served_old"] == verdict["uncommitted"] == 0
    assert [(one["what"], one["worker"]) for one in verdict["disturbances"]] == [("frozen", 1), ("resumed", 1)]


@pytest.mark.timeout(400)
def test_a_broker_of_three_that_is_killed_costs_nothing() -> None:
    """And with it a worker, one of two: its partitions, groups and ids go to others, and it comes back."""
    killing = ("--brokers", "3", "--kill-broker", "--workers", "2", "--kill-worker-every", "14")
    verdict = verified(*killing, "--rate", "500", "--seconds", "20", "--seed", "13")
    assert verdict["sent"] == verdict["published"] == verdict["stored"] == 10_000
    assert verdict["lost"] == verdict["duplicated"] == verdict["uncommitted"] == verdict["rows_went_back"] == 0
    assert [(one["broker"], one["what"]) for one in verdict["brokers"]] == [
        (1, "killed"),
        (1, "started"),
        (1, "in sync"),
    ]
    assert [one["what"] for one in verdict["disturbances"]] == ["killed"]
