"""What an intake makes of frames: marks, dead letters, one numbering for several lines."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import orjson
import pytest

from broker.publisher import Headers
from producer import intake as intakes
from producer.arbitration import Arbiter
from producer.feeds.decoded import FeedTick, Frame
from producer.feeds.post import PostDecoder
from producer.intake import Intake
from producer.numbering import Numbering
from producer.quality import Gate
from schemas import DeadLetter, Tick, decode
from schemas.dead_letters import from_kafka
from schemas.topics import DEAD_LETTERS, TICKS, topics

OPEN = 1_795_138_200_000  # 2026-11-20 09:30 in Shanghai, ms since the epoch
Json = dict[str, Any]


@dataclass
class Queues:
    """A publisher that keeps what it is given, in order."""

    ticks: list[Tick] = field(default_factory=list)
    letters: list[DeadLetter] = field(default_factory=list)
    times: list[int] = field(default_factory=list)
    full: bool = False
    waits: int = 0
    meanwhile: Callable[[], Any] | None = None

    def queue(self, topic: str, partition: int) -> Any:
        """One of its queues."""
        assert 0 <= partition < topics()[topic].partitions
        return PartitionQueue(self, topic)

    async def room(self) -> None:
        """Wait, and do what happens meanwhile."""
        self.waits += 1
        if self.meanwhile is not None:
            meanwhile, self.meanwhile = self.meanwhile, None
            await meanwhile()


@dataclass
class PartitionQueue:
    """One queue of it."""

    queues: Queues
    topic: str

    def add(self, key: bytes | None, value: bytes, timestamp: int, headers: Headers = []) -> None:  # noqa: B006
        """Keep a record."""
        if self.topic == TICKS:
            tick = decode(Tick, value)
            assert key == tick.code.encode()
            self.queues.ticks.append(tick)
            self.queues.times.append(timestamp)
        elif self.topic == DEAD_LETTERS:
            self.queues.letters.append(from_kafka(value, headers))


def intake(queues: Queues, numbering: Numbering | None = None, **more: Any) -> Intake:
    publisher: Any = queues
    return Intake(publisher, numbering or Numbering("line-1", 7), PostDecoder(), trades_only=False, **more)


def pushed(ms: int = 0, price: float = 10.0, code: str = "600519", **more: Any) -> Json:
    return {"code": code, "price": price, "time": OPEN + ms, "volume": 100, **more}


def frame(*ticks: Json, at: int = OPEN * 1000) -> Frame:
    return Frame(orjson.dumps({"ticks": ticks}), binary=False, received=at)


FLAWED = [pushed(), pushed(1, 10.005), pushed(2), pushed(1, 10.01), pushed(3, code="000001")]


async def test_flawed_ticks_pass_with_their_flaws() -> None:
    """The default: all go on in order, numbered without holes; what is well carries null."""
    queues = Queues()
    way = intake(queues, gate=Gate(clock_of_its_own=True))
    await way.take(frame(*FLAWED))
    assert [tick.quality for tick in queues.ticks] == [None, "off_grid", None, "backwards", None]
    assert [tick.n for tick in queues.ticks] == [1, 2, 3, 4, 5]
    assert not queues.letters
    assert str(way.counters).endswith(", 2 marked and 0 kept out (off_grid 1, backwards 1)")


async def test_flawed_ticks_go_to_the_dead_letters() -> None:
    """By setting: each with its flaws as the reason and what was read of it; the others' numbers have no holes."""
    queues = Queues()
    way = intake(queues, gate=Gate(quarantine=True, clock_of_its_own=True))
    await way.take(frame(*FLAWED))
    assert [(tick.n, tick.time - OPEN, tick.quality) for tick in queues.ticks] == [
        (1, 0, None),
        (2, 2, None),
        (3, 3, None),
    ]
    assert [(letter.reason, letter.part) for letter in queues.letters] == [
        ("quality: off_grid", "tick"),
        ("quality: backwards", "tick"),
    ]
    assert orjson.loads(queues.letters[0].payload) | pushed(1, 10.005) == orjson.loads(queues.letters[0].payload)
    assert (way.counters.ticks, way.counters.letters, way.counters.kept_out) == (3, 2, 2)
    assert way.counters.causes == {"quality": 2}


async def test_without_a_gate_nothing_is_judged() -> None:
    """An intake as it always was."""
    queues = Queues()
    await intake(queues).take(frame(*FLAWED))
    assert [tick.quality for tick in queues.ticks] == [None] * 5


