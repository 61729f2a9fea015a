"""A line's life against a provider that plays a script: login, subscription, heartbeat, silence, loss, change."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from websockets.asyncio.server import ServerConnection

from market.times import parse_time
from producer.line import driver, unseen, watchdog
from producer.line.backoff import Backoff
from producer.line.driver import Line
from producer.line.endpoint import Endpoint
from producer.line.heartbeat import Heartbeat
from producer.line.pacing import Pace, TokenBucket
from producer.supervisor import Supervisor
from producer.watchlist.dealing import Dealer
from schemas import UsageError
from tests.producer.line.living import ACK, NOON, Running, it_is, pushing, stay
from tests.producer.scripted import Provider, Remembered, ScriptedFeed, says


async def test_nothing_is_subscribed_before_the_login_is_answered(start: Callable[..., Running], post: Any) -> None:
    """As with Massive; the greeting goes first."""

    async def script(server: ServerConnection) -> None:
        await asyncio.sleep(0.1)
        assert provider.words(0) == ["login s3cret"]
        await says(server, answers=[{"kind": "logged_in"}])
        await stay(server)

    async with Provider(script) as provider:
        start(provider.url, logged_in_by_answer=True)
        await post.until(lambda: provider.heard and len(provider.heard[0]) >= 2)
        assert provider.words(0) == ["login s3cret", "+a,b"]


async def test_a_login_without_an_answer_is_tried_again(
    start: Callable[..., Running], post: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A server that takes the connection and says nothing."""
    monkeypatch.setattr(watchdog, "LOGIN_SECONDS", 0.2)
    async with Provider(stay) as provider:
        running = start(provider.url, logged_in_by_answer=True)
        await post.until(lambda: len(provider.heard) >= 2)
        await running.finish()
    assert "login" in running.pipeline.of("disconnected")[0]["reason"]


async def test_a_gap_ends_when_every_chunk_is_acknowledged(start: Callable[..., Running], post: Any) -> None:
    """Not with the first ticks: the last chunk's codes may not be subscribed yet."""

    async def first(server: ServerConnection) -> None:
        await says(server, answers=[ACK, ACK, ACK])
        await says(server, ticks=[("a", NOON)])
        await asyncio.sleep(0.1)
        server.transport.abort()

    async def second(server: ServerConnection) -> None:
        await post.until(lambda: len(provider.heard[1]) == 3)
        await says(server, answers=[ACK, ACK])
        await says(server, ticks=[("a", NOON)])
        await asyncio.sleep(0.1)
        assert "resubscribed" not in running.pipeline.happenings
        await says(server, answers=[ACK])
        await stay(server)

    async with Provider(first, second) as provider:
        running = start(provider.url, "abcde", codes_per_message=2)
        await post.until(lambda: running.pipeline.gaps)
        await running.finish()
    assert provider.words(1) == ["+a,b", "+c,d", "+e"]
    (hole,) = running.pipeline.gaps
    assert (hole.codes, hole.detected) == (list("abcde"), "disconnect")
    assert running.pipeline.happenings[-3:] == ["resubscribed", "gap", "stopped"]
    assert running.pipeline.of("disconnected")[0]["start"] == hole.start
    assert running.pipeline.of("gap")[0]["n"] == 2


