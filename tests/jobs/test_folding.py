"""Wider bars as the worker serves them: those that the client library makes."""

from __future__ import annotations

import pytest
from hypothesis import given

import ashare_client
from ashare_client.decoding import reader
from jobs.bars import Bars
from jobs.folding import AUCTIONS, WIDTHS, fold
from schemas import Bar, Tick, encode
from stores.bars import ordered
from tests.jobs.chunks import chunk
from tests.jobs.days import at, days, tick

NAMES = ("start", "end", "open", "high", "low", "close", "volume", "turnover", "ticks", "gap")


@given(days())
def test_worker_and_client_make_the_same_bars(ticks: list[Tick]) -> None:
    """Of any width, with the auction where it is asked for."""
    job = Bars()
    made, _ = job.apply({}, chunk(ticks))
    last = {(one.bar.code, one.bar.start, one.bar.auction): one.bar for one in [*made, *job.finish(3)]}
    read = reader(ashare_client.Bar)
    for code in {bar.code for bar in last.values()}:
        bars: list[Bar] = ordered([bar for bar in last.values() if bar.code == code])
        theirs = [read(encode(bar), 0) for bar in bars]
        for width in WIDTHS:
            for auction in AUCTIONS:
                minutes = width if width == "day" else int(width)
                due = ashare_client.fold(theirs, minutes=minutes, auction=auction)  # type: ignore[arg-type]
                mine = [tuple(one[name] for name in NAMES) for one in fold(bars, width, auction)]
                assert mine == [tuple(getattr(one, name) for name in NAMES) for one in due]


@pytest.mark.parametrize(("width", "ends"), [("30", "11:30"), ("60", "11:30"), ("day", "15:00")])
def test_a_bar_ends_where_the_session_does(width: str, ends: str) -> None:
    """Never in the lunch hour."""
    made = Bars()
    done, _ = made.apply({}, chunk([tick(1, at("11:29:59"), 10.0)]))
    (bar,) = [one.bar for one in [*done, *made.finish(3)]]
    assert fold([bar], width)[0]["end"] == at(ends)
