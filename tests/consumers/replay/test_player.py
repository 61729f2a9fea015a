"""The replay itself, on a log in memory and on a clock that only moves when it is waited for."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import Callable, Sequence

import pytest

from consumers.replay.checkpoints import MOST, Checkpoints, Point
from consumers.replay.clock import State
from consumers.replay.controls import Controls
from consumers.replay.lookahead import RECORDS, Lookahead, Ready
from consumers.replay.merge import Batch
from consumers.replay.pace import Pace
from consumers.replay.player import Player, Stock
from consumers.replay.selection import Selection
from schemas import UsageError
from tests.consumers.replay.records import FakeChunks, Remembering, in_order

MINUTE = 60_000
LOG = {
    0: [MINUTE + 700 * n for n in range(1_000)],
    1: [MINUTE + 1_100 * n for n in range(700)],
    2: [],
}


def player(
    source: FakeChunks,
    output: Remembering,
    *,
    pace: Pace | None = None,
    controls: Controls | None = None,
    selection: Selection | None = None,
    clock: Callable[[], float] = time.monotonic,
) -> Player:
    stock = Stock("topic", "", dict.fromkeys(source.times, 0))
    return Player(
        stock,
        source,
        selection or Selection(),
        output,
        pace=pace or Pace(),
        controls=controls or Controls(seekable=True),
        longest_pause=10**12,
        clock=clock,
    )


@pytest.mark.parametrize("size", [1, 7, 400, 10_000])
async def test_the_whole_range_comes_out_in_order_once(size: int) -> None:
    """Whatever the chunks; the output is opened with the partitions, and told that all is given out."""
    output = Remembering()
    playing = player(FakeChunks(LOG, size), output)
    await playing.run()
    assert output.places == in_order(LOG)
    assert output.events == [[0, 1, 2], True]
    assert playing.given == 1_700
    assert playing.at == LOG[1][-1]


async def test_what_is_made_ready_is_bounded_and_errors_come_behind_it() -> None:
    """A slow output does not let the range pile up; what was read before an error is given out before it is raised."""
    made = 0

    async def make() -> Ready:
        nonlocal made
        made += 1
        if made == 40:
            raise UsageError("the log is gone")
        await asyncio.sleep(0)
        one = Batch("topic")
        one.offsets = [0] * 1_000
        return Ready([one], {})

    ahead = Lookahead(make)
    for _ in range(200):
        await asyncio.sleep(0)
    assert made == -(-RECORDS // 1_000)
    for _ in range(39):
        assert len((await ahead.take()).batches[0]) == 1_000
    with pytest.raises(UsageError, match="log is gone"):
        await ahead.take()
    await ahead.stop()


async def test_what_is_not_selected_does_not_come_out() -> None:
    output = Remembering()
    selection = Selection(time_from=3 * MINUTE, time_to=5 * MINUTE)
    await player(FakeChunks(LOG, 50), output, selection=selection).run()
    assert output.places == [place for place in in_order(LOG) if 3 * MINUTE <= place[0] < 5 * MINUTE]
    assert selection.left_out == 1_700 - len(output.places)


async def test_an_output_that_fails_is_told_that_the_replay_is_not_complete() -> None:
    """And the error comes through."""

    class Full(Remembering):
        async def write(self, batch: Batch) -> None:  # noqa: ARG002 - the protocol's
            raise UsageError("the disk is full")

    output = Full()
    with pytest.raises(UsageError, match="disk is full"):
        await player(FakeChunks(LOG), output).run()
    assert output.events == [[0, 1, 2], False]


async def test_a_replay_that_is_cancelled_says_so_to_its_output() -> None:
    """Even while it waits for a record that is not due for an hour."""
    output = Remembering()
    far = {0: [0, 3_600_000]}
    running = asyncio.create_task(player(FakeChunks(far), output, pace=Pace(factor=1.0)).run())
    while not output.places:  # noqa: ASYNC110 - the player has no event for it
        await asyncio.sleep(0.001)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert output.places == [(0, 0, 0)]
    assert output.events == [[0], False]


class At(Remembering):
    """Presses keys when so many records have come out."""

    def __init__(self, controls: Controls, keys: Sequence[tuple[int, bytes]]) -> None:
        """Counts and keys, rising."""
        super().__init__()
        self._controls = controls
        self._keys = list(keys)

    async def write(self, batch: Batch) -> None:
        """As ``Output.write``."""
        await super().write(batch)
        if self._keys and len(self.places) >= self._keys[0][0]:
            self._controls.press(self._keys.pop(0)[1])


LEFT, RIGHT = b"\x1b[D", b"\x1b[C"


@pytest.mark.parametrize("size", [3, 300])
@pytest.mark.parametrize(
    ("key", "by"),
    [(RIGHT, MINUTE), (LEFT, -MINUTE), (RIGHT * 3, 3 * MINUTE), (LEFT * 9, -(10**9)), (b"\x1b[A" * 9, 90 * MINUTE)],
)
async def test_a_jump_goes_on_from_that_time_in_the_same_order(size: int, key: bytes, by: int) -> None:
    """Forward nothing between comes out; back what was there comes again, each record once more, none is lost."""
    controls = Controls(seekable=True)
    output = At(controls, [(400, key)])
    source = FakeChunks(LOG, size)
    await player(source, output, pace=Pace(factor=1e9), controls=controls).run()
    everything = in_order(LOG)
    ((_, jumped),) = [event for event in output.events if isinstance(event, tuple)]
    assert output.places[:jumped] == everything[:jumped]
    target = everything[jumped - 1][0] + by
    expected = [place for place in everything if place[0] >= target]
    assert output.places[jumped:] == (
        expected if by < 0 else [place for place in expected if place not in everything[:jumped]]
    )
    assert bool(source.rewound) == (by < 0)
    assert output.events[-1] is True


async def test_jumps_back_and_forth_lose_nothing_behind_the_last() -> None:
    """Back over several checkpoints, forward past the end of what was read, and back again."""
    controls = Controls(seekable=True)
    output = At(controls, [(900, LEFT * 3), (1_000, RIGHT * 8), (1_100, LEFT * 2)])
    await player(FakeChunks(LOG, 20), output, pace=Pace(factor=1e9), controls=controls).run()
    last = max(event[1] for event in output.events if isinstance(event, tuple))
    tail = output.places[last:]
    assert tail == in_order(LOG)[-len(tail) :]


async def test_a_paused_replay_gives_out_nothing_until_it_goes_on() -> None:
    """And what it would have given out meanwhile does not come at once: the clock stood still."""
    now = [0.0]
    controls = Controls(seekable=True)
    output = At(controls, [(10, b" ")])
    playing = player(
        FakeChunks({0: list(range(100))}), output, pace=Pace(rate=1000.0), controls=controls, clock=lambda: now[0]
    )
    running = asyncio.create_task(playing.run())

    async def settled(count: int) -> None:
        for _ in range(200):
            await asyncio.sleep(0)
            if len(output.places) >= count:
                break
        await asyncio.sleep(0.02)

    await settled(1)
    now[0] = 0.0205
    await settled(10)
    paused = len(output.places)
    assert 10 <= paused < 100
    now[0] = 5.0
    await settled(100)
    assert len(output.places) == paused
    controls.press(b" ")
    await settled(100)
    assert len(output.places) == 21  # what was due when the clock was stopped
    now[0] = 6.0
    await asyncio.wait_for(running, 10)
    assert len(output.places) == 100


def test_keys_that_mean_nothing_are_ignored_and_jumps_may_be_off() -> None:
    """A file or a topic must hold the range as it is: the note says why nothing happens."""
    controls = Controls(seekable=False)
    controls.press(b"q\x1b[Zx")
    assert (controls.paused, controls.jump, controls.note) == (False, 0, "")
    controls.press(LEFT)
    assert controls.jump == 0
    assert "no jumps" in controls.note
    controls.press(b" ")
    assert (controls.paused, controls.note) == (True, "")


async def test_lateness_is_measured_in_records() -> None:
    """Of records that were given out 30 ms after they were due, 99 of 100 were at most that late."""
    times = itertools.chain([10.0], itertools.repeat(10.03))
    playing = player(FakeChunks({0: [MINUTE] * 500}), Remembering(), pace=Pace(factor=1.0), clock=lambda: next(times))
    await playing.run()
    assert playing.late == pytest.approx(0.03, abs=0.001)


def test_checkpoints_stay_bounded_and_before_what_is_asked_for() -> None:
    """Half of them are dropped when there are too many; the first, where the range begins, stays."""
    places = Checkpoints({0: Point(7, State(0))})
    for key in range(200_000):
        places.add(key, {0: Point(key, State(key))}, key * 100)
    assert len(places) <= MOST
    assert places.before(150_000)[0].offset < 150_000
    assert places.before(150_000)[0].offset > 100_000
    assert places.before(0)[0].offset == 7