async def test_without_acknowledgements_ticks_or_time_confirm(
    start: Callable[..., Running], post: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Silence at night is no reason to think that nothing was subscribed."""
    monkeypatch.setattr(watchdog, "ANSWER_SECONDS", 0.1)
    async with Provider(stay) as provider:
        running = start(provider.url, acknowledgement="none")
        await post.until(lambda: running.line.state == "subscribed")
        await running.finish()
    assert running.pipeline.of("subscribed")[0]["codes"] == ["a", "b"]


async def test_refused_codes_are_announced_and_the_others_live(start: Callable[..., Running], post: Any) -> None:
    """By the refusal's own words, and by what a full acknowledgement does not list."""
    refusal = {"kind": "refused", "codes": ["b"]}
    whole = {"kind": "subscribed", "codes": ["a"], "whole": True}

    async def script(server: ServerConnection) -> None:
        await post.until(lambda: len(provider.heard[0]) == 2)
        await says(server, answers=[refusal, whole])
        await stay(server)

    async with Provider(script) as provider:
        running = start(provider.url, "abc", acknowledgement="whole", codes_per_message=2)
        await post.until(lambda: running.line.state == "subscribed")
        await running.finish()
    assert [event["codes"] for event in running.pipeline.of("refused")] == [["b"], ["c"]]
    assert running.pipeline.of("subscribed")[0]["codes"] == ["a"]
    assert running.line.subscription.refused == {"b", "c"}


async def test_a_refused_token_stops_the_line_in_plain_words(start: Callable[..., Running]) -> None:
    """By an answer as by the handshake: asked once, and the secret is not repeated."""
    async with Provider(pushing(answers=({"kind": "unauthorised", "text": "s3cret is not a token"},))) as provider:
        running = start(provider.url)
        with pytest.raises(UsageError, match=r"refused the token \(\*\*\* is not a token\)"):
            await asyncio.wait_for(running.task, 10)
        assert len(provider.heard) == 1
    assert running.pipeline.happenings[-2:] == ["disconnected", "stopped"]


async def test_two_producers_on_one_token_stop(start: Callable[..., Running]) -> None:
    """Taken over as soon as it stands, again and again: both would go on for ever."""

    async def kick(server: ServerConnection) -> None:
        await says(server, answers=[ACK, {"kind": "kicked"}])

    async with Provider(kick) as provider:
        running = start(provider.url)
        with pytest.raises(UsageError, match="two producers on one token"):
            await asyncio.wait_for(running.task, 10)
    assert len(provider.heard) == 5


async def test_a_provider_that_kicks_without_a_word_is_understood(start: Callable[..., Running]) -> None:
    """ITick just closes the older connection; a restart of its server is told by the close code."""

    async def close(server: ServerConnection) -> None:
        await says(server, answers=[ACK])
        await server.close(1000 if len(provider.heard) > 7 else 1012)

    async with Provider(close) as provider:
        running = start(provider.url, second_login="kicks the first")
        with pytest.raises(UsageError, match="two producers"):
            await asyncio.wait_for(running.task, 10)
    assert len(provider.heard) == 12


async def test_a_connection_that_is_refused_for_a_while_comes_through(start: Callable[..., Running], post: Any) -> None:
    """As long as the server still counts the dead one: dropped at once, again and again, and then not."""

    async def drop(server: ServerConnection) -> None:
        await server.close(1013 if len(provider.heard) % 2 else 1008)

    async with Provider(*[drop] * 6, pushing(("a", NOON))) as provider:
        running = start(provider.url, token_refused=frozenset({"close"}))
        await post.until(lambda: running.pipeline.received)
        await running.finish()
    assert len(provider.heard) == 7


async def test_a_throttled_line_waits_as_long_as_it_is_told(start: Callable[..., Running], post: Any) -> None:
    """Before the next request, and before the next connection."""

    async def script(server: ServerConnection) -> None:
        if len(provider.heard) == 1:
            await says(server, answers=[{"kind": "throttled", "wait": 0.6}])
            await asyncio.sleep(0.05)
            server.transport.abort()
        await stay(server)

    async with Provider(script) as provider:
        start(provider.url)
        await post.until(lambda: len(provider.opened) == 2)
    assert provider.opened[1] - provider.opened[0] >= 0.6


async def test_every_frame_goes_through_the_bucket(start: Callable[..., Running], post: Any) -> None:
    """Heartbeats and chunks together keep the provider's distance: so many take so long."""
    async with Provider(pushing(answers=(ACK, ACK, ACK))) as provider:
        start(
            provider.url,
            "abcdef",
            {"buckets": [TokenBucket(apart=0.15)], "heartbeat": 30.0},
            codes_per_message=2,
            heartbeat_seconds=0.4,
        )
        await post.until(lambda: provider.heard and len(provider.heard[0]) >= 6)
        words = provider.words(0)
        took = provider.heard[0][len(words) - 1][0] - provider.opened[0]
    assert [word for word in words if word != "beat"] == ["+a,b", "+c,d", "+e,f"]
    assert words.count("beat") >= 2
    assert took > (len(words) - 1) * 0.15 - 0.02


def test_a_heartbeat_without_a_reply_is_no_sign_of_death() -> None:
    """Infoway answers none; where protocol pings or replies are due, their absence is one."""
    feed = ScriptedFeed(heartbeat_seconds=30.0, protocol_pings=False).capabilities
    assert Heartbeat(feed, Pace(), 0.0).limit == 0
    assert Heartbeat(feed, Pace(), 0.0).wait(10.0) == 20.0
    replying = ScriptedFeed(heartbeat_seconds=10.0, heartbeat_reply=True, protocol_pings=False).capabilities
    assert Heartbeat(replying, Pace(), 0.0).limit == 30.0
    pinging = ScriptedFeed().capabilities
    assert Heartbeat(pinging, Pace(heartbeat=20.0), 0.0).limit == 60.0
    assert Heartbeat(pinging, Pace(heartbeat=0.0), 0.0).wait(0.0) is None


async def test_silence_in_a_session_is_a_gap_from_the_last_tick_on(
    start: Callable[..., Running], post: Any, in_session: None
) -> None:
    """An error frame and then nothing, while heartbeats are answered: the connection lives, the line does not."""

    async def answering(server: ServerConnection) -> None:
        await says(server, ticks=[("a", NOON)], answers=[ACK])
        if len(provider.heard) == 1:
            while True:
                await asyncio.sleep(0.1)
                await says(server, answers=[{"kind": "pong"}])
        await stay(server)

    async with Provider(answering) as provider:
        running = start(provider.url, None)
        await post.until(lambda: running.pipeline.gaps)
        await running.finish()
    (hole,) = running.pipeline.gaps
    assert (hole.detected, hole.codes) == ("silence", "all")
    assert (hole.end - hole.start) / 1e6 >= 0.8
    assert "no tick of any code" in running.pipeline.of("disconnected")[0]["reason"]


async def test_an_acknowledgement_that_never_leads_to_data_is_noticed(
    start: Callable[..., Running], post: Any, in_session: None
) -> None:
    """The gap goes on: what the acknowledgement ended begins again with it."""

    async def first(server: ServerConnection) -> None:
        await says(server, ticks=[("a", NOON)], answers=[ACK])
        await asyncio.sleep(0.05)
        server.transport.abort()

    async with Provider(first, pushing(), pushing(("a", NOON))) as provider:
        running = start(provider.url, None)
        await post.until(lambda: len(running.pipeline.gaps) == 2)
        await running.finish()
    lost, silent = running.pipeline.gaps
    assert (lost.detected, silent.detected) == ("disconnect", "silence")
    assert silent.start <= lost.end + 5_000


async def test_a_single_code_may_be_silent(start: Callable[..., Running], in_session: None) -> None:
    """It may be suspended."""
    async with Provider(pushing(("a", NOON))) as provider:
        running = start(provider.url, "a")
        await asyncio.sleep(1.5)
        assert len(provider.heard) == 1
        await running.finish()


async def test_a_line_that_another_outruns_is_dialled_again(start: Callable[..., Running], post: Any) -> None:
    """At any time of the day: what the other brings is there to be had."""
    async with Provider(pushing(("a", NOON))) as provider:
        running = start(provider.url, "a")
        await post.until(lambda: running.line.state == "subscribed")
        running.pipeline.outrun = 3.5
        await post.until(lambda: len(provider.heard) == 2)
        running.pipeline.outrun = 0.0
        await post.until(lambda: running.pipeline.gaps)
        await running.finish()
    assert running.pipeline.gaps[0].detected == "silence"


async def test_the_list_changes_on_the_connection(start: Callable[..., Running], post: Any) -> None:
    """Only what comes and goes is asked for; the codes that stay see no gap."""
    async with Provider(pushing(("a", NOON))) as provider:
        running = start(provider.url, "ab")
        await post.until(lambda: running.line.state == "subscribed")
        running.line.want(list("bcd"))
        await post.until(lambda: len(provider.heard[0]) == 3 and len(running.pipeline.of("subscribed")) == 2)
        await running.finish()
    assert provider.words(0) == ["+a,b", "-a", "+c,d"]
    assert [event["codes"] for event in running.pipeline.of("subscribed")] == [["a", "b"], ["b", "c", "d"]]
    assert not running.pipeline.gaps


async def test_another_list_is_announced_when_it_is_in_force(start: Callable[..., Running], post: Any) -> None:
    """Not while its requests wait for their turn, nor before the feed has answered them."""
    acknowledge = asyncio.Event()

    async def script(server: ServerConnection) -> None:
        await says(server, ticks=[("a", NOON)], answers=[ACK])
        await acknowledge.wait()
        await says(server, answers=[ACK])
        await stay(server)

    async with Provider(script) as provider:
        running = start(provider.url, "a", {"buckets": [TokenBucket(apart=0.3)]})
        await post.until(lambda: running.line.state == "subscribed")
        running.line.want(["b"])
        for words in (["+a", "-a"], ["+a", "-a", "+b"]):
            await post.until(lambda words=words: provider.words(0) == words)
            await asyncio.sleep(0.1)
            assert [event["codes"] for event in running.pipeline.of("subscribed")] == [["a"]]
        acknowledge.set()
        await post.until(lambda: len(running.pipeline.of("subscribed")) == 2)
        await running.finish()
    assert running.pipeline.of("subscribed")[1]["codes"] == ["b"]


async def test_changes_that_wait_for_the_bucket_become_one(start: Callable[..., Running], post: Any) -> None:
    """Where the whole list is sent again, once a second at most: the latest list, not each."""
    async with Provider(pushing()) as provider:
        running = start(provider.url, "a", {"buckets": [TokenBucket(apart=0.3)]}, changes="replace")
        await post.until(lambda: running.line.state == "subscribed")
        for codes in ("ab", "abc", "abcd", "bcd"):
            running.line.want(list(codes))
            await asyncio.sleep(0.01)
        await post.until(lambda: provider.words(0)[-1] == "+b,c,d")
        await running.finish()
    assert len(provider.words(0)) <= 3


async def test_a_list_in_the_address_takes_a_new_connection(start: Callable[..., Running], post: Any) -> None:
    """The gap concerns the codes that stay."""
    async with Provider(pushing(("a", NOON))) as provider:
        running = start(provider.url, "ab", changes="reconnect", acknowledgement="none")
        await post.until(lambda: running.line.state == "subscribed")
        running.line.want(list("bc"))
        await post.until(lambda: running.pipeline.gaps)
        await running.finish()
    assert provider.paths == ["/?codes=a,b", "/?codes=b,c"]
    assert running.pipeline.gaps[0].codes == ["b"]


async def test_after_a_loss_the_list_of_that_moment_is_asked_for(start: Callable[..., Running], post: Any) -> None:
    """Not that of the start."""

    async def first(server: ServerConnection) -> None:
        await says(server, ticks=[("a", NOON)], answers=[ACK])
        await post.until(lambda: running.line.state == "subscribed")
        server.transport.abort()
        await post.until(lambda: running.line.state == "waiting")
        running.line.want(list("bc"))

    async with Provider(first, pushing(("b", NOON))) as provider:
        running = start(provider.url, "ab", {"backoff": Backoff(0.5, 0.5)})
        await post.until(lambda: running.pipeline.gaps)
        await running.finish()
    assert provider.words(1) == ["+b,c"]
    assert running.pipeline.gaps[0].codes == ["b"]


async def test_a_line_without_codes_does_not_dial(start: Callable[..., Running], post: Any) -> None:
    """Until some are dealt to it."""
    async with Provider(pushing(("a", NOON))) as provider:
        running = start(provider.url, "")
        await asyncio.sleep(0.1)
        assert (provider.heard, running.line.state) == ([], "idle")
        running.line.want(["a"])
        await post.until(lambda: running.pipeline.received)
        running.line.want([])
        await post.until(lambda: running.line.state == "idle")
        await running.finish()
    assert not running.pipeline.gaps


async def test_a_hole_in_the_packets_is_a_gap(start: Callable[..., Running], post: Any) -> None:
    """With the number of the last tick before it; numbers of another connection say nothing."""

    async def script(server: ServerConnection) -> None:
        await says(server, ticks=[("a", NOON)], packet=7, answers=[ACK])
        await says(server, ticks=[("a", NOON)], packet=8)
        await says(server, ticks=[("a", NOON), ("b", NOON)], packet=11)
        await stay(server)

    async with Provider(script) as provider:
        running = start(provider.url, sequence="packet")
        await post.until(lambda: len(running.pipeline.received) == 4)
        await running.finish()
    (hole,) = running.pipeline.gaps
    assert (hole.detected, hole.codes) == ("sequence", "all")
    assert running.pipeline.of("gap")[0]["n"] == 2


async def test_volume_that_ran_ahead_of_the_ticks_is_a_gap(start: Callable[..., Running], post: Any) -> None:
    """Of the code, with the shares that are missing."""

    async def script(server: ServerConnection) -> None:
        await says(server, ticks=[("a", NOON, None, 1_000)], answers=[ACK])
        await says(server, ticks=[("a", NOON, 100, 1_700)])
        await stay(server)

    async with Provider(script) as provider:
        running = start(provider.url, volume_is="cumulative")
        await post.until(lambda: running.pipeline.gaps)
        await running.finish()
    assert (running.pipeline.gaps[0].codes, running.pipeline.gaps[0].missed) == (["a"], 600)


async def test_codes_never_seen_are_announced_with_the_end_of_the_session(
    start: Callable[..., Running], post: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Once, at lunch; in the afternoon they are counted anew."""
    set_to = it_is(monkeypatch, NOON)
    monkeypatch.setattr(driver, "LOOK_SECONDS", 0.02)
    monkeypatch.setattr(unseen, "UNSEEN_SECONDS", 0.0)
    async with Provider(pushing(("a", NOON))) as provider:
        running = start(provider.url, "abc")
        await post.until(lambda: running.line.state == "subscribed")
        await asyncio.sleep(0.1)
        set_to(parse_time("2026-11-20 11:30:30"))
        await post.until(lambda: running.pipeline.of("never_seen"))
        await asyncio.sleep(0.1)
        await running.finish()
    assert [event["codes"] for event in running.pipeline.of("never_seen")] == [["b", "c"]]


async def test_a_line_that_is_refused_leaves_the_others_alone(post: Any) -> None:
    """The producer ends when the last has stopped, with what each was told."""
    async with (
        Provider(pushing(answers=({"kind": "unauthorised", "text": "expired"},))) as bad,
        Provider(pushing(("a", NOON))) as good,
    ):
        stop = asyncio.Event()
        both = []
        for provider in (bad, good):
            feed = ScriptedFeed()
            endpoint, pipeline = Endpoint(feed, provider.url), Remembered()
            both.append(Line(endpoint, ["a"], pipeline, Pace(backoff=Backoff(0.01, 0.02)), name=provider.url))
        supervisor = Supervisor([[line] for line in both], Dealer(2))
        running = asyncio.create_task(supervisor.run(stop))
        await post.until(lambda: both[0].state == "stopped" and both[1].state == "subscribed")
        await asyncio.sleep(0.1)
        assert not running.done()
        stop.set()
        await asyncio.wait_for(running, 10)
        alone = Supervisor([[both[0]]], Dealer(1))
        with pytest.raises(UsageError, match="expired"):
            await asyncio.wait_for(alone.run(asyncio.Event()), 10)
