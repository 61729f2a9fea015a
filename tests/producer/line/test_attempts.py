"""Failures that mean little alone, and much one after the other."""

from __future__ import annotations

from producer.line.attempts import MOST_TAKEOVERS, SILENT_CLOSES_SECONDS, SilentCloses, Takeovers


def test_only_rapid_takeovers_in_a_row_are_two_producers() -> None:
    """Once in a while somebody logs in elsewhere; a connection that lives begins the count anew."""
    takeovers = Takeovers()
    assert [takeovers.taken_over(1.0) for _ in range(MOST_TAKEOVERS)] == [False] * (MOST_TAKEOVERS - 1) + [True]
    takeovers.reset()
    assert not any(takeovers.taken_over(3_600.0) for _ in range(20))


def test_a_feed_that_closes_every_connection_without_a_word_refuses_the_token() -> None:
    """For longer than any server counts a dead connection, and several times; a word in between begins anew."""
    closes = SilentCloses()
    times = (0.0, 1.0, 3.0, 7.0, 15.0, 31.0, SILENT_CLOSES_SECONDS - 0.1)
    assert not any(closes.refused(at, silent=True) for at in times)
    assert closes.refused(SILENT_CLOSES_SECONDS, silent=True)
    assert not closes.refused(SILENT_CLOSES_SECONDS + 1, silent=False)
    assert not closes.refused(SILENT_CLOSES_SECONDS + 2, silent=True)
    rare = SilentCloses()
    assert not any(rare.refused(at, silent=True) for at in (0.0, 100.0, 200.0))
    assert rare.refused(300.0, silent=True)
