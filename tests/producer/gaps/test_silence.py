"""Silence is suspicious in trading hours, for many codes, and never for one."""

from __future__ import annotations

from itertools import pairwise

import pytest

from market.codes import Board
from market.sessions import Phase
from market.times import parse_time
from producer.feeds.decoded import FeedTick
from producer.gaps.silence import PATIENCE, Silence, loud_since, trading_stretch

DAY = "2026-11-20"
BOARDS = {"600519": Board.MAIN, "300750": Board.CHINEXT, "688981": Board.STAR, "920002": Board.BSE}


def at(clock: str, day: str = DAY) -> int:
    return parse_time(f"{day} {clock}")


def tick(code: str, time: int) -> FeedTick:
    return FeedTick(code, "SSE", 10.0, time)


class Feed:
    """A line watched over a day: seconds that rise, and the wall clock beside them."""

    def __init__(self, codes: int | None, clock: str, day: str = DAY) -> None:
        """Begin to watch so many codes."""
        self.wall = at(clock, day)
        self.now = 1_000.0
        self.watch = Silence(codes, now=self.now)

    def passes(self, seconds: float) -> str | None:
        """Quiet time, looked at every second; the first verdict's text."""
        for _ in range(int(seconds)):
            self.now += 1
            self.wall += 1_000
            if verdict := self.watch.verdict(self.wall, self.now):
                return str(verdict)
        return None

    def ticks(self, *codes: str, offset: int = 0) -> None:
        """A frame with a tick of each code, its time so many ms beside the local one."""
        self.watch.heard([tick(code, self.wall + offset) for code in codes], self.wall, self.now)


@pytest.mark.parametrize(
    ("clock", "day", "quiet"),
    [
        ("09:31:00", DAY, False),
        ("11:20:00", DAY, False),
        ("13:00:00", DAY, False),
        ("14:50:00", DAY, False),
        ("15:06:00", DAY, False),
        ("09:16:00", DAY, True),
        ("09:26:00", DAY, True),
        ("11:31:00", DAY, True),
        ("12:50:00", DAY, True),
        ("14:57:30", DAY, True),
        ("15:01:00", DAY, True),
        ("15:31:00", DAY, True),
        ("03:00:00", DAY, True),
        ("10:00:00", "2026-11-21", True),
        ("10:00:00", "2026-10-01", True),
        ("15:10:00", "2026-07-03", True),
    ],
)
def test_a_silent_market_is_told_from_a_closed_one(clock: str, day: str, quiet: bool) -> None:
    """Lunch, night, auctions, weekends and holidays are quiet; trading after hours is not, since July 2026."""
    assert (Feed(None, clock, day).passes(150) is None) == quiet


def test_the_whole_market_is_given_ten_seconds() -> None:
    """Of silence, not of age: ticks begin it anew."""
    feed = Feed(None, "09:40:00")
    for _ in range(5):
        assert feed.passes(PATIENCE - 1) is None
        feed.ticks("600519")
    said = feed.passes(PATIENCE)
    assert said is not None
    assert "10 s" in said


def test_the_wait_begins_with_the_session() -> None:
    """At 09:30:05 nobody has been silent for more than five seconds, whatever the night was like."""
    feed = Feed(None, "09:00:00")
    assert feed.passes(30 * 60 + 9) is None
    assert feed.passes(2) is not None


@pytest.mark.parametrize(("codes", "seconds"), [(None, 10), (3_000, 10), (100, 10), (50, 20), (10, 100), (2, 500)])
def test_fewer_codes_are_given_more_time(codes: int | None, seconds: int) -> None:
    """A hundred codes are as good as the market."""
    feed = Feed(codes, "09:40:00")
    assert feed.passes(seconds - 1) is None
    assert feed.passes(1) is not None


def test_a_single_code_is_never_silent_too_long() -> None:
    """It may be suspended."""
    assert Feed(1, "09:31:00").passes(7_000) is None


def test_a_feed_that_stays_silent_is_not_dialled_every_ten_seconds() -> None:
    """Patience doubles with each attempt, up to minutes, until ticks come."""
    feed = Feed(None, "09:40:00")
    waits = []
    for _ in range(8):
        began = feed.now
        assert feed.passes(1_000)
        waits.append(feed.now - began)
        feed.watch.gave_up()
        feed.watch.subscribed(None, feed.now)
    assert waits == [10, 20, 40, 80, 160, 300, 300, 300]
    feed.ticks("600519")
    assert feed.passes(10) is not None


