"""The gate finds each flaw, and nothing else; what is well passes."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from instruments.known import WHOLE, Known
from market.codes import Board
from market.kinds import parse
from market.rules import limit_band_e4
from market.times import DAY_MS, SHANGHAI
from producer.feeds.decoded import Beside, FeedTick
from producer.pipeline.quality import FUTURE_MS, GRACE_MS, PAST_MS, Gate
from schemas import Instrument, Level

OPEN = 1_795_138_200_000  # 2026-11-20 09:30 in Shanghai, a Friday, ms since the epoch
LAG = 40


def at(text: str) -> int:
    """Ms since the epoch of a Shanghai time on that day."""
    return int(datetime.fromisoformat(f"2026-11-20T{text}").replace(tzinfo=SHANGHAI).timestamp() * 1000)


def tick(time: int = OPEN, price: float = 10.0, code: str = "600519", **more: Any) -> FeedTick:
    return FeedTick(code, "SSE", price, time, 100, **more)


def flaws(gate: Gate, *ticks: FeedTick, now: int | None = None) -> list[str]:
    """What the gate finds with ticks of one frame, which comes right after the last of them."""
    received = (max(one.time for one in ticks) + LAG if now is None else now) * 1000
    rows, found = gate.judge(ticks, received)
    assert [row.code for row in rows] == [one.code for one in ticks]
    return [found.get(index, "") for index in range(len(ticks))]


def test_what_is_well_passes() -> None:
    """A walk of prices within the band, by code and in time: none has a flaw."""
    gate = Gate()
    ticks = [tick(OPEN + n, 10 + n / 100, previous_close=10.0) for n in range(100)]
    assert flaws(gate, *ticks, *ticks[-1:]) == [""] * 101
    assert not gate.counts


@pytest.mark.parametrize(
    ("code", "price", "found"),
    [
        ("600519", 10.005, "off_grid"),
        ("600519", 10.0001, "off_grid"),
        ("600519", 10.00000001, ""),
        ("600519", 1700.01, ""),
        ("510300.SSE", 4.123, ""),
        ("510300.SSE", 4.1235, "off_grid"),
        ("900901.SSE", 0.123, ""),
        ("000001.SSE", 3912.4471, ""),
        ("AAPL.US", 189.1234, ""),
    ],
)
def test_prices_off_the_grid(code: str, price: float, found: str) -> None:
    """By the tick size of what is traded in ticks that are known; the noise of a float is not a flaw."""
    gate = Gate()
    assert flaws(gate, tick(code=code, price=price)) == [found]
    assert flaws(gate, tick(OPEN + 1, code=code, price=price)) == [found]


@pytest.mark.parametrize(
    ("code", "low", "high"),
    [("600519", 9.0, 11.0), ("300750", 8.0, 12.0), ("688981", 8.0, 12.0), ("920002", 7.0, 13.0)],
)
def test_prices_outside_the_limits(code: str, low: float, high: float) -> None:
    """Up to the limit is well, a tick beyond is not; the same once the price was seen."""
    gate = Gate()
    prices = [low, high, low - 0.01, high + 0.01, low, high, high + 0.01]
    found = flaws(gate, *(tick(OPEN + n, price, code, previous_close=10.0) for n, price in enumerate(prices)))
    assert found == ["", "", "outside_limits", "outside_limits", "", "", "outside_limits"]
    assert gate.counts == {"outside_limits": 3}


def test_limits_that_are_not_known() -> None:
    """Without a previous close, and on the next day until one comes, no price is judged; nor is what has no limit."""
    gate = Gate()
    assert flaws(gate, tick(price=99.0), tick(price=99.0, code="510300.SSE", previous_close=1.0)) == ["", ""]
    assert flaws(gate, tick(price=99.0, previous_close=10.0)) == ["outside_limits"]
    monday = OPEN + 3 * DAY_MS
    assert flaws(gate, tick(monday, 99.0)) == [""]
    assert flaws(gate, tick(monday, 99.0, previous_close=95.0), tick(monday, 9.0)) == ["", "outside_limits"]


def test_a_close_that_comes_later_in_the_day() -> None:
    """It is taken from the first tick that carries it, which is judged by it."""
    gate = Gate()
    assert flaws(gate, tick(price=10.0), tick(price=12.0)) == ["", ""]
    assert flaws(gate, tick(price=12.01, previous_close=10.0)) == ["outside_limits"]


def test_times_ahead_and_long_past() -> None:
    """Against the receipt, with room for clocks; a time that is not believed says nothing of later ones."""
    gate = Gate()
    now = OPEN
    assert flaws(gate, tick(now + FUTURE_MS), now=now) == [""]
    assert flaws(gate, tick(now + FUTURE_MS + 1), now=now) == ["future"]
    assert flaws(gate, tick(now + FUTURE_MS), now=now) == [""]
    gate = Gate()
    assert flaws(gate, tick(OPEN - 4 * DAY_MS), now=OPEN) == ["stale"]
    assert flaws(gate, tick(at("10:00:00")), tick(at("11:00:00")), now=at("11:00:00")) == ["", ""]


@pytest.mark.parametrize(
    ("received", "time", "found"),
    [
        ("20:00:00", "15:00:00", ""),
        ("20:00:00", "14:30:00", ""),
        ("20:00:00", "13:30:00", "stale"),
        ("12:50:00", "11:29:00", ""),
        ("13:40:00", "11:29:00", ""),
        ("14:20:00", "11:29:00", "stale"),
        ("11:00:00", "09:30:00", "stale"),
        ("14:00:00", "06:00:00", "stale,off_session"),
        ("09:30:01", "01:30:01", "stale,off_session"),
        ("10:00:00", "02:00:00", "stale,off_session"),
        ("10:00:00", "18:00:00", "future,off_session"),
        ("09:30:00", "14:30:00", "future"),
    ],
)
def test_times_that_are_off_by_hours(received: str, time: str, found: str) -> None:
    """Hours of trading late, or at a time without any, is stale; the last session's end from a cache is not."""
    assert flaws(Gate(), tick(at(time)), now=at(received)) == [found]
    gate = Gate()
    assert flaws(gate, tick(at("09:30:00"), code="000001"), now=at("09:30:00")) == [""]
    assert flaws(gate, tick(at(time)), now=at(received)) == [found]


