"""Fetching that has stopped is told from a log without new records, and from partitions that something holds back."""

from __future__ import annotations

import time

from faust.types import TP

from broker.probe import Found, LogId, ProbeError
from processors.streaming.logs import FETCH_SECONDS, STALE_SECONDS, LogWatch, Unfetched

FIRST, SECOND = TP("ticks", 0), TP("ticks", 1)
PLACES = {FIRST: 10, SECOND: 10}


def test_a_partition_that_ends_behind_its_place_and_stands_still_is_stuck() -> None:
    """Only after a while; the oldest is named."""
    unfetched = Unfetched()
    ends: dict[tuple[str, int], int] = {FIRST: 12, SECOND: 10}
    assert unfetched.look(PLACES, ends, 0.0) is None
    assert unfetched.look(PLACES, ends, FETCH_SECONDS - 1) is None
    assert "ticks/0 ends at 12, and nothing has come behind 10" in str(unfetched.look(PLACES, ends, FETCH_SECONDS + 1))


def test_what_moves_is_not_stuck_however_far_behind() -> None:
    """A fetch every few seconds is enough."""
    unfetched = Unfetched()
    for turn in range(100):
        assert unfetched.look({FIRST: turn}, {FIRST: 10**6}, turn * FETCH_SECONDS / 2) is None


def test_what_is_held_back_or_through_or_unknown_is_not_stuck() -> None:
    """And time counts from when it is no more."""
    unfetched = Unfetched()
    ends: dict[tuple[str, int], int] = {FIRST: 12}
    assert unfetched.look(PLACES, ends, 0.0) is None
    assert unfetched.look({}, ends, 50.0) is None
    assert unfetched.look(PLACES, ends, 100.0) is None
    assert unfetched.look(PLACES, {}, 150.0) is None
    assert unfetched.look(PLACES, ends, 200.0) is None
    assert unfetched.look(PLACES, ends, 200.0 + FETCH_SECONDS + 1) is not None


def test_a_new_client_is_tried_once_for_what_stands_still() -> None:
    """If that does not help, only a new process may; what came on in between may be helped again."""
    unfetched = Unfetched()
    unfetched.look({FIRST: 10}, {FIRST: 12}, 0.0)
    assert unfetched.first_time()
    assert not unfetched.first_time()
    unfetched.look({FIRST: 11}, {FIRST: 12}, 1.0)
    assert unfetched.first_time()


class Answers:
    """Stands where brokers are asked."""

    def __init__(self) -> None:
        """They answer."""
        self.away = False

    def find(self, topics: list[str]) -> Found:
        """One log for each."""
        if self.away:
            raise ProbeError("refused")
        return Found("cluster", {topic: LogId("cluster", topic) for topic in topics}, {})

    def ends(self, _found: Found, topics: list[str]) -> dict[tuple[str, int], int]:
        """All at 7."""
        return {(topic, 0): 7 for topic in topics}


def test_what_the_brokers_told_too_long_ago_says_nothing_and_their_silence_is_told() -> None:
    """A broker that is away makes no fetch stuck; that it is away is a complaint of its own."""
    answers, seen = Answers(), list[Found]()
    watch = LogWatch(answers, ["ticks", "events"], ["ticks"], seen.append)  # type: ignore[arg-type]
    watch.look()
    now = time.monotonic()
    assert watch.ends(now) == {FIRST: 7}
    assert watch.silence(now) is None
    assert set(seen[0].logs) == {"ticks", "events"}
    answers.away = True
    watch.look()
    assert watch.ends(now + STALE_SECONDS + 1) == {}
    assert "no broker has told" in str(watch.silence(now + STALE_SECONDS + 1))
    assert len(seen) == 1
