"""Pauses of a partition while ticks of it wait."""

from __future__ import annotations

from selfcheck.pauses import Pause, Pauses


def watched(*looks: tuple[float, int, int]) -> Pause | None:
    """The longest pause of one group and partition, by time, end of the topic and committed position."""
    pauses = Pauses()
    for now, end, position in looks:
        pauses.look(now, {3: end}, {"g": {3: position}})
    return pauses.longest


def test_a_partition_without_a_tick_that_waits_does_not_pause() -> None:
    assert watched((100.0, 0, 0), (200.0, 0, 0), (300.0, 5, 5), (400.0, 5, 5), (400.2, 9, 9)) is None


def test_a_pause_lasts_from_the_look_before_its_first_tick_to_the_look_that_shows_progress() -> None:
    """So it is never taken for shorter than it was."""
    found = watched((100.0, 0, 0), (100.2, 5, 0), (107.0, 9, 0), (107.5, 9, 9), (200.0, 9, 9))
    assert found == Pause(7.5, "g", 3, 0.0)


def test_each_step_of_progress_ends_a_pause_and_begins_the_next_where_ticks_still_wait() -> None:
    """The next one begins with the look before the one that showed the step."""
    found = watched((100.0, 50, 0), (101.0, 50, 1), (104.0, 50, 1), (108.0, 50, 1), (108.5, 50, 2))
    assert found == Pause(8.5, "g", 3, 0.0)


def test_a_pause_that_did_not_end_counts_as_far_as_it_was_seen() -> None:
    found = watched((10.0, 3, 3), (20.0, 4, 3), (25.0, 4, 3))
    assert found == Pause(15.0, "g", 3, 0.0)


def test_a_position_that_falls_is_no_progress_until_it_is_above_its_highest_again() -> None:
    """A worker that reads again what was done before makes nothing that a reader did not have."""
    found = watched((1.0, 9, 5), (2.0, 9, 6), (3.0, 9, 2), (4.0, 9, 4), (5.0, 9, 6), (6.0, 9, 7))
    assert found is not None
    assert found.seconds == 5.0


def test_each_group_has_its_own_longest_pause() -> None:
    """A group that commits does not hide one that stands; where nothing is committed all ticks wait."""
    pauses = Pauses()
    for now, position in ((0.0, 1), (1.0, 2), (2.0, 3), (3.0, 4)):
        pauses.look(now, {0: 9}, {"changes": {0: position}, "storage": {}})
    assert {group: pause.seconds for group, pause in pauses.by_group.items()} == {"changes": 2.0, "storage": 3.0}
    assert pauses.longest == Pause(3.0, "storage", 0, 0.0)