def test_a_cached_snapshot_stays_truthful_over_nights_and_holidays() -> None:
    """Friday's close on Monday morning and during the first hour of trading; of Thursday it is stale."""
    friday, monday = at("15:00:00"), at("09:20:00") + 3 * DAY_MS
    for now in (monday, monday + 3_600_000):
        assert flaws(Gate(), tick(friday), now=now) == [""]
        assert flaws(Gate(), tick(friday, code="510300.SSE", price=1.0), now=now) == [""]
    assert flaws(Gate(), tick(friday), now=monday + 3 * 3_600_000) == ["stale"]
    assert flaws(Gate(), tick(friday - DAY_MS), now=monday) == ["stale"]
    october = at("15:00:00") - 51 * DAY_MS  # 2026-09-30, before the holidays
    assert flaws(Gate(), tick(october), now=october + 8 * DAY_MS - 5 * 3_600_000) == [""]


def test_hours_that_are_not_known_make_nothing_stale_within_a_day() -> None:
    """America's close, pushed from a cache in its evening."""
    assert flaws(Gate(), tick(code="AAPL.US"), now=OPEN + DAY_MS) == [""]
    assert flaws(Gate(), tick(code="AAPL.US"), now=OPEN + DAY_MS + 1) == ["stale"]


def test_a_tick_that_becomes_old_while_its_code_is_still_is_stale() -> None:
    """However well the code's ticks were until then: the quick way looks at the receipt as well."""
    gate = Gate()
    assert flaws(gate, *(tick(OPEN + n) for n in range(3))) == [""] * 3
    assert flaws(gate, tick(OPEN + 3), now=OPEN + PAST_MS + 60_000) == ["stale"]


def test_what_was_recent_becomes_long_past() -> None:
    """A code that has not ticked for days, and then brings the tick of then."""
    gate = Gate()
    assert flaws(gate, tick()) == [""]
    assert flaws(gate, tick(OPEN + 1), now=OPEN + 3 * DAY_MS) == ["stale"]


