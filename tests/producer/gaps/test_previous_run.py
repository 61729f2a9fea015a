"""A run is above every one before it, and tells of what nobody received since the last one ended without a word."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from websockets.asyncio.server import ServerConnection

from broker.publisher import Publisher
from deploy.embedded import KafkaBroker
from producer.gaps import previous_run
from producer.gaps.previous_run import History, PreviousRun, run_after
from producer.pipeline.event import Event
from schemas import FeedEvent, Tick, UsageError, encode
from schemas.bounds import RUN_AHEAD_MS
from schemas.topics import FEED_EVENTS, TICKS, partition_of, topics
from tests.producer.pipeline.test_redundancy import Two

NOW = 1_795_138_200_000
SECOND = 1_000_000
LINE = "line"


def said(event: Any, run: int, *, n: int = 0, at: int = 1, **more: Any) -> bytes:
    """An event of a line."""
    return encode(FeedEvent(event, LINE, run, n, at, **more))


def came(n: int, received: int | None = None, *, run: int = 1, source: str = LINE) -> Tick:
    """A tick of a line, received at so many s where nothing else is said."""
    return Tick("600519", "SSE", 10.0, NOW, n * SECOND if received is None else received, source, run, n)


def history(*events: bytes, tails: dict[int, list[Tick]] | None = None, entire: bool = True) -> PreviousRun | None:
    """What follows from events and from the tail of each partition."""
    made = History([LINE])
    made.events(events)
    for partition, ticks in (tails or {}).items():
        made.ticks(partition, ticks)
    made.looked(set(tails or ()) if entire else set())
    return made.previous_runs().get(LINE)


def since(*events: bytes, tails: dict[int, list[Tick]] | None = None, entire: bool = True) -> int | None:
    """From when on ticks are missing."""
    found = history(*events, tails=tails, entire=entire)
    assert found is not None
    return found.since


def test_a_source_without_a_past_has_no_previous_run() -> None:
    """Whatever other lines are in the topics."""
    other = encode(FeedEvent("started", "other", 9, 0, 1))
    assert history(other, b"nonsense", tails={0: [came(1, source="other")]}) is None


def test_a_clean_stop_leaves_nothing_to_tell() -> None:
    """Its last event is ``stopped``, and the tick that it names last is in the log."""
    events = said("started", 1), said("subscribed", 1), said("stopped", 1, n=3)
    assert history(*events, tails={0: [came(1), came(3)], 1: [came(2)]}) == PreviousRun(1)
    assert history(*events) == PreviousRun(1)


def test_a_stop_that_could_not_deliver_all_is_none() -> None:
    """The event went out and the ticks before it did not."""
    events = said("started", 1), said("subscribed", 1), said("stopped", 1, n=5)
    assert since(*events, tails={0: [came(1), came(3)], 1: [came(2)]}) == 3 * SECOND


def test_a_kill_leaves_a_gap_from_the_last_tick_that_none_is_missing_before() -> None:
    """One partition's last batch was acknowledged, and another's was not."""
    events = said("started", 1), said("connected", 1), said("subscribed", 1)
    assert since(*events, tails={0: [came(1), came(3)], 1: [came(2), came(4)]}) == 4 * SECOND
    assert since(*events, tails={0: [came(1), came(3), came(7)], 1: [came(2)]}) == 3 * SECOND


def test_a_run_whose_first_ticks_are_missing_is_missing_from_its_beginning() -> None:
    """Nothing of it is known to be whole."""
    events = said("started", 1, at=SECOND), said("subscribed", 1, at=2 * SECOND)
    assert since(*events, tails={0: [came(5), came(6)], 1: [came(4)]}) == SECOND
    # Seen from somewhere in the middle, or with its beginning taken by retention, it is whole as far as is known.
    assert since(*events, tails={0: [came(5), came(6)], 1: [came(4)]}, entire=False) == 6 * SECOND


def test_what_lies_before_the_window_is_no_hole() -> None:
    """Of a partition whose tail begins later than another's, less is known."""
    tails = {0: [came(1), came(5), came(9)], 1: [came(8), came(10)]}
    assert since(said("subscribed", 1), tails=tails, entire=False) == 10 * SECOND


