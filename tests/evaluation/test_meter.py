"""What a line's figures say of what happened to it."""

from __future__ import annotations

from typing import Any

import pytest

from evaluation.figures import LineFigures
from evaluation.meter import Meter
from evaluation.notes import notes
from producer.feeds.decoded import Decoded, FeedTick, Letter
from producer.feeds.provider import Capabilities
from producer.gaps.gap import Gap
from producer.pipeline.quality import Gate

# 2026-11-20, a Friday, 10:00:00 in Shanghai.
TEN = 1_795_140_000_000
BEGAN = TEN * 1000
ABLE = Capabilities(about="a feed", url="ws://127.0.0.1", login="none")


def tick(time: int, code: str = "600519", **fields: Any) -> FeedTick:
    given: dict[str, Any] = {"price": 10.0, "volume": 100} | fields
    return FeedTick(code=code, exchange="SSE", time=time, **given)


def figures(meter: Meter, seconds: float = 60.0, **fields: Any) -> LineFigures:
    given: dict[str, Any] = {"name": "A", "url": "ws://feed", "feed": "post"} | fields
    return meter.figures(BEGAN + int(seconds * 1e6), ABLE, **given)


def connected(codes: list[str] | None = None, gate: Gate | None = None) -> Meter:
    meter = Meter(BEGAN, codes, gate)
    meter.dialled(BEGAN)
    meter.connected(BEGAN + 20_000)
    return meter


def take(meter: Meter, latencies: list[float], every: float = 0.1) -> None:
    """Ticks of rising time, each so many ms before its receipt."""
    for number, latency in enumerate(latencies):
        time = TEN + 1_001 + int(number * every * 1000)
        meter.took([tick(time, seq=number)], int((time + latency) * 1000))


def test_latency_is_from_the_exchange_to_the_socket_and_its_least_is_the_offset() -> None:
    """A hundred ticks, of 11 to 110 ms."""
    meter = connected()
    take(meter, [10.0 + n for n in range(1, 101)])
    line = figures(meter)
    assert (line.latency.p50, line.latency.p90, line.latency.p99, line.latency.max) == (60.0, 100.0, 109.0, 110.0)
    assert line.offset_ms == 11.0
    assert (line.tail.least, line.tail.p50, line.tail.max) == (0.0, 49.0, 99.0)
    assert not any("clock" in note for note in notes(line))


def test_a_negative_latency_is_said_to_be_a_wrong_clock() -> None:
    """The tail is as good as before."""
    meter = connected()
    take(meter, [-250.0, -200.0, -240.0])
    line = figures(meter)
    assert line.offset_ms == -250.0
    assert line.tail.max == 50.0
    assert any("negative, -250.0 ms" in note and "clock" in note for note in notes(line))


def test_a_market_of_another_time_has_a_clock_of_its_own() -> None:
    """A simulation's latency above the least one is all that is said."""
    meter = connected()
    take(meter, [-7_200_000.0, -7_199_990.0])
    line = figures(meter)
    assert line.own_clock
    assert line.tail.max == 10.0
    assert any("constantly 2 h ahead of the local clock" in note for note in notes(line))


@pytest.mark.parametrize(
    ("latency", "words"),
    [
        (8 * 3_600_000.0, "constantly 8 h behind the local clock: it writes UTC as if it were Shanghai time"),
        (-8 * 3_600_000.0, "constantly 8 h ahead of the local clock: it writes Shanghai time as if it were UTC"),
        (900_000.0, "constantly 15.0 min behind the local clock"),
        (300_000.0, "constantly 5.0 min behind the local clock: it is a delayed feed"),
    ],
)
def test_a_clock_that_is_constantly_off_is_said_in_plain_words(latency: float, words: str) -> None:
    """With what it comes from, where that can be told."""
    meter = connected()
    take(meter, [latency, latency + 10.0, latency + 40.0])
    assert any(words in note for note in notes(figures(meter)))


