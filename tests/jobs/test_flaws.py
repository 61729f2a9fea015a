"""What each flaw means to the jobs: the page and the code say the same, and one wrong tick keeps no right one out."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import msgspec
import pytest

from jobs.changes import Changes
from jobs.flaws import MEANINGS, NOTHING, Meaning, meaning
from jobs.snapshots import Snapshots
from jobs.thresholds import parse_overrides
from schemas import Snapshot, Tick, decode, encode
from tests.jobs.chunks import NINE_THIRTY, chunk, tick

PAGE = Path(__file__).parents[2] / "docs" / "decisions.md"
DAY = 86_400_000
YEARS = 30 * 365 * DAY


def snapshot(*ticks: Tick, rows: dict[str, Any] | None = None) -> Snapshot:
    """The snapshot that ticks leave, numbered as they come."""
    held: dict[str, Any] = {} if rows is None else rows
    Snapshots().apply(held, chunk(ticks))
    record: Snapshot = held["600519"].record()
    return record


def test_the_page_and_the_code_name_the_same_flaws() -> None:
    """Each row of the page's table, by what it says of snapshots."""
    said: dict[str, Meaning] = {}
    for line in PAGE.read_text("utf-8").partition("## What each flaw means")[2].splitlines():
        cells = [cell.strip() for cell in line.strip("| ").split("|")]
        if len(cells) != 4 or "`" not in cells[0]:
            continue
        meant = Meaning(played="the session is that of the rule above" in cells[1], doubtful="`doubtful`" in cells[1])
        assert meant != NOTHING or cells[1].startswith("as none")
        said |= dict.fromkeys(re.findall(r"`([a-z_]+)`", cells[0]), meant)
    assert said == MEANINGS


def test_flaws_add_up_and_what_is_not_known_means_nothing() -> None:
    """Of a newer producer, say."""
    assert meaning("future,off_grid,invented") == Meaning(played=True, doubtful=True)
    assert meaning("invented") == NOTHING


@pytest.mark.parametrize("flaw", ["off_grid", "outside_limits"])
def test_a_doubtful_price_sets_no_figure_of_a_session_that_has_a_better_one(flaw: str) -> None:
    """It is shown, and counts; the first good one sets open, high and low anew where there were only doubtful ones."""
    rows: dict[str, Any] = {}
    first = snapshot(tick(1, 99.0, quality=flaw), tick(2, 1.0, quality=flaw), rows=rows)
    assert (first.open, first.high, first.low, first.doubtful, first.ticks, first.quality) == (
        99.0,
        99.0,
        1.0,
        2,
        2,
        flaw,
    )
    good = snapshot(tick(3, 10.0), rows=rows)
    assert (good.open, good.high, good.low, good.doubtful, good.ticks, good.quality) == (10.0, 10.0, 10.0, 2, 3, None)
    again = snapshot(tick(4, 0.5, quality=flaw), tick(5, 88.0, quality=f"stale,{flaw}"), rows=rows)
    assert (again.price, again.open, again.high, again.low, again.doubtful) == (88.0, 10.0, 10.0, 10.0, 4)
    assert (again.volume, again.quality) == (500, f"stale,{flaw}")
    last = snapshot(tick(6, 11.0), rows=rows)
    assert (last.open, last.high, last.low, last.doubtful, last.ticks, last.quality) == (10.0, 11.0, 10.0, 4, 6, None)


@pytest.mark.parametrize("flaw", [name for name, what in MEANINGS.items() if not what.doubtful and not what.played])
def test_other_flaws_leave_a_tick_as_it_is(flaw: str) -> None:
    """All figures are as without it; only ``quality`` says so."""
    plain, flawed = snapshot(tick(1, 10.0), tick(2, 12.0)), snapshot(tick(1, 10.0), tick(2, 12.0, quality=flaw))
    assert (flawed.high, flawed.doubtful, flawed.quality) == (12.0, 0, flaw)
    assert plain.high == flawed.high


@pytest.mark.parametrize("ahead", [DAY, 3 * DAY, YEARS])
@pytest.mark.parametrize("quality", [None, "future"])
def test_a_tick_dated_ahead_keeps_no_later_one_out(ahead: int, quality: str | None) -> None:
    """Nothing was traded after it was received: it belongs to the session of its receipt, over restarts too."""
    rows: dict[str, Any] = {}
    received = NINE_THIRTY * 1000
    wrong = tick(2, 11.0, time=NINE_THIRTY + ahead, received=received, quality=quality)
    assert snapshot(tick(1, 10.0), wrong, rows=rows).session == "2026-11-20"
    _, row = Snapshots().restore(encode(rows["600519"].record()))
    after = snapshot(tick(3, 12.0), rows={"600519": row})
    assert (after.price, after.ticks, after.session, after.high) == (12.0, 3, "2026-11-20", 12.0)


def test_a_row_that_an_older_version_left_in_a_session_to_come_heals() -> None:
    """It is restored into the session of its receipt, and the next good tick counts."""
    rows: dict[str, Any] = {}
    snapshot(tick(1, 10.0), rows=rows)
    kept = decode(Snapshot, encode(rows["600519"].record()))
    frozen = encode(msgspec.structs.replace(kept, session="2056-11-12", time=kept.time + YEARS))
    _, row = Snapshots().restore(frozen)
    assert snapshot(tick(2, 12.0), rows={"600519": row}).price == 12.0


def test_a_played_market_s_tick_belongs_to_the_session_that_its_code_is_in() -> None:
    """One that is marked as of the future, though its time is not after its receipt."""
    rows: dict[str, Any] = {}
    snapshot(tick(1, 10.0), rows=rows)
    later = NINE_THIRTY + 3 * DAY
    played = snapshot(tick(2, 11.0, time=NINE_THIRTY + 2 * DAY, received=later * 1000, quality="future"), rows=rows)
    assert (played.session, played.ticks) == ("2026-11-20", 2)


def test_a_time_up_to_a_minute_ahead_over_midnight_is_its_own() -> None:
    """Local clocks are wrong by seconds."""
    midnight = NINE_THIRTY + 52_200_000
    assert snapshot(tick(1, 10.0, time=midnight, received=(midnight - 60_000) * 1000)).session == "2026-11-21"
    assert snapshot(tick(1, 10.0, time=midnight, received=(midnight - 60_001) * 1000)).session == "2026-11-20"


def test_a_change_carries_the_flaws_of_its_tick() -> None:
    """It is judged like any other."""
    changes, _ = Changes(parse_overrides("0", "")).apply(
        {}, chunk([tick(1, 10.0), tick(2, 99.0, quality="outside_limits"), tick(3, 10.0)])
    )
    assert [(change.price, change.quality) for change in changes] == [
        (10.0, None),
        (99.0, "outside_limits"),
        (10.0, None),
    ]