def test_a_feed_that_ends_with_the_close_is_dialled_once_after_hours() -> None:
    """Many vendors' sessions end at 15:00, whatever the exchanges do since July 2026."""
    feed = Feed(None, "15:05:00")
    assert feed.passes(300)
    feed.watch.gave_up()
    feed.watch.subscribed(None, feed.now)
    assert feed.passes(1_100) is None


def test_a_board_that_was_heard_every_second_and_falls_silent_is_noticed() -> None:
    """While the others go on: a part of the provider's feed has died."""
    feed = Feed(None, "09:40:00")
    for _ in range(70):
        assert feed.passes(1) is None
        feed.ticks(*BOARDS)
    said = None
    for _ in range(40):
        said = said or feed.passes(1)
        feed.ticks("600519", "688981", "920002")
    assert said is not None
    assert "CHINEXT" in said


def test_a_board_that_is_seldom_heard_may_be_silent() -> None:
    """A handful of Beijing's stocks, a tick now and then."""
    feed = Feed(None, "09:40:00")
    for i in range(400):
        assert feed.passes(1) is None
        feed.ticks("600519", *(["920002"] if i < 200 and i % 5 == 0 else []))


def test_a_recording_has_its_own_clock() -> None:
    """Ticks of a morning that flow at night make that market's silence suspicious."""
    feed = Feed(None, "03:00:00")
    shift = at("09:40:00") - at("03:00:00")
    for _ in range(6):
        assert feed.passes(1) is None
        feed.ticks("600519", offset=shift)
    assert feed.passes(12) is not None


def test_old_ticks_from_a_cache_move_no_clock() -> None:
    """After subscribing at 09:40, a feed pushes yesterday's close and then nothing: that is silence."""
    feed = Feed(None, "09:40:00")
    for _ in range(2):
        feed.watch.heard([tick("600519", at("15:00:00", "2026-11-19"))], feed.wall, feed.now)
        assert feed.passes(12) is not None
    night = Feed(None, "03:00:00")
    for _ in range(20):
        night.watch.heard([tick("600519", at("14:50:00"))], night.wall, night.now)
        assert night.passes(15) is None


def test_late_and_wrong_times_among_others_do_not_hide_a_recording_s_clock() -> None:
    """Every fifth tick is an hour off."""
    feed = Feed(None, "03:00:00")
    shift = at("09:40:00") - at("03:00:00")
    for i in range(12):
        assert feed.passes(1) is None
        feed.ticks("600519", offset=shift + (3_600_000 if i % 5 == 2 else 0))
    assert feed.passes(12) is not None


def test_a_market_whose_hours_are_not_known_is_silent_when_its_flow_stops() -> None:
    """And closed, when some connections in a row bring nothing; what only trickles is never silent."""
    feed = Feed(None, "03:00:00")
    feed.watch = Silence(None, now=feed.now, abroad=True)
    assert feed.passes(600) is None
    for _ in range(6):
        feed.watch.heard([FeedTick("BTCUSDT.BINANCE", "BINANCE", 10.0, feed.wall)], feed.wall, feed.now)
        assert feed.passes(1) is None
    waits = []
    while feed.passes(2_000):
        waits.append(feed.now)
        feed.watch.gave_up()
        feed.watch.subscribed(None, feed.now)
    assert [later - earlier for earlier, later in pairwise(waits)] == [20, 40, 80, 160]
    for _ in range(60):
        feed.watch.heard([FeedTick("BTCUSDT.BINANCE", "BINANCE", 10.0, feed.wall)], feed.wall, feed.now)
        assert feed.passes(9) is None
    assert feed.passes(600) is None


def test_stretches_of_trading_are_told_apart() -> None:
    """Codes never seen are counted by morning and afternoon."""
    assert trading_stretch(at("10:00:00")) != trading_stretch(at("14:00:00"))
    assert trading_stretch(at("11:31:00")) is None
    assert loud_since(at("09:30:01.500")) == (1.5, Phase.MORNING)