async def test_dead_letters_are_counted_by_cause() -> None:
    """By the field that the reason begins with, or what kind of bytes they were."""
    way = intake(Queues())
    await way.take(frame(pushed(price=-1.0), pushed(volume=-5), pushed(code="12"), pushed(price=0)))
    await way.take(Frame(b"\xff", binary=False, received=OPEN * 1000))
    await way.take(Frame(b"", binary=True, received=OPEN * 1000))
    assert way.counters.causes == {"price": 2, "code": 1, "not JSON": 1, "binary frame": 1}


async def test_two_lines_are_one_stream() -> None:
    """One source, one run, one count without holes; each tick with the receipt of the frame that brought it first."""
    queues, numbering, arbiter = Queues(), Numbering("stream", 7), Arbiter(hold=20_000)
    first, second = (intake(queues, numbering, arbiter=arbiter, line=line) for line in (0, 1))
    await first.take(frame(pushed(0), pushed(1), at=OPEN * 1000 + 1))
    await second.take(frame(pushed(0), pushed(1), pushed(2), at=OPEN * 1000 + 2))
    await first.take(frame(pushed(2), pushed(3), at=OPEN * 1000 + 3))
    assert [(tick.n, tick.time - OPEN, tick.received - OPEN * 1000) for tick in queues.ticks] == [
        (1, 0, 1),
        (2, 1, 1),
        (3, 2, 2),
        (4, 3, 3),
    ]
    assert {(tick.source, tick.run) for tick in queues.ticks} == {("stream", 7)}
    assert (first.counters.repeated, second.counters.repeated) == (1, 2)


async def test_what_a_line_holds_goes_on_by_itself() -> None:
    """After the time that it may wait, though no frame comes on any line."""
    queues, numbering, arbiter = Queues(), Numbering("stream", 7), Arbiter(hold=20_000)
    first, second = (intake(queues, numbering, arbiter=arbiter, line=line) for line in (0, 1))
    now = time.time_ns() // 1000
    await first.take(frame(pushed(0), at=now))
    await second.take(frame(pushed(5), at=now))
    assert len(queues.ticks) == 1
    for _ in range(2_000):
        if arbiter.due is None:
            break
        await asyncio.sleep(0.005)
    assert [tick.time - OPEN for tick in queues.ticks] == [0, 5]
    assert arbiter.due is None


async def test_a_gap_is_where_no_line_was() -> None:
    """One line's outage is none of the stream's; what it held when the last one ends goes on."""
    queues, numbering, arbiter = Queues(), Numbering("stream", 7), Arbiter()
    first, second = (intake(queues, numbering, arbiter=arbiter, line=line) for line in (0, 1))
    assert first.resumed(1) == second.resumed(2) == []
    await first.take(frame(pushed(0)))
    await second.take(frame(pushed(5)))
    assert first.lost(10, 11) == []
    assert [tick.time - OPEN for tick in queues.ticks] == [0, 5]
    assert second.lost(12, 15) == []
    assert first.resumed(20) == [(12, 20)]
    alone = intake(queues)
    assert (alone.resumed(1), alone.lost(2, 3), alone.resumed(4)) == ([], [], [(2, 4)])


async def test_lines_do_not_overtake_one_another_while_kafka_is_slow(monkeypatch: pytest.MonkeyPatch) -> None:
    """A large frame goes on in slices; what another line brings in between neither doubles nor reorders."""
    monkeypatch.setattr(intakes, "SLICE", 4)
    queues, numbering, arbiter = Queues(full=True), Numbering("stream", 7), Arbiter()
    first, second = (intake(queues, numbering, arbiter=arbiter, line=line) for line in (0, 1))
    await first.take(frame(pushed(0)))
    await second.take(frame(pushed(0)))
    ticks = [pushed(n) for n in range(1, 20)]
    queues.meanwhile = lambda: second.take(frame(*ticks))
    await first.take(frame(*ticks))
    assert [tick.time - OPEN for tick in queues.ticks] == list(range(20))
    assert [tick.n for tick in queues.ticks] == list(range(1, 21))
    assert queues.waits >= 8


def test_the_payload_of_a_kept_out_tick_names_every_field() -> None:
    """It is the tick as the decoder read it: a field that is added there is in the letter."""
    assert orjson.loads(intakes._encode(FeedTick("600519", "SSE", 1.0, OPEN))).keys() == set(FeedTick.__struct_fields__)