def test_a_run_that_had_no_time_to_tell_leaves_it_to_the_next() -> None:
    """Killed twice: the second was killed before it could say what is missing since the first."""
    events = said("started", 1), said("subscribed", 1), said("started", 2)
    assert since(*events, tails={0: [came(1), came(2)]}) == 2 * SECOND
    # It brought ticks, and its events were lost: when the first was heard of last must do.
    later = *events, said("connected", 2, at=9 * SECOND)
    assert since(*later, tails={0: [came(1), came(2), came(1, 8 * SECOND, run=2)]}) == 1
    told = *events, said("gap", 2, detected="killed", start=2 * SECOND, end=3 * SECOND)
    assert since(*told, tails={0: [came(1), came(1, 8 * SECOND, run=2)]}) == 8 * SECOND


def test_ticks_without_events_are_a_past_too() -> None:
    """The topic of feed events was deleted, or keeps less."""
    found = history(tails={0: [came(4, run=7)]})
    assert found is not None
    assert (found.run, found.since) == (7, 4 * SECOND)


def test_a_kill_before_the_first_subscription_missed_nothing() -> None:
    """There was nothing to miss."""
    assert since(said("started", 1), said("connected", 1)) is None


@given(
    st.lists(st.tuples(st.integers(0, 2), st.integers(0, 3)), min_size=1, max_size=60),
    st.lists(st.integers(0, 60), min_size=3, max_size=3),
    st.lists(st.integers(1, 60), min_size=3, max_size=3),
)
def test_no_tick_that_is_missing_was_received_before_the_gap(
    sent: list[tuple[int, int]], acknowledged: list[int], widths: list[int]
) -> None:
    """Whatever each partition had acknowledged when the kill came; where the whole tail is seen."""
    partitions: dict[int, list[Tick]] = {0: [], 1: [], 2: []}
    at = 0
    for n, (partition, pause) in enumerate(sent, 1):
        at += pause * SECOND
        partitions[partition].append(came(n, at))
    kept = {partition: ticks[: acknowledged[partition]] for partition, ticks in partitions.items()}
    lost = [tick for partition, ticks in partitions.items() for tick in ticks[acknowledged[partition] :]]
    if not any(kept.values()):
        return
    begin = since(said("subscribed", 1, at=0), tails=kept)
    assert begin is not None
    assert all(begin <= tick.received for tick in lost)
    assert begin <= max(1, at)
    # Seen through windows that do not reach the beginning, it is never later than the last tick that is there.
    seen = {partition: ticks[-widths[partition] :] for partition, ticks in kept.items()}
    assert (since(said("subscribed", 1), tails=seen, entire=False) or 0) <= max(
        tick.received for ticks in seen.values() for tick in ticks
    )


def test_a_run_is_above_every_one_before_it_whatever_the_clock_says() -> None:
    """The clock where it is higher; else the next number, up to a day."""
    assert run_after({}, NOW) == NOW
    assert run_after({"a": PreviousRun(NOW - 5), "b": PreviousRun(NOW - 9)}, NOW) == NOW
    assert run_after({"a": PreviousRun(NOW), "b": PreviousRun(NOW - 9)}, NOW) == NOW + 1
    assert run_after({"a": PreviousRun(NOW + RUN_AHEAD_MS)}, NOW) == NOW + RUN_AHEAD_MS + 1


@pytest.mark.parametrize("run", [NOW + RUN_AHEAD_MS + 1, 2**53, 2**63 - 1])
def test_a_run_of_another_world_is_refused_with_the_way_out(run: int) -> None:
    """Its clock, or this one, is wrong by more than a step: nobody but the operator knows which."""
    with pytest.raises(
        UsageError, match=r"--source a: .*2026-11-20 09:30:00 in Shanghai: set the clock right.*another --source"
    ):
        run_after({"a": PreviousRun(run)}, NOW)