def test_a_feed_with_a_clock_of_its_own() -> None:
    """A recording of last year and a simulator ahead of us are not compared with our clock."""
    for then in (OPEN - 364 * DAY_MS, OPEN):
        gate = Gate(clock_of_its_own=True)
        assert flaws(gate, tick(then), tick(then + 1), tick(then + 3 * DAY_MS), now=OPEN - DAY_MS) == ["", "", ""]


AHEAD = OPEN + 5 * DAY_MS


def test_one_tick_ahead_of_its_stream_is_future_and_changes_nothing() -> None:
    """Later than the end of the trading day that follows: the stream's clock stays, however often one comes."""
    gate = Gate(clock_of_its_own=True)
    codes = ["600519", "000001", "300750", "688981"]
    for n in range(20):
        right = [tick(OPEN + n, code=code) for code in codes]
        wrong = tick(AHEAD + n, code=codes[n % 4])
        assert flaws(gate, *right, wrong, now=OPEN) == ["", "", "", "", "future"]
    assert flaws(gate, tick(OPEN + 3 * DAY_MS), now=OPEN) == [""]  # Monday, the next trading day


def test_a_stream_that_jumps_is_followed_once_three_codes_say_so() -> None:
    """A recording with weeks left out, and one that begins again; two codes alone are not believed."""
    gate = Gate(clock_of_its_own=True)
    codes = ["600519", "000001", "300750"]
    assert flaws(gate, *(tick(OPEN, code=code) for code in codes)) == ["", "", ""]
    jumped = [flaws(gate, tick(AHEAD, code=code), now=OPEN)[0] for code in ["600519", "600519", "000001", "300750"]]
    assert jumped == ["future", "future", "future", ""]
    assert flaws(gate, tick(AHEAD + 1), now=OPEN) == [""]
    assert [flaws(gate, tick(OPEN, code=code), now=OPEN)[0] for code in codes] == ["backwards", "", "backwards"]
    assert flaws(gate, tick(AHEAD + 2), now=OPEN) == ["future"]


def test_a_recording_of_one_code_is_followed_by_as_many_ticks() -> None:
    """There is no other to confirm it."""
    gate = Gate(clock_of_its_own=True)
    assert flaws(gate, tick(OPEN)) == [""]
    assert [flaws(gate, tick(AHEAD + n), now=OPEN)[0] for n in range(4)] == ["future", "future", "", ""]


def test_back_in_time_within_a_code() -> None:
    """Equal times are well; another code's time has nothing to do with it."""
    gate = Gate()
    ticks = [tick(OPEN + 5), tick(OPEN + 5), tick(OPEN + 4), tick(OPEN, code="000001"), tick(OPEN + 5), tick(OPEN + 6)]
    assert flaws(gate, *ticks) == ["", "", "backwards", "", "", ""]


@pytest.mark.parametrize(
    ("time", "found"),
    [
        ("09:14:59.999", "off_session"),
        ("09:15:00", ""),
        ("09:25:00", ""),
        ("09:27:00", ""),
        ("11:30:00.500", ""),
        ("11:31:00", "off_session"),
        ("12:59:59", "off_session"),
        ("13:00:00", ""),
        ("14:58:00", ""),
        ("15:00:03", ""),
        ("15:02:00", "off_session"),
        ("15:05:00", ""),
        ("15:29:59", ""),
        ("15:31:00", "off_session"),
    ],
)
def test_prints_out_of_session(time: str, found: str) -> None:
    """Lunch, the minutes between close and after-hours trading, and the night; by the tick's own time."""
    assert GRACE_MS == 60_000
    gate = Gate()
    assert flaws(gate, tick(at(time))) == [found]
    assert flaws(gate, tick(at(time))) == [found]


def test_sessions_end_between_two_ticks_of_a_code() -> None:
    """What was well in the morning is not at lunch; holidays are not sessions; other markets' are not known."""
    gate = Gate(clock_of_its_own=True)
    assert flaws(gate, tick(at("11:29:00")), tick(at("12:00:00")), tick(at("13:00:01"))) == ["", "off_session", ""]
    assert flaws(gate, tick(OPEN + DAY_MS)) == ["off_session"]
    assert flaws(gate, tick(OPEN + DAY_MS, code="AAPL.US"), tick(OPEN + DAY_MS, code="000001.SSE")) == ["", ""]


