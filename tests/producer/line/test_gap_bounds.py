"""What is too much to tell one by one: gaps beyond the bound are told as one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from websockets.asyncio.server import ServerConnection

from producer.gaps import detection, summary
from producer.gaps.gap import Gap
from producer.line import driver
from tests.producer.line.living import ACK, NOON, Running, stay
from tests.producer.scripted import Provider, says


async def test_gaps_beyond_the_bound_are_told_as_one_that_covers_them(start: Callable[..., Running], post: Any) -> None:
    """From the first to the last of them, with their number; with the end of the connection at the latest."""

    async def script(server: ServerConnection) -> None:
        await says(server, ticks=[("a", NOON)], packet=0, answers=[ACK])
        for i in range(1, 1_501):
            await says(server, ticks=[("a", NOON + i)], packet=i * 10)
        await post.until(lambda: len(running.pipeline.received) == 1_501)
        server.transport.abort()

    async with Provider(script, stay) as provider:
        running = start(provider.url, "a", sequence="packet")
        await post.until(lambda: running.pipeline.of("disconnected"))
        told = running.pipeline.happenings
        await running.finish()
    holes = running.pipeline.gaps[:1_001]
    assert {hole.detected for hole in holes[:-1]} == {"sequence"}
    merged = holes[-1]
    assert (merged.detected, merged.count, merged.codes) == ("merged", 500, "all")
    assert holes[-2].end == merged.start
    end = told.index("disconnected")
    assert told[end - 1 : end + 1] == ["gap", "disconnected"]
    assert running.pipeline.of("gap")[1_000]["n"] == 1_001, "the number before the first of them"


async def test_gaps_beyond_the_bound_do_not_wait_for_the_end(
    start: Callable[..., Running], post: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A line that lives all day is told of while it lives."""
    monkeypatch.setattr(summary, "EVERY_SECONDS", 0.05)
    monkeypatch.setattr(driver, "LOOK_SECONDS", 0.02)
    monkeypatch.setattr(detection, "Gaps", lambda: summary.Gaps(most=2))

    async def script(server: ServerConnection) -> None:
        await says(server, packet=1, answers=[ACK])
        for i in range(5):
            await says(server, ticks=[("a", NOON)], packet=10 * (i + 1))
        await stay(server)

    async with Provider(script) as provider:
        running = start(provider.url, "a", sequence="packet")
        await post.until(lambda: len(running.pipeline.gaps) >= 3)
        assert running.line.state == "subscribed"
        await running.finish()
    assert sum(hole.count or 1 for hole in running.pipeline.gaps) == 5
    assert running.pipeline.gaps[2].codes == "all"


@given(
    st.lists(
        st.tuples(st.integers(0, 10**6), st.integers(0, 10**4), st.sampled_from(["all", "a", "b"]), st.integers(0, 9)),
        max_size=60,
    ),
    st.integers(0, 10),
)
def test_every_gap_lies_inside_one_that_is_told(found: list[tuple[int, int, str, int]], most: int) -> None:
    """In time and in codes; the shares that are missing add up, and each is counted once."""
    gaps = summary.Gaps(most)
    told: list[tuple[Gap, int]] = []
    for i, (begin, length, code, missed) in enumerate(found):
        codes: Any = "all" if code == "all" else [code]
        gap = Gap(begin, begin + length, codes, "volume", "x", missed)
        if gaps.alone(gap, i, float(i)):
            told.append((gap, i))
        if i % 7 == 6 and (one := gaps.covering()):
            told.append(one)
    told += [one] if (one := gaps.covering()) else []
    assert gaps.covering() is None
    assert sum(hole.count or 1 for hole, _ in told) == len(found)
    assert sum(hole.missed or 0 for hole, _ in told) == sum(missed for *_, missed in found)
    for i, (begin, length, code, _) in enumerate(found):
        assert any(
            hole.start <= begin
            and begin + length <= hole.end
            and n <= i
            and (hole.codes == "all" or code in hole.codes)
            for hole, n in told
        )