def test_a_stream_of_one_line_or_of_two_tells_of_it_once() -> None:
    """With its first subscription, for its codes; changes of the list, and connections after it, are another matter."""
    two, alone = Two(), Two()
    two.events.previous = PreviousRun(5, 7 * SECOND, "killed")
    two.both_up()
    (gap,) = [event for event in two.kept.events if event.event == "gap"]
    assert two.kept.happenings == ["started", "connected", "subscribed", "gap", "connected"]
    assert (gap.start, gap.codes, gap.detected, gap.reason) == (7 * SECOND, ["600519"], "killed", "killed")
    assert gap.end is not None
    assert gap.end >= gap.at - 60 * SECOND

    alone.events.previous = PreviousRun(5, 7 * SECOND, "killed")
    for _ in range(2):
        alone.events.publish(Event("subscribed", 0, codes="all"))
        alone.events.publish(Event("resubscribed", 0, codes="all"))
    assert alone.kept.happenings == ["subscribed", "gap", "resubscribed", "subscribed", "resubscribed"]

    clean = Two()
    clean.events.previous = PreviousRun(5)
    clean.events.publish(Event("subscribed", 0, codes="all"))
    assert clean.kept.happenings == ["subscribed"]


def test_a_clock_that_stepped_back_turns_no_gap_round() -> None:
    """It covers what lies between the two times."""
    two = Two()
    ahead = time.time_ns() // 1000 + 3_600 * SECOND
    two.events.previous = PreviousRun(5, ahead, "killed")
    two.both_up()
    (gap,) = [event for event in two.kept.events if event.event == "gap"]
    assert gap.end == ahead
    assert gap.start is not None
    assert gap.start < ahead - 3_500 * SECOND


# -- on a real Kafka ---------------------------------------------------------------------------------------------------

Held = Callable[..., Awaitable[Any]]


@contextlib.asynccontextmanager
async def producing(*options: str) -> AsyncIterator[asyncio.subprocess.Process]:
    """``ashare produce`` as a process of its own, killed at the end if it still runs."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("ASHARE_")}
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "cli", "produce", *options), env=clean, stderr=asyncio.subprocess.PIPE
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


@contextlib.asynccontextmanager
async def writing(bootstrap: str) -> AsyncIterator[Publisher]:
    """Writes records that a producer of before might have left."""
    publisher = Publisher(bootstrap, client_id="test")
    await publisher.start(TICKS, FEED_EVENTS)
    yield publisher
    await publisher.stop()


def pause(kafka: KafkaBroker, number: signal.Signals) -> None:
    """Have the broker stop answering, or go on."""
    assert kafka.process is not None
    kafka.process.send_signal(number)


@pytest.mark.timeout(300)
async def test_a_killed_producer_s_tail_lies_in_the_gap_that_the_next_announces(
    kafka: KafkaBroker, bootstrap: str, source: str, post: Any, held: Held
) -> None:
    """Of a kill while Kafka does not answer; the next one stops cleanly, and the one after it has nothing to tell."""
    sent: list[int] = []

    async def push(server: ServerConnection) -> None:
        while True:
            sent.append(time.time_ns() // 1000)
            tick = {"code": f"60{len(sent) % 30:04d}", "price": 10.5, "time": 1_795_138_201, "seq": len(sent)}
            await server.send(post.frame(tick))
            await asyncio.sleep(0.005)

    async with post.Server(push) as feed:
        options = ("--bootstrap", bootstrap, "--url", feed.url, "--source", source)
        async with producing(*options) as process:
            await post.until(lambda: len(sent) > 100, seconds=60)
            pause(kafka, signal.SIGSTOP)
            try:
                stopped = len(sent)
                await post.until(lambda: len(sent) > stopped + 100)
                process.kill()
                await process.wait()
            finally:
                pause(kafka, signal.SIGCONT)
        before = await held()
        for _ in range(2):
            count = len(sent)
            async with producing(*options) as process:
                await post.until(lambda many=count: len(sent) > many + 100, seconds=60)
                process.send_signal(signal.SIGTERM)
                _, log = await asyncio.wait_for(process.communicate(), 60)
                assert process.returncode == 0, log.decode()
    found = await held()
    (gap,) = [event for event in found.events if event.event == "gap"]
    assert (gap.detected, gap.codes) == ("killed", "all")
    assert gap.start == before.ticks[-1].received
    assert "nothing is known to be missing up to n" in gap.reason
    seqs = {tick.seq for tick in found.ticks}
    first = min(tick.seq for tick in found.ticks if tick.run == gap.run)
    lost = [at for seq, at in enumerate(sent, 1) if seq not in seqs and seq < first]
    assert lost
    assert all(gap.start - 100_000 <= at <= gap.end for at in lost)
    runs = sorted({event.run for event in found.events})
    assert len(runs) == 3
    assert found.happenings[-4:] == ["started", "connected", "subscribed", "stopped"]


async def test_a_run_ahead_of_the_clock_is_followed_by_one_above_it(
    bootstrap: str, source: str, post: Any, held: Held
) -> None:
    """A clock that stepped back by an hour, or a fail-over to a slower host: no tick of the new run is a repeat."""
    ahead = time.time_ns() // 1_000_000 + 3_600_000
    async with writing(bootstrap) as publisher:
        stopped = FeedEvent("stopped", source, ahead, 0, ahead * 1000, id=f"{source}/{ahead}/1")
        publisher.queue(FEED_EVENTS, 0).add(source.encode(), encode(stopped), time.time_ns() // 1_000_000)

    async def push(server: ServerConnection) -> None:
        await server.send(post.frame({"code": "600519", "price": 10.5, "time": 1_795_138_201}))
        pushed.set()
        await server.wait_closed()

    pushed = asyncio.Event()
    async with (
        post.Server(push) as feed,
        producing("--bootstrap", bootstrap, "--url", feed.url, "--source", source) as process,
    ):
        await asyncio.wait_for(pushed.wait(), 60)
        process.send_signal(signal.SIGTERM)
        await asyncio.wait_for(process.communicate(), 60)
    found = await held()
    assert {tick.run for tick in found.ticks} == {ahead + 1}
    assert {event.run for event in found.events} == {ahead, ahead + 1}


async def test_a_run_of_days_ahead_stops_the_start(bootstrap: str, source: str, post: Any) -> None:
    """Exit code 2 and one line that names the fix; the feed was not dialled."""
    # As far ahead as a run may be: a day after its receipt, and that less than an hour after its record's date.
    now = time.time_ns() // 1_000_000
    received, ahead = now + 50 * 60_000, now + 86_400_000 + 40 * 60_000
    async with writing(bootstrap) as publisher:
        tick = Tick("600519", "SSE", 10.0, received, received * 1000, source, ahead, 1)
        partition = partition_of("600519", topics()[TICKS].partitions)
        publisher.queue(TICKS, partition).add(b"600519", encode(tick), time.time_ns() // 1_000_000)
    async with (
        post.Server(post.stay) as feed,
        producing("--bootstrap", bootstrap, "--url", feed.url, "--source", source) as process,
    ):
        _, log = await asyncio.wait_for(process.communicate(), 60)
    assert process.returncode == 2
    assert f"--source {source}" in log.decode().splitlines()[-1]
    assert "Traceback" not in log.decode()
    assert not feed.requests


async def test_looking_back_is_bounded_and_needs_no_topic(
    bootstrap: str, source: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A source that nobody knows; topics that are not there; and no time at all."""
    assert await previous_run.look(bootstrap, [source]) == {}
    assert await previous_run.look(bootstrap, [source], patience=0.0) == {}
    monkeypatch.setattr(previous_run, "TICKS", "no.such.topic")
    monkeypatch.setattr(previous_run, "FEED_EVENTS", "nor.this.one")
    assert await previous_run.look(bootstrap, [source]) == {}