def test_codes_that_nobody_asked_for() -> None:
    """Phantoms beside a list of codes, in whatever form the list has them; a new list holds at once."""
    gate = Gate(codes=["600519.SH", "000001"])
    assert flaws(gate, tick(), tick(code="000001"), tick(code="688981")) == ["", "", "unknown_code"]
    gate.expect(["688981"])
    assert flaws(gate, tick(), tick(code="000001"), tick(code="688981")) == ["unknown_code", "unknown_code", ""]
    gate.expect(None)
    assert flaws(gate, tick(), tick(code="nonsense")) == ["", "unknown_code"]


def test_codes_that_are_not_in_use_any_more() -> None:
    """Beijing's codes of before October 2025 are well in a recording of then, and phantoms today."""
    then = OPEN - 420 * DAY_MS  # 2025-09-26, a Friday
    assert flaws(Gate(clock_of_its_own=True), tick(then, code="830799")) == [""]
    assert flaws(Gate(clock_of_its_own=True), tick(OPEN, code="830799")) == ["unknown_code"]


def test_several_flaws_of_one_tick() -> None:
    """All are named, in one text; each is counted."""
    gate = Gate()
    flaws(gate, tick(OPEN + 60_000, previous_close=10.0))
    assert flaws(gate, tick(OPEN, 20.005), now=OPEN) == ["off_grid,outside_limits,backwards"]
    assert gate.counts == {"off_grid": 1, "outside_limits": 1, "backwards": 1}


CLOSED = {at("12:00:00"), at("15:01:30")}
TIMES = st.sampled_from([OPEN - DAY_MS, OPEN - 1, OPEN, OPEN + 1, OPEN + 2, at("13:00:00"), *sorted(CLOSED)])
TICKS = st.builds(
    tick,
    TIMES,
    st.sampled_from([9.0, 8.99, 10.0, 10.005, 11.0, 11.01, 12.0]),
    st.sampled_from(["600519", "688981", "000001.SSE", "999999"]),
    previous_close=st.sampled_from([10.0, None]),
)


@settings(max_examples=300, deadline=None)
@given(st.lists(TICKS, max_size=30), st.integers(1, 5))
def test_the_quick_way_finds_what_all_rules_find(ticks: Sequence[FeedTick], size: int) -> None:
    """However ticks come in frames, each is judged as a plain reading of the rules judges it."""
    gate = Gate(clock_of_its_own=True)
    found = [one for start in range(0, len(ticks), size) for one in flaws(gate, *ticks[start : start + size])]
    assert found == plainly(ticks)


def test_a_previous_close_is_learned_at_an_unmoved_price_too() -> None:
    """The third tick says what its own price is outside of."""
    gate = Gate(clock_of_its_own=True)
    ticks = [tick(OPEN, 9.0), tick(OPEN, 8.99), tick(OPEN, 8.99, previous_close=10.0)]
    assert flaws(gate, *ticks) == ["", "", "outside_limits"]


BOARDS = {"600519": Board.MAIN, "688981": Board.STAR}


def plainly(ticks: Sequence[FeedTick]) -> list[str]:
    """The rules, read one after the other, with nothing kept but times and closes."""
    last: dict[str, int] = {}
    closes: dict[str, tuple[date, float]] = {}
    found = []
    for one in ticks:
        named = []
        day = datetime.fromtimestamp(one.time / 1000, SHANGHAI).date()
        latest = last.get(one.code, 0)
        newest = datetime.fromtimestamp(max(latest, one.time) / 1000, SHANGHAI).date()
        share = one.code in BOARDS
        if one.code == "999999":
            named.append("unknown_code")
        if share and round(one.price * 10_000) % 100:
            named.append("off_grid")
        if one.previous_close is not None and day == newest:
            closes[one.code] = (day, one.previous_close)
        if share and day == newest and closes.get(one.code, (None, 0))[0] == day:
            band = limit_band_e4(round(closes[one.code][1] * 10_000), BOARDS[one.code], day)
            if band is not None and not band[0] <= round(one.price * 10_000) <= band[1]:
                named.append("outside_limits")
        if one.time < latest:
            named.append("backwards")
        if share and one.time in CLOSED:
            named.append("off_session")
        last[one.code] = max(latest, one.time)
        found.append(",".join(named))
    return found


