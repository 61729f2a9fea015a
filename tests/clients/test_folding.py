"""Bars as others have them: widths, labels, the auction, filling; the conventions as docs/bars.md works them out."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, get_args

import pytest

from ashare_client import PRESETS, ArgumentError, Bar, KBar, Origin, fold
from ashare_client.folding import Preset
from ashare_client.records import GapMark

MIDNIGHT = 1_795_104_000_000
"""2026-11-20 00:00 in Shanghai, ms since the epoch."""
DAY = 86_400_000
PAGE = (Path(__file__).parents[2] / "docs" / "bars.md").read_text("utf-8")


def at(clock: str, day: int = 0) -> int:
    hour, minute = map(int, clock.split(":"))
    return MIDNIGHT + day * DAY + (hour * 60 + minute) * 60_000


def bar(clock: str, *prices: float, volume: float | None = 100, day: int = 0, **more: Any) -> Bar:
    """A bar of one minute: open, high, low and close, or one price for all."""
    first, high, low, last = prices if len(prices) == 4 else prices * 4
    start = at(clock, day)
    fields = {"code": "600519", "exchange": "SSE", "session": f"2026-11-{20 + day}", "turnover": None} | more
    return Bar(
        start=start, end=start + 60_000, open=first, high=high, low=low, close=last, ticks=1, revision=0,
        origin=Origin(partition=3, offset=1), volume=volume, **fields,
    )  # fmt: skip


def clock(ms: int) -> str:
    minute = (ms - MIDNIGHT) % DAY // 60_000
    return f"{minute // 60:02}:{minute % 60:02}"


def table(text: str) -> list[list[str]]:
    """The cells of the first table of a text, without its head."""
    lines = re.findall(r"^\|(.*)\|$", text, re.MULTILINE)
    blocks = text.split("\n\n")
    first = next(block for block in blocks if block.lstrip().startswith("|"))
    lines = first.strip().splitlines()[2:]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


EXAMPLE = [
    bar(start, *map(float, prices), volume=int(volume), auction=auction or None)
    for start, auction, *prices, volume in table(PAGE.partition("## Conventions")[2])
]
SECTIONS = dict(re.findall(r"^### `(\w+)`.*?\n(.*?)(?=^### |\Z)", PAGE, re.MULTILINE | re.DOTALL))


def whole_day(day: int = 0) -> list[Bar]:
    """A bar of each minute, and of both auctions."""
    minutes = [*range(570, 690), *range(780, 900)]
    made = [bar(f"{m // 60}:{m % 60}", 10 + m / 1000, day=day) for m in minutes]
    auctions = [bar("9:25", 10.0, day=day, auction="opening"), bar("14:59", 11.0, day=day, auction="closing")]
    return made + auctions


def test_every_preset_is_worked_out() -> None:
    """The page, the table and the type name the same."""
    assert SECTIONS.keys() == PRESETS.keys() == set(get_args(Preset))
    assert len(PRESETS) >= 8
    assert [one.auction for one in EXAMPLE] == ["opening", None, None, None]


@pytest.mark.parametrize("preset", PRESETS)
def test_the_worked_example_of_a_convention(preset: Preset) -> None:
    """Row by row, as docs/bars.md has it."""
    made = fold(EXAMPLE, preset=preset)
    shown = [
        [clock(one.time), *(f"{p:.2f}" for p in (one.open, one.high, one.low, one.close)), str(one.volume)]
        for one in made
    ]
    assert shown == table(SECTIONS[preset])


@pytest.mark.parametrize("preset", PRESETS)
def test_how_many_bars_a_day_has(preset: Preset) -> None:
    """As the page says; wider ones contain the auction and never reach over lunch."""
    count = re.search(r"(\d+) bars\.", SECTIONS[preset])
    assert count is not None
    day = whole_day()
    assert len(fold(day, preset=preset)) == int(count[1])
    for minutes, of_a_day in ((5, 48), (15, 16), (30, 8), (60, 4), ("day", 1)):
        made = fold(day, minutes=minutes, preset=preset)  # type: ignore[arg-type]
        assert len(made) == of_a_day
        assert made[0].open == 10.0
        assert made[-1].close == 11.0
        assert sum(one.volume or 0 for one in made) == 24_200


@pytest.mark.parametrize(
    ("minutes", "ends"),
    [
        (30, ["10:00", "10:30", "11:00", "11:30", "13:30", "14:00", "14:30", "15:00"]),
        (60, ["10:30", "11:30", "14:00", "15:00"]),
    ],
)
def test_no_bar_reaches_over_lunch(minutes: Any, ends: list[str]) -> None:
    """An hour ends at 11:30, and the next one begins at 13:00."""
    made = fold(whole_day(), minutes=minutes)
    assert [clock(one.time) for one in made] == ends
    assert [one.end - one.start for one in made] == [minutes * 60_000] * len(made)


def test_what_becomes_of_the_auctions() -> None:
    """The opening one as asked for; the closing one is always in the last bar."""
    day = [bar("9:25", 10.0, auction="opening"), bar("9:31", 10.1), bar("14:56", 10.2)]
    day += [bar("14:59", 10.3, auction="closing")]
    first = fold(day)
    assert [clock(one.time) for one in first] == ["09:31", "09:32", "14:57", "15:00"]
    own = fold(day, auction="own")
    assert [clock(one.time) for one in own] == ["09:30", "09:32", "14:57", "15:00"]
    assert [clock(one.time) for one in fold(day, auction="own", label="left")] == ["09:25", "09:31", "14:56", "14:59"]
    assert [clock(one.time) for one in fold(day, auction="drop")] == ["09:32", "14:57", "15:00"]
    assert fold(day, auction="drop", minutes="day")[0].open == 10.1
    assert [one.volume for one in fold(day, auction="own", minutes=60)] == [100, 100, 200]


def test_filling_goes_as_far_as_any_code_does() -> None:
    """From the close before, if it is known; else from the first trade."""
    bars = [bar("14:59", 9.0, day=0), bar("9:31", 10.0, day=1), bar("9:33", 5.0, day=1, code="000001")]
    made = fold(bars, fill="forward", label="left")
    shown = [(one.code, one.session, clock(one.time), one.close, one.filled) for one in made]
    assert shown == [
        ("000001", "2026-11-21", "09:33", 5.0, False),
        ("600519", "2026-11-20", "14:59", 9.0, False),
        ("600519", "2026-11-21", "09:30", 9.0, True),
        ("600519", "2026-11-21", "09:31", 10.0, False),
        ("600519", "2026-11-21", "09:32", 10.0, True),
        ("600519", "2026-11-21", "09:33", 10.0, True),
    ]
    assert all((one.volume, one.turnover, one.ticks) == (0, 0.0, 0) for one in made if one.filled)


def test_the_last_record_of_a_bar_counts_and_sums_are_exact() -> None:
    """Revisions come in their order; what no bar carries is null, and a gap of one is a gap of all."""
    gap = GapMark(id="a/1/1", start=1, end=2, count=1)
    made = fold(
        [
            bar("9:30", 9.9, turnover=1.0),
            bar("9:30", 10.0, turnover=0.1, volume=1),
            bar("9:31", 10.1, turnover=0.2, volume=None, gap=gap),
            bar("9:36", 10.1, volume=None),
        ],
        minutes=5,
    )
    assert [(one.open, one.close, one.volume, one.turnover, one.ticks, one.gap) for one in made] == [
        (10.0, 10.1, 1, 0.3, 2, True),
        (10.1, 10.1, None, None, 1, False),
    ]


def test_a_market_whose_hours_are_not_known_has_bars_all_day() -> None:
    """By the clock in Shanghai, and never filled."""
    bars = [
        bar(c, 1.0, code="BTC.BINANCE", exchange="BINANCE", volume=0.5) for c in ("0:01", "12:04", "12:11", "23:59")
    ]
    made = fold(bars, minutes=5, fill="forward")
    assert [(clock(one.start), clock(one.end)) for one in made] == [
        ("00:00", "00:05"),
        ("12:00", "12:05"),
        ("12:10", "12:15"),
        ("23:55", "00:00"),
    ]
    assert isinstance(made[0], KBar)


@pytest.mark.parametrize(
    "wrong",
    [{"minutes": 7}, {"minutes": True}, {"label": "middle"}, {"auction": "last"}, {"fill": "back"}, {"preset": "mt5"}],
)
def test_what_there_is_not_is_refused_with_what_there_is(wrong: dict[str, Any]) -> None:
    """The argument is named."""
    with pytest.raises(ArgumentError, match=f"^{next(iter(wrong))}: .* is none: there are"):
        fold([], **wrong)