def test_what_cant_be_read_is_said_with_its_most_frequent_reason() -> None:
    """Dead letters where most are, and the fields that are null."""
    meter = connected()
    take(meter, [20.0])
    letter = Letter(b"", "time: 1795138201 ms is not a time between 1992 and 2099", "tick")
    meter.frame(10, Decoded([], [letter] * 9, []), BEGAN)
    meter.took([tick(TEN, unread="unread_side")], BEGAN)
    line = figures(meter)
    assert (line.malformed, line.unread) == ({"time": 9}, {"side": 1})
    said = " ".join(notes(line))
    assert "9 of 11 ticks or frames can't be read, most often: time, as in 'time: 1795138201 ms" in said
    assert "fields that could not be read, and are null: side (1)" in said


def test_one_impossible_time_does_not_hide_what_the_others_say() -> None:
    """A tick two hours ahead is told of, and is not the least."""
    meter = connected()
    take(meter, [20.0] * 50 + [-7_200_000.0] + [30.0] * 49)
    line = figures(meter)
    assert line.offset_ms == 20.0
    assert line.ahead_ticks == 1
    assert line.tail.p50 == 0.0
    assert line.tail.p99 == 10.0


def test_ticks_from_a_cache_are_told_of() -> None:
    """They came over a minute later than the fastest."""
    meter = connected()
    take(meter, [20.0] * 8 + [90_000.0] * 2)
    assert figures(meter).held_ticks == 2


def test_times_of_whole_seconds_are_noticed() -> None:
    """Latency is no better known than they are."""
    meter = connected()
    meter.took([tick(TEN), tick(TEN + 1_000)], BEGAN + 1_200_000)
    line = figures(meter)
    assert line.whole_seconds
    assert any("whole seconds" in note for note in notes(line))
    meter.took([tick(TEN + 1_001)], BEGAN + 1_300_000)
    assert not figures(meter).whole_seconds


def test_moments_count_from_the_first_dialling_that_led_to_a_connection() -> None:
    """A second connection changes none of them."""
    meter = Meter(BEGAN, None)
    meter.dialled(BEGAN)
    meter.dialled(BEGAN + 5_000_000)
    meter.connected(BEGAN + 5_030_000)
    meter.answered("ok", BEGAN + 5_050_000, subscribed=True)
    meter.took([tick(TEN + 5_000)], BEGAN + 5_200_000)
    meter.lost("reset", BEGAN + 6_000_000)
    meter.dialled(BEGAN + 7_000_000)
    meter.connected(BEGAN + 7_010_000)
    line = figures(meter, 10.0)
    assert (line.first.handshake, line.first.acknowledged, line.first.first_tick) == (30.0, 50.0, 200.0)
    assert (line.dials, line.connections) == (3, 2)
    assert line.disconnects == {"reset": 1}
    assert line.connected_seconds == pytest.approx(0.97 + 2.99)


def test_frames_are_counted_by_what_they_hold() -> None:
    """Ticks that the adapter dropped were in the frame too; a frame without any is apart; letters by their reason."""
    meter = connected()
    frames = [
        Decoded([tick(TEN)], [], []),
        Decoded([tick(TEN)] * 7, [], [], repeats=1, unpriced=2),
        Decoded([], [Letter(b"x", "not JSON: at 0", "frame")], []),
        Decoded([], [Letter(b"x", "price: none", "tick"), Letter(b"x", "not JSON: at 9", "frame")], []),
    ]
    for one in frames:
        meter.frame(100, one, BEGAN)
    line = figures(meter)
    assert (line.frames, line.bytes, line.repeats, line.unpriced) == (4, 400, 1, 2)
    assert line.frame_sizes == {"1": 1, "6–10": 1, "none": 2}
    assert (line.ticks_per_frame.count, line.ticks_per_frame.max) == (2, 10)
    assert line.malformed == {"not JSON": 2, "price": 1}


