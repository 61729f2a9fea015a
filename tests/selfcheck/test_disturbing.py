"""Workers that are disturbed in turn, on a stack that only notes what is done to it."""

from __future__ import annotations

import asyncio
from itertools import pairwise
from typing import Any, cast

import pytest

from deploy.local.stack import PartError, Stack
from selfcheck import disturbing
from selfcheck.disturbing import Disturbing
from selfcheck.findings import Findings
from selfcheck.served import ServedCheck


class _Noting:
    """Stands in for a stack and each of its parts."""

    def __init__(self, workers: int) -> None:
        self.workers = [f"http://127.0.0.1:1/{number}" for number in range(workers)]
        self.done: list[tuple[str, int]] = []
        self.down: set[int] = set()
        self.asked = 0

    def kill_worker(self, number: int) -> None:
        assert not self.down, "a second one before the first is on its way back"
        self.down.add(number)
        self.done.append(("kill", number))

    def end_worker(self, number: int) -> float:
        assert not self.down
        self.down.add(number)
        self.done.append(("end", number))
        return 0.4 if self.asked else 0.2

    def start_worker(self, number: int) -> None:
        self.down.remove(number)
        self.done.append(("start", number))

    def worker(self, number: int) -> _Noting:
        self.asked = number
        return self

    def freeze(self) -> None:
        self.done.append(("freeze", self.asked))

    def resume(self) -> None:
        self.done.append(("resume", self.asked))


async def disturbed(
    stack: Any,
    seconds: float,
    kill_every: float | None = None,
    rebalance_every: float | None = None,
    freeze: float | None = None,
) -> Disturbing:
    """What was done, once ticks came."""
    served = ServedCheck(Findings())
    made = Disturbing(cast("Stack", stack), seconds, kill_every, rebalance_every, freeze, served, dict)
    ticks = iter((0, 0, 5))

    async def published() -> int:
        return next(ticks)

    async with asyncio.timeout(30):
        await made.run(published)
    return made


async def test_workers_are_killed_in_turn_and_each_is_started_again_before_the_next() -> None:
    stack = _Noting(3)
    made = await disturbed(stack, 1.0, kill_every=0.05)
    assert stack.done[:6] == [("kill", 0), ("start", 0), ("kill", 1), ("start", 1), ("kill", 2), ("start", 2)]
    assert [(one.what, one.worker) for one in made.done[:4]] == [("killed", n) for n in (1, 2, 3, 1)]
    assert made.lacking is None
    assert made.slowest_stop is None


async def test_two_disturbances_at_once_take_turns_and_meet_no_worker_that_is_down() -> None:
    """The slowest stop is told, and each start follows its own end."""
    stack = _Noting(3)
    made = await disturbed(stack, 1.0, kill_every=0.1, rebalance_every=0.07)
    assert {"kill", "end"} <= {what for what, _ in stack.done}
    assert all(after == ("start", one[1]) for one, after in pairwise(stack.done) if one[0] in {"kill", "end"})
    assert made.slowest_stop == 0.2
    times = [one.at_s for one in made.done]
    assert times == sorted(times)


async def test_a_frozen_worker_is_left_alone_until_it_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(disturbing, "FREEZE_AT", 0.0)
    monkeypatch.setattr("selfcheck.served.POLL_SECONDS", 0.1)
    stack = _Noting(2)
    made = await disturbed(stack, 1.5, kill_every=0.1, freeze=0.7)
    frozen = stack.done[stack.done.index(("freeze", 0)) : stack.done.index(("resume", 0))]
    assert ("kill", 1) in frozen
    assert ("kill", 0) not in frozen
    assert [one.what for one in made.done if one.worker == 1][:2] == ["frozen", "resumed"]


async def test_what_the_run_was_too_short_for_is_told() -> None:
    made = await disturbed(_Noting(2), 0.05, kill_every=0.01, rebalance_every=5.0)
    assert made.lacking == "no worker was restarted: give it more --seconds"


async def test_a_worker_that_does_not_end_when_it_is_asked_to_ends_the_check() -> None:
    class _Stubborn(_Noting):
        def end_worker(self, number: int) -> float:
            raise PartError(f"worker {number + 1} did not end within 60 s of SIGTERM")

    with pytest.raises(PartError, match="did not end"):
        await disturbed(_Stubborn(2), 1.0, rebalance_every=0.01, kill_every=0.5)