def book(bids: Sequence[float] | None, asks: Sequence[float] | None, **figures: Any) -> Beside:
    """A book of a hundred shares a level, and figures of the day."""
    buyers, sellers = ([Level(price, 100) for price in side] if side is not None else None for side in (bids, asks))
    return Beside(buyers, sellers, **figures)


@pytest.mark.parametrize(
    ("beside", "found"),
    [
        (book([9.99, 9.98], [10.0, 10.01]), ""),
        (book([10.0], [10.0]), "crossed_book"),
        (book([10.01], [10.0]), "crossed_book"),
        (book([10.0, 9.99], []), ""),
        (book([], [10.0, 10.01]), ""),
        (book(None, None), ""),
        (book([9.98, 9.99], [10.0]), "disordered_book"),
        (book([9.99], [10.01, 10.0]), "disordered_book"),
        (book([9.99, 9.99], [10.0]), "disordered_book"),
        (book([9.99], None, day_high=10.0, day_low=10.0), ""),
        (book(None, None, day_high=9.99), "day_figures"),
        (book(None, None, day_low=10.01), "day_figures"),
        (book(None, None, day_high=10.0 - 1e-9, day_low=10.0 + 1e-9), ""),
        (book(None, None, day_high=9.9, day_low=10.1), "day_figures"),
        (book([10.01, 10.02], [10.0], day_high=9.0), "crossed_book,disordered_book,day_figures"),
    ],
)
def test_what_is_beside_a_tick_is_judged_where_it_has_it(beside: Beside, found: str) -> None:
    """A crossed or disordered book, and figures of the day that the price contradicts; quick way or not."""
    gate = Gate()
    one = tick(OPEN, beside=beside)
    assert flaws(gate, tick(OPEN), one, one, tick(OPEN)) == ["", found, found, ""]
    assert gate.counts == dict.fromkeys(found.split(",") if found else (), 2)


@pytest.mark.parametrize(
    ("time", "found"),
    [
        ("09:20:00", ""),
        ("09:25:00", ""),
        ("09:30:00", "crossed_book"),
        ("11:29:59", "crossed_book"),
        ("11:30:00", ""),
        ("13:00:00", "crossed_book"),
        ("14:56:59", "crossed_book"),
        ("14:57:00", ""),
        ("15:00:00", ""),
    ],
)
def test_a_book_may_be_crossed_outside_of_continuous_trading(time: str, found: str) -> None:
    """In an auction orders are not matched as they come. What trades abroad is not judged."""
    crossed = book([10.01], [10.0])
    assert flaws(Gate(), tick(at(time), beside=crossed)) == [found]
    assert flaws(Gate(), FeedTick("AAPL.US", "US", 10.0, at(time), 100, beside=crossed)) == [""]


def test_what_is_wrong_beside_a_tick_is_named_behind_what_is_wrong_with_it() -> None:
    """One text, and quarantine holds for both."""
    (found,) = flaws(Gate(), tick(OPEN, 10.005, beside=book([10.01], [10.0])))
    assert found == "off_grid,crossed_book"


def informed(gate: Gate, known: Known, *records: Instrument) -> None:
    """Tell a gate of instruments, as the follower does."""
    gate.informed(known.take((record.code, record) for record in records))


def test_the_day_s_limits_of_the_list_come_before_what_the_rules_make_of_a_close() -> None:
    """Those of another day say nothing; without a previous close they are judged all the same."""
    known = Known([Instrument("600519", "SSE", day="2026-11-20", limit_up=10.2, limit_down=9.8)])
    gate = Gate(known=known)
    assert flaws(gate, tick(price=10.3), tick(OPEN + 1, 10.2)) == ["outside_limits", ""]
    assert flaws(gate, tick(OPEN + 2, 10.3, previous_close=10.0)) == ["outside_limits"]
    monday = OPEN + 3 * DAY_MS
    assert flaws(gate, tick(monday, 10.3, previous_close=10.0), tick(monday + 1, 11.01)) == ["", "outside_limits"]


