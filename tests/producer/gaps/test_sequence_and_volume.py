"""Holes that the stream itself tells: packet numbers and cumulative volumes."""

from __future__ import annotations

from producer.feeds.decoded import FeedTick
from producer.gaps.gap import Gap
from producer.gaps.sequence import PacketNumbers
from producer.gaps.volume import CumulativeVolumes, merged


def traded(code: str, volume: float | None, cumulative: float | None) -> FeedTick:
    return FeedTick(code, "SSE", 10.0, 1_795_138_201_000, volume=volume, cumulative=cumulative)


def test_a_packet_that_did_not_come_is_a_hole_between_its_neighbours() -> None:
    """For all codes of the line; the text says which are missing."""
    numbers = PacketNumbers()
    assert numbers.came(7, 100) is None
    assert numbers.came(8, 200) is None
    assert numbers.came(11, 300) == Gap(200, 300, "all", "sequence", "packets 9 to 10 did not come")
    assert numbers.came(13, 400) == Gap(300, 400, "all", "sequence", "packet 12 did not come")


def test_a_number_that_falls_is_a_new_beginning_and_a_repeat_is_nothing() -> None:
    """Counters restart with a day or a connection; neither is a loss."""
    numbers = PacketNumbers()
    numbers.came(100, 1)
    assert numbers.came(100, 2) is None
    assert numbers.came(1, 3) is None
    assert numbers.came(2, 4) is None
    numbers.reset()
    assert numbers.came(900, 5) is None


def test_groups_count_for_themselves() -> None:
    """Shanghai's packets say nothing of Shenzhen's."""
    numbers = PacketNumbers()
    numbers.came(5, 1, "tick.SH.1")
    assert numbers.came(90, 2, "tick.SZ.1") is None
    hole = numbers.came(7, 3, "tick.SH.1")
    assert hole is not None
    assert hole.start == 1
    assert "tick.SH.1" in hole.reason


def test_volume_that_rises_by_more_than_the_tick_is_a_hole_of_that_code() -> None:
    """With the shares that were missed; a rise by exactly the tick's volume is none."""
    volumes = CumulativeVolumes()
    assert volumes.came([traded("600519", None, 10_000), traded("000001", None, 500)], 1) == []
    assert volumes.came([traded("600519", 300, 10_300)], 2) == []
    (hole,) = volumes.came([traded("600519", 200, 11_700), traded("000001", 100, 600)], 3)
    assert (hole.start, hole.end, hole.codes, hole.detected, hole.missed) == (2, 3, ["600519"], "volume", 1_200)


def test_rounding_to_lots_and_a_new_day_are_no_holes() -> None:
    """A figure that falls begins anew; less than a lot is the feed's rounding; what is not carried says nothing."""
    volumes = CumulativeVolumes()
    volumes.came([traded("688981", 250, 1_000)], 1)
    assert volumes.came([traded("688981", 201, 1_300)], 2) == []
    assert volumes.came([traded("688981", 100, 100)], 3) == []
    assert volumes.came([traded("688981", 900, None)], 4) == []
    assert volumes.came([traded("688981", 100, 200)], 5) == []


def test_what_a_first_tick_skipped_is_summed_and_no_second_hole() -> None:
    """After a reconnection the gap is announced already; the shares that traded in it are known."""
    volumes = CumulativeVolumes()
    volumes.came([traded("600519", 100, 1_000)], 1)
    assert volumes.came([traded("600519", None, 5_000)], 2) == []
    assert volumes.missed == 4_000


def test_holes_by_volume_in_one_frame_are_one() -> None:
    """A lost frame of a whole market is one gap of all its codes, not thousands."""
    volumes = CumulativeVolumes()
    volumes.came([traded("600519", 100, 1_000), traded("000001", 100, 1_000)], 1)
    holes = volumes.came([traded("600519", 100, 2_000), traded("000001", 100, 1_500)], 9)
    other = Gap(1, 2, "all", "sequence", "packet 3 did not come")
    first, second = merged([*holes, other])
    assert first is other
    assert (second.codes, second.missed, second.start, second.end) == (["600519", "000001"], 1_300, 1, 9)


def test_a_late_push_with_a_lower_figure_says_nothing_of_the_next() -> None:
    """Adapters give it no volume; the next push is compared with what was highest."""
    volumes = CumulativeVolumes()
    volumes.came([FeedTick("600519", "SSE", 10.0, 3_000, volume=None, cumulative=1_000)], 1)
    assert volumes.came([FeedTick("600519", "SSE", 10.0, 2_000, volume=None, cumulative=400)], 2) == []
    assert volumes.came([FeedTick("600519", "SSE", 10.0, 4_000, volume=300, cumulative=1_300)], 3) == []