def test_equal_ticks_are_counted_and_not_judged() -> None:
    """Same code, time, price, volume and number; one that differs in any of them is another."""
    meter = connected()
    one = tick(TEN + 7, seq=1)
    others = [tick(TEN + 7, seq=2), tick(TEN + 7, seq=1, price=10.01), tick(TEN + 7, seq=1, volume=200)]
    meter.took([one, *others, one, one], BEGAN + 100_000)
    line = figures(meter)
    assert (line.equal, line.backwards) == (2, 0)
    assert any("counted, not judged" in note for note in notes(line))


def test_time_back_is_within_a_code() -> None:
    """One late tick is one, however far, and so is a time too far ahead; other codes have times of their own."""
    meter = connected()
    times = [("600519", 500), ("000001", 100), ("600519", 200), ("600519", 600), ("600519", 90_600), ("600519", 700)]
    meter.took([tick(TEN + after, code, seq=after) for code, after in times], BEGAN + 1_000_000)
    line = figures(meter)
    assert (line.backwards, line.furthest_back_ms) == (2, 89_900)


def test_silence_counts_while_the_connection_stands() -> None:
    """Beyond what the watchdog bears, in trading hours, it is one; time without a connection is none."""
    meter = connected()
    take(meter, [20.0] * 30)
    meter.took([tick(TEN + 16_000)], BEGAN + 16_020_000)
    meter.lost("reset", BEGAN + 17_000_000)
    meter.dialled(BEGAN + 40_000_000)
    meter.connected(BEGAN + 40_100_000)
    meter.took([tick(TEN + 41_000)], BEGAN + 41_020_000)
    line = figures(meter, 45.0)
    assert (line.silences, line.quiet) == (1, 0)
    assert line.longest_silence == pytest.approx(16.02 - 3.921, abs=0.01)


def test_silence_at_lunch_is_quiet() -> None:
    """From 11:40 to 12:40 nothing need come."""
    began = BEGAN + 100 * 60_000_000
    meter = Meter(began, None)
    meter.dialled(began)
    meter.connected(began)
    line = meter.figures(began + 60 * 60_000_000, ABLE, name="A", url="", feed="post")
    assert (line.silences, line.quiet) == (0, 1)
    assert line.longest_silence == 3_600.0


@pytest.mark.parametrize(("codes", "patience"), [(None, 10.0), (200, 10.0), (50, 20.0), (1, None)])
def test_patience_is_the_watchdogs(codes: int | None, patience: float | None) -> None:
    """Fewer codes are given more time, and a single one may be silent for ever."""
    asked = None if codes is None else [f"{600_000 + n}" for n in range(codes)]
    assert figures(Meter(BEGAN, asked)).patience == patience


def test_gaps_are_counted_by_how_they_were_found() -> None:
    """With their length and their codes."""
    meter = connected()
    meter.gap(Gap(BEGAN, BEGAN + 1_500_000, "all", "disconnect", "reset"))
    meter.gap(Gap(BEGAN, BEGAN + 500_000, ["600519"], "volume", "100 shares", 100))
    line = figures(meter)
    assert line.gaps == {"disconnect": 1, "volume": 1}
    assert line.gap_seconds == 2.0
    assert [gap.codes for gap in line.gap_list] == [None, 1]


def test_codes_asked_for_and_never_seen_are_named_in_the_one_form() -> None:
    """Whatever form they were asked for in; of a whole market nobody can say."""
    meter = connected(["600519.SH", "sz000001", "300750"])
    meter.took([tick(TEN)], BEGAN + 10_000)
    line = figures(meter)
    assert (line.codes_asked, line.codes_seen, line.never_seen) == (3, 1, 2)
    assert line.never_seen_codes == ["000001", "300750"]
    assert figures(connected()).never_seen is None


def test_flaws_are_the_gates() -> None:
    """A price off the grid, and a code that was not asked for."""
    meter = connected(["600519"], Gate(codes=["600519"]))
    meter.took([tick(TEN, price=10.001), tick(TEN, "000001")], BEGAN + 10_000)
    assert figures(meter).flaws == {"off_grid": 1, "unknown_code": 1}