def test_what_is_applied_while_ticks_come_is_judged_by_at_once() -> None:
    known = Known()
    gate = Gate(known=known)
    assert flaws(gate, tick(price=10.9, previous_close=10.0), tick(OPEN + 1, 10.9)) == ["", ""]
    informed(gate, known, Instrument("600519", "SSE", day="2026-11-20", limit_up=10.5, limit_down=9.5))
    assert flaws(gate, tick(OPEN + 2, 10.9)) == ["outside_limits"]
    gate.informed(known.take([("600519", None)]))
    assert flaws(gate, tick(OPEN + 3, 10.9)) == [""]


def test_a_previous_close_of_the_list_is_as_good_as_a_tick_s() -> None:
    known = Known([Instrument("600519", "SSE", day="2026-11-20", previous_close=10.0)])
    assert flaws(Gate(known=known), tick(price=11.0), tick(OPEN + 1, 11.01)) == ["", "outside_limits"]


def test_the_first_days_of_a_listing_have_no_limit() -> None:
    """By its list date; the sixth trading day has one. A date of the future is not believed."""
    for listed, found in (("2026-11-16", ""), ("2026-11-13", "outside_limits"), ("2026-12-01", "outside_limits")):
        gate = Gate(known=Known([Instrument("688001", "SSE", list_date=listed)]))
        assert flaws(gate, tick(price=99.0, code="688001", previous_close=10.0)) == [found]


def test_special_treatment_narrows_the_band_where_the_rules_of_the_day_say_so() -> None:
    """On the main boards until July 2026."""
    friday = OPEN - 140 * DAY_MS  # 2026-07-03
    for st_, found in ((True, "outside_limits"), (False, ""), (None, "")):
        gate = Gate(known=Known([Instrument("600519", "SSE", st=st_)]), clock_of_its_own=True)
        assert flaws(gate, tick(friday, 10.6, previous_close=10.0)) == [found]


def test_a_code_that_a_whole_list_does_not_have_is_unknown() -> None:
    """A list of a few says nothing; one that has all of an exchange does, of that exchange."""
    known = Known(Instrument(f"{n}", "SSE") for n in range(600000, 600000 + WHOLE["SSE"] - 1))
    gate = Gate(known=known)
    assert flaws(gate, tick(code="605999")) == [""]
    informed(gate, known, Instrument("688001", "SSE"))
    ticks = [tick(OPEN + 1, code=code) for code in ("605999", "600000", "300750", "510300.SSE")]
    assert flaws(gate, *ticks) == ["unknown_code", "", "", ""]
    informed(gate, known, Instrument("605999", "SSE"))
    assert flaws(gate, tick(OPEN + 2, code="605999")) == [""]


@pytest.mark.parametrize(
    ("code", "low", "high", "step"),
    [("510300.SSE", 9.0, 11.0, 0.001), ("588000.SSE", 8.0, 12.0, 0.001), ("123001.SZSE", 8.0, 12.0, 0.001)],
)
def test_kinds_that_are_named_are_judged_by_their_limits_and_hours(
    code: str, low: float, high: float, step: float
) -> None:
    """Without the setting they are judged as before: by their tick size alone."""
    prices = [low, high, low - step, high + step]
    ticks = [tick(OPEN + n, round(price, 3), code, previous_close=10.0) for n, price in enumerate(prices)]
    night = tick(at("19:00:00"), 10.0, code)
    gate = Gate(kinds=parse("a-share,fund,convertible,index"))
    assert flaws(gate, *ticks) == ["", "", "outside_limits", "outside_limits"]
    assert flaws(gate, night) == ["off_session"]
    gate = Gate()
    assert flaws(gate, *ticks) + flaws(gate, night) == [""] * 5


def test_an_index_has_neither_grid_nor_limits() -> None:
    gate = Gate(kinds=parse("a-share,index"), codes=["399001", "000001.SH"])
    ticks = [tick(OPEN, 99.1234, code, previous_close=10.0) for code in ("399001.SZSE", "000001.SSE")]
    assert flaws(gate, *ticks, tick(OPEN, code="000001")) == ["", "", "unknown_code"]
