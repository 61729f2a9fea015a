"""The token bucket and the outbox: when a frame may go, on an injected clock."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from producer.line.pacing import Outbox, TokenBucket


def sent(outbox: Outbox, until: float, now: float = 0.0) -> list[tuple[float, str | bytes]]:
    """Everything that goes by a time, and when, by a sender that waits as it is told."""
    gone = []
    while now <= until:
        wait = outbox.wait(now)
        if wait is None:
            break
        now += wait
        message = outbox.next(now)
        if message is not None:
            gone.append((now, message))
        elif wait == 0:
            now += 1e-6
    return gone


@given(st.integers(1, 70), st.sampled_from([1.0, 60.0]), st.lists(st.floats(0, 30, allow_nan=False), max_size=30))
def test_no_stretch_of_time_sees_more_than_the_provider_takes(messages: int, seconds: float, idle: list[float]) -> None:
    """However long the line was idle before: a full bucket's burst counts against the rate that follows it."""
    bucket = TokenBucket(messages, seconds)
    now, times = 0.0, []
    for pause in [*idle, *[0.0] * 80]:
        now += pause
        now += bucket.wait(now)
        bucket.take(now)
        times.append(now)
    for i, begin in enumerate(times):
        within = [t for t in times[i:] if t < begin + seconds - 1e-6]
        assert len(within) <= messages


def test_messages_keep_their_distance() -> None:
    """AllTick wants a second between two requests on a connection; the first goes at once."""
    outbox = Outbox([TokenBucket(apart=1.0)])
    outbox.ask(["a", "b", "c"])
    assert sent(outbox, 10) == [(0.0, "a"), (1.0, "b"), (2.0, "c")]
    assert outbox.idle


def test_lines_of_one_token_share_a_bucket() -> None:
    """Their requests are apart as well, whichever line asks."""
    shared = TokenBucket(apart=3.0)
    first, second = Outbox([TokenBucket(apart=1.0), shared]), Outbox([TokenBucket(apart=1.0), shared])
    first.ask(["a"])
    second.ask(["b"])
    assert first.next(0.0) == "a"
    assert second.next(0.0) is None
    assert second.wait(0.0) == 3.0
    assert second.next(3.0) == "b"


def test_heartbeats_do_not_crowd_what_lines_share() -> None:
    """Ten lines beat every ten seconds: the three seconds between two requests of a token are not for that."""
    shared = TokenBucket(apart=3.0)
    first, second = (Outbox([TokenBucket(apart=1.0)], [shared]) for _ in range(2))
    first.ask(["a"])
    assert first.next(0.0) == "a"
    second.ask(["b"])
    second.beat("ping")
    assert second.next(0.0) == "ping"
    assert second.next(2.0) is None
    assert second.next(3.0) == "b"


def test_a_heartbeat_goes_first_and_counts() -> None:
    """Forty chunks of a subscription do not keep a connection from its heartbeat, and the bucket counts that too."""
    outbox = Outbox([TokenBucket(apart=1.0)])
    outbox.ask(["a", "b"])
    assert outbox.next(0.0) == "a"
    outbox.beat("ping")
    outbox.beat("ping")
    assert sent(outbox, 10, now=0.0) == [(1.0, "ping"), (2.0, "b")]


def test_a_provider_that_throttles_is_left_alone_for_so_long() -> None:
    """No request goes before the time, and none is lost; heartbeats go on, or the provider would cut the line."""
    outbox = Outbox([TokenBucket()])
    outbox.ask(["a"])
    outbox.hold(5.0)
    outbox.beat("ping")
    assert outbox.next(4.8) == "ping"
    assert outbox.next(4.9) is None
    assert sent(outbox, 10) == [(5.0, "a")]


def test_a_turn_that_is_booked_is_taken() -> None:
    """Two lines of one token that reconnect at once dial one after the other."""
    dials = TokenBucket(apart=3.0)
    assert [dials.book(now) for now in (0.0, 0.5, 1.0, 20.0)] == [0.0, 2.5, 5.0, 0.0]


def test_a_list_that_was_replaced_is_not_sent_any_more() -> None:
    """Requests that still wait can be dropped; the heartbeat stays."""
    outbox = Outbox([TokenBucket()])
    outbox.ask(["old"])
    outbox.beat("ping")
    outbox.drop_requests()
    assert sent(outbox, 1) == [(0.0, "ping")]


@pytest.mark.parametrize("apart", [0.0, 0.5])
def test_without_a_limit_everything_goes_at_once(apart: float) -> None:
    """The post's protocol knows no rate."""
    outbox = Outbox([TokenBucket(apart=apart)])
    outbox.ask([str(i) for i in range(3)])
    assert [t for t, _ in sent(outbox, 10)] == [0.0, apart, 2 * apart]
