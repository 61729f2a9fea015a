"""Figures as table, as JSON and as a page."""

from __future__ import annotations

import re
from decimal import Decimal
from html.parser import HTMLParser
from typing import Any

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from evaluation import plots
from evaluation.figures import Form, RaceFigures, Report
from evaluation.meter import Meter, spread
from evaluation.notes import notes_of_race
from evaluation.page import page
from evaluation.race import Race
from evaluation.table import rows
from producer.feeds.decoded import Decoded, FeedTick
from producer.feeds.provider import Capabilities
from producer.pipeline.matching import Matching

TEN = 1_795_140_000_000
EVIL = "<script>alert(1)</script>"
ABLE = Capabilities(about="a feed", url="ws://127.0.0.1", login="none")


def report(lines: int = 2, ticks: int = 40, reason: str = EVIL) -> Report:
    race = Race(Matching())
    made = []
    for number in range(lines):
        meter = Meter(TEN * 1000, ["600519"])
        meter.dialled(TEN * 1000)
        meter.connected(TEN * 1000 + 1_000)
        for at in range(ticks):
            tick = FeedTick("600519", "SSE", 10.0, TEN + 100 * at, 100)
            received = tick.time * 1000 + 5_000 + 900 * at + 2_000 * number
            meter.frame(80, Decoded([tick], [], []), received)
            meter.took([tick], received)
            race.came(number, [tick], received)
        meter.lost(reason, TEN * 1000 + 6_000_000)
        meter.refused(reason)
        form = Form("array", 1, taken=True, said=reason)
        made.append(
            meter.figures(TEN * 1000 + 9_000_000, ABLE, name="AB"[number], url="ws://feed", feed="post", forms=[form])
        )
    leads = [spread(lead, 1000) for lead in race.leads]
    raced = RaceFigures(ticks, [lead.count for lead in leads], leads, race.alone)
    return Report("2026-11-20T10:00:00+08:00", 9.0, made, raced if lines == 2 else None, [f"A: {reason}"])


class Seen(HTMLParser):
    """Every tag and attribute of a page, and whether tags close."""

    def __init__(self, text: str) -> None:
        """Read all of it."""
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.open: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """One more is open, but for the one that never closes."""
        self.tags.append(tag)
        self.attributes += attrs
        if tag != "meta":
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """It closes by itself."""
        self.tags.append(tag)
        self.attributes += attrs

    def handle_endtag(self, tag: str) -> None:
        """The last one that is open, and no other."""
        assert self.open.pop() == tag


def test_the_page_stands_alone_and_believes_nobody() -> None:
    """No script, nothing that is fetched, every tag closed, and what a server says stays text."""
    text = page(report())
    seen = Seen(text)
    assert not seen.open
    assert not {"script", "link", "img", "iframe", "object"} & set(seen.tags)
    assert not [name for name, _ in seen.attributes if name in {"src", "href"} or name.startswith("on")]
    assert EVIL not in text
    assert "&lt;script&gt;" in text
    assert "url(" not in text
    assert seen.tags.count("svg") == 5


def test_table_and_page_show_the_same() -> None:
    """Each row has a cell a line, and the page holds all of them."""
    of_two = report()
    table = rows(of_two)
    assert all(len(cells) == 2 for _, cells in table)
    labels = [label for label, _ in table]
    assert len(set(labels)) == len(labels)
    text = page(of_two)
    assert all(label in text for label in labels)
    assert dict(table)["ticks"] == ["40 (6.67/s)", "40 (6.67/s)"]
    assert dict(table)["first, of ticks both brought"][1] == "0 (0%)"


def test_one_line_has_no_race() -> None:
    """Nor a row or a plot of one."""
    alone = report(1)
    assert not any("both" in label for label, _ in rows(alone))
    assert Seen(page(alone)).tags.count("svg") == 4


def test_a_line_that_brought_nothing_still_has_a_page() -> None:
    """Dashes and empty plots."""
    nothing = report(1, ticks=0)
    assert dict(rows(nothing))["latency p50/p90/p99/max, ms"] == ["–"]
    assert "nothing to draw" in page(nothing)