async def test_a_tail_behind_many_others_is_found(bootstrap: str, source: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another line's ticks and events came after it: windows widen until it is there."""
    monkeypatch.setattr(previous_run, "_TICKS_FIRST", 8)
    monkeypatch.setattr(previous_run, "_EVENTS_FIRST", 8)
    run = time.time_ns() // 1_000_000 - 5_000
    async with writing(bootstrap) as publisher:
        for event in ("started", "subscribed"):
            publisher.queue(FEED_EVENTS, 0).add(b"k", encode(FeedEvent(event, source, run, 0, run * 1000)), run)
        for n in range(1, 41):
            queue = publisher.queue(TICKS, n % 2)
            queue.add(b"k", encode(Tick("600519", "SSE", 10.0, run, run * 1000 + n, source, run, n)), run)
        for n in range(1, 501):
            other = f"{source}-other"
            queue = publisher.queue(TICKS, n % 2)
            queue.add(b"k", encode(Tick("600519", "SSE", 10.0, run, run * 1000 + n, other, run, n)), run)
            publisher.queue(FEED_EVENTS, 0).add(b"k", encode(FeedEvent("connected", other, run, n, run * 1000)), run)
    found = (await previous_run.look(bootstrap, [source]))[source]
    assert (found.run, found.since) == (run, run * 1000 + 40)