def test_json_gives_back_the_figures() -> None:
    """Whole, under the same names."""
    first = report()
    assert msgspec.json.decode(msgspec.json.encode(first), type=Report) == first


def test_leads_of_less_than_the_turn_of_the_sockets_are_no_leads() -> None:
    """Two sockets of one process are read one after the other."""
    fast = [spread(lead, 1000) for lead in Race(Matching()).leads]
    assert notes_of_race(RaceFigures(0, [0, 0], fast, [0, 0])) == []
    assert notes_of_race(_raced(0.05))
    assert notes_of_race(_raced(40.0)) == []


def _raced(lead: float) -> RaceFigures:
    one: Any = msgspec.structs.replace(report().race.lead[0], p50=lead)  # type: ignore[union-attr]
    return RaceFigures(10, [10, 0], [one, one], [0, 0])


POINTS = st.lists(st.tuples(st.floats(0, 1e6), st.none() | st.floats(-1e9, 1e9)), max_size=40)


@given(POINTS, POINTS, st.booleans())
def test_whatever_is_drawn_lies_on_the_drawing(one: Any, other: Any, logarithmic: bool) -> None:
    """Every point of every curve is within the view box."""
    drawn = plots.lines({"A": sorted(one, key=lambda p: p[0]), "B": other}, "s", "ms", logarithmic=logarithmic)
    for points in re.findall(r'points="([^"]*)"', drawn):
        for x, y in (point.split(",") for point in points.split()):
            assert 0 <= float(x) <= 720
            assert 0 <= float(y) <= 258


NUMBERS = st.integers(1, 10**9).map(lambda thousandths: thousandths / 1000)


@given(st.lists(st.tuples(NUMBERS, NUMBERS), min_size=2, max_size=20), st.booleans())
def test_axes_are_marked_at_round_figures(points: Any, logarithmic: bool) -> None:
    """At equal steps of 1, 2 or 5 times a power of ten; a logarithmic one at such figures, if it has a decade."""
    drawn = plots.lines({"A": sorted(points)}, "s", "ms", logarithmic=logarithmic)
    level, upright = (marks(drawn, anchor) for anchor in ("middle", "end"))
    assert stepped(level)
    assert stepped(upright) or (logarithmic and all(digit(figure) in {1, 2, 5} for figure in upright))


def marks(drawn: str, anchor: str) -> list[Decimal]:
    """The figures of an axis, as they are written there."""
    return [Decimal(text.replace(",", "")) for text in re.findall(rf'text-anchor="{anchor}">([\d,.e-]+)</text>', drawn)]


def stepped(figures: list[Decimal]) -> bool:
    """Whether figures are multiples of one round step."""
    step = figures[1] - figures[0]
    return all(figure % step == 0 for figure in figures) and digit(step) in {1, 2, 5} and 2 <= len(figures) <= 11


def digit(value: Decimal) -> int:
    """The one digit of a round number, and 0 for one that has more."""
    digits = f"{value:.3e}".partition("e")[0].replace(".", "").rstrip("0")
    return int(digits) if len(digits) == 1 else 0


@given(st.dictionaries(st.sampled_from(["1", "2", "3-5", "6-10"]), st.integers(0, 10**6), min_size=1))
def test_the_legend_hides_no_bar(counts: dict[str, int]) -> None:
    """It ends above the highest of them, and names stand beside one another."""
    names = ("A: a provider with a long name", "B: another")
    drawn = plots.bars(dict.fromkeys(names, counts), "ticks in a frame", "frames")
    keys = re.findall(r'<rect class="key" x="([\d.]+)" y="(\d+)" width="10" height="(\d+)"', drawn)
    tops = [float(top) for top in re.findall(r'<rect x="[\d.]+" y="([\d.]+)"', drawn)]
    assert len(keys) == 2
    assert max(int(y) + int(height) for _, y, height in keys) < min(tops)
    assert float(keys[1][0]) - float(keys[0][0]) > 6 * len(names[0])
