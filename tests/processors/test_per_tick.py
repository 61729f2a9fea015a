"""Agents of ticks, one at a time: what they emit, what they keep, and that a crash anywhere changes nothing of it."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterable
from types import SimpleNamespace
from typing import Any, ClassVar, cast

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs import room
from processors.streaming.agent import Message
from processors.streaming.per_tick import PerTick, PerTickWithState, Row
from schemas import RecordError, Tick, encode
from schemas.topics import PRICE_CHANGES, PRICE_CHANGES_STATE, TICKS, topics
from tests.jobs.chunks import chunk, tick

OUT, STATE = "acme.highs.v1", "acme.highs-state.v1"


class Large(PerTick):
    """Ticks of more than 1,000 shares."""

    name: ClassVar[str] = "large"
    outputs: ClassVar[tuple[str, ...]] = (OUT,)

    def on_tick(self, tick: Tick) -> Iterable[Message]:
        """One record each; two where it is round."""
        if tick.price == 13.0:
            raise ValueError("an unlucky price")
        if (tick.volume or 0) > 1_000:
            yield self.message(OUT, tick, {"code": tick.code, "volume": tick.volume})
            if not (tick.volume or 0) % 1_000:
                yield self.message(OUT, tick, {"code": tick.code, "round": True}, tag="round/1")


class High(msgspec.Struct):
    """The highest price of a code so far, and those before it."""

    highest: float = 0.0
    before: list[float] = msgspec.field(default_factory=list)


class Highs(PerTickWithState[High]):
    """New highs."""

    name: ClassVar[str] = "highs"
    outputs: ClassVar[tuple[str, ...]] = (OUT,)
    state: ClassVar[type[msgspec.Struct]] = High
    state_topic: ClassVar[str] = STATE

    def __init__(self) -> None:
        """With rows of the test's own."""
        super().__init__()
        self.held: dict[int, dict[str, Row[High]]] = {}
        self.table.state = cast(
            "Any",
            SimpleNamespace(
                rows=lambda partition: self.held.setdefault(partition, {}),
                partitions_held=self.held,
            ),
        )

    def on_tick(self, tick: Tick, state: High) -> Iterable[Message]:  # type: ignore[override]
        """A record where a price is higher than all before."""
        if tick.price == 13.0:
            raise ValueError("an unlucky price")
        if tick.price > state.highest:
            state.before = [*state.before, state.highest][-3:]
            state.highest = tick.price
            yield self.message(OUT, tick, {"code": tick.code, "high": tick.price, "before": state.before})


def moves(*prices: float, code: str = "600519", start: int = 0) -> list[Tick | bytes]:
    """Ticks of one code."""
    return [tick(start + n + 1, price, code=code) for n, price in enumerate(prices)]


def high(message: Message) -> float:
    """What a record tells."""
    found: float = json.loads(message[2])["high"]
    return found


async def test_each_tick_may_cause_records_named_after_it() -> None:
    """Keyed by the code, with the tick's time, and one id each: what comes again has the same ones."""
    ticks = [tick(1, 10.0, volume=900), tick(2, 10.0, volume=1_500), tick(3, 10.0, volume=2_000)]
    outcome = await Large().handle(chunk([ticks[0], b"hello", *ticks[1:]]))
    assert [json.loads(value) for _, _, value, _, _ in outcome.records] == [
        {"code": "600519", "volume": 1_500},
        {"code": "600519", "volume": 2_000},
        {"code": "600519", "round": True},
    ]
    assert {(topic, key) for topic, key, *_ in outcome.records} == {(OUT, b"600519")}
    assert [timestamp for *_, timestamp, _ in outcome.records] == [
        one.received // 1000 for one in ticks[1:] + ticks[2:]
    ]
    assert [dict(headers)["ce_id"] for *_, headers in outcome.records] == [
        b"line/1/2",
        b"line/1/3",
        b"line/1/3/round%2F1",
    ]
    headers = dict(outcome.records[0][4])
    assert (headers["ce_type"], headers["ce_source"]) == (OUT.encode(), b"ashare-stream/large")
    assert not list(outcome.rows)
    again = await Large().handle(chunk([ticks[0], b"hello", *ticks[1:]], start=500))
    assert again.records == outcome.records


async def test_one_tick_that_fails_is_a_dead_letter_and_the_others_go_on() -> None:
    """With state or without."""
    given_ticks = chunk(moves(10.0, 13.0, 14.0), start=70)
    outcome = await Highs().handle(given_ticks)
    assert [high(message) for message in outcome.records] == [10.0, 14.0]
    assert list(given_ticks.failed) == [71]
    assert "an unlucky price" in given_ticks.failed[71]
    given_ticks = chunk([tick(1, 13.0), tick(2, 10.0, volume=1_500)], start=70)
    assert len((await Large().handle(given_ticks)).records) == 1
    assert list(given_ticks.failed) == [70]


async def test_a_tick_that_was_sent_or_read_again_counts_once() -> None:
    """By its line, run and number, and by its offset; it is counted and causes nothing."""
    agent = Highs()
    first = await agent.handle(chunk(moves(10.0, 11.0)))
    assert [high(message) for message in first.records] == [10.0, 11.0]
    sent_again = await agent.handle(chunk(moves(10.0, 11.0), start=2))
    read_again = await agent.handle(chunk(moves(10.0, 11.0)))
    assert [*sent_again.records, *sent_again.rows, *read_again.records, *read_again.rows] == []
    assert agent.status() == {"codes": 1, "repeated": 4}
    other_line = await agent.handle(chunk([tick(1, 12.0, source="other")], start=4))
    assert [high(message) for message in other_line.records] == [12.0]


async def test_a_row_is_published_and_restored_whole() -> None:
    """The state, the place of its last tick, and the lines' marks: what it has seen stays a repeat."""
    agent, again = Highs(), Highs()
    outcome = await agent.handle(
        chunk([*moves(10.0, 12.0), tick(1, 11.0, source="other"), *moves(9.0, code="000001")], start=40, partition=5)
    )
    assert {row.key for row in outcome.rows} == {b"600519", b"000001"}
    for row in outcome.rows:
        code, restored = again._restore(encode(row.record()))
        again.table.rows(5)[code] = restored
    assert again.held[5].keys() == agent.held[5].keys()
    for code, restored in again.held[5].items():
        before = agent.held[5][code]
        assert encode(restored.record()) == encode(before.record())
        assert restored.state == before.state
        assert restored.marks == before.marks
    repeats = chunk([*moves(10.0, 12.0), tick(1, 11.0, source="other")], start=900, partition=5)
    assert not (await again.handle(repeats)).records
    (message,) = (await again.handle(chunk([tick(3, 12.5)], start=903, partition=5))).records
    assert json.loads(message[2]) == {"code": "600519", "high": 12.5, "before": [0.0, 10.0, 12.0][-3:]}


@pytest.mark.parametrize(
    "value",
    [
        b"",
        b"hello",
        b"[]",
        b"{}",
        b"null",
        b"\xff\xfe",
        b'{"code":"600519","state":{"highest":"x"},"origin":{"partition":3,"offset":1},"lines":[]}',
        b'{"code":"600519","state":[],"origin":{"partition":3,"offset":1},"lines":[]}',
        b'{"code":"600519","state":{},"origin":{"partition":3},"lines":[]}',
        b'{"code":"600519","state":{},"origin":{"partition":3,"offset":1},"lines":[{"source":1}]}',
        b'{"code":1,"state":{},"origin":{"partition":3,"offset":1},"lines":[]}',
        b'{"x":' + b"[" * 1_200 + b"]" * 1_200 + b"}",
        b'{"code":"600519","state":'
        + b"[" * 1_200
        + b"]" * 1_200
        + b',"origin":{"partition":3,"offset":1},"lines":[]}',
    ],
)
def test_what_is_no_row_is_refused_by_the_agents_name(value: bytes) -> None:
    """The state's topic may hold anything: its restoration passes such a record over, and goes on."""
    with pytest.raises(RecordError, match="highs: "):
        Highs()._restore(value)


def test_a_state_of_an_older_version_gets_the_defaults_of_new_fields() -> None:
    """And fields that no longer exist are left out."""
    value = b'{"code":"600519","state":{"highest":9.5,"gone":1},"origin":{"partition":3,"offset":1},"lines":[]}'
    code, row = Highs()._restore(value)
    assert (code, row.state) == ("600519", High(9.5, []))


async def test_codes_beyond_the_bound_have_no_state(monkeypatch: pytest.MonkeyPatch) -> None:
    """Invented codes take no memory; those that have a row go on."""
    monkeypatch.setattr(room, "MAX_CODES", 2 * topics()[TICKS].partitions)
    agent = Highs()
    ticks: list[Tick | bytes] = [tick(n + 1, 10.0, code=f"60000{n}") for n in range(5)]
    assert len((await agent.handle(chunk(ticks))).records) == 2
    assert agent.status()["codes"] == 2
    assert len((await agent.handle(chunk([tick(9, 11.0, code="600000")], start=5))).records) == 1


def test_the_topics_that_an_agent_names_are_declared_like_the_pipelines_own() -> None:
    """With as many partitions as the ticks; a topic that is declared already is not declared anew."""

    class Both(Highs):
        outputs: ClassVar[tuple[str, ...]] = (OUT, PRICE_CHANGES)

    for kind in (Highs, Both):
        assert [topic.name for topic in kind.declares] == [OUT, STATE]
        assert {topic.partitions for topic in kind.declares} == {topics()[TICKS].partitions}
    assert Highs.declares[0].config == topics()[PRICE_CHANGES].config
    assert Highs.declares[1].config == topics()[PRICE_CHANGES_STATE].config
    assert Highs.declares[1].config["cleanup.policy"] == "compact"
    assert [topic.name for topic in Large.declares] == [OUT]


@given(st.data())
async def test_a_crash_anywhere_changes_nothing_of_what_is_emitted(data: st.DataObject) -> None:
    """Rows of any time after the commit are restored: what is emitted again is the same, under the same id."""
    codes = ("600519", "000001", "300750")
    drawn = data.draw(st.lists(st.tuples(st.sampled_from(codes), st.integers(900, 1_350)), min_size=1, max_size=40))
    ticks: list[Tick | bytes] = []
    for n, (code, cents) in enumerate(drawn, 1):
        ticks.append(tick(n, cents / 100, code=code))
        if data.draw(st.booleans()):
            ticks.append(data.draw(st.sampled_from(ticks)))  # sent again
    cuts = sorted({0, len(ticks), *data.draw(st.lists(st.integers(0, len(ticks)), max_size=6))})
    chunks = [(start, ticks[start:end]) for start, end in itertools.pairwise(cuts)]
    whole = Highs()
    uninterrupted = [
        message for start, some in chunks for message in (await whole.handle(chunk(some, start=start))).records
    ]

    committed = data.draw(st.integers(0, len(chunks)))
    crashed = data.draw(st.integers(committed, len(chunks)))
    agent, emitted, published = Highs(), list[Message](), dict[str, bytes]()
    for number, (start, some) in enumerate(chunks[:crashed]):
        outcome = await agent.handle(chunk(some, start=start))
        emitted += outcome.records
        for row in outcome.rows:
            # What is committed is published; what is not may be.
            if number < committed or data.draw(st.booleans()):
                published[cast("Row[High]", row).code] = encode(row.record())
    successor = Highs()
    for value in published.values():
        code, row = successor._restore(value)
        successor.table.rows(3)[code] = row
    for start, some in chunks[committed:]:
        emitted += (await successor.handle(chunk(some, start=start))).records

    first: dict[bytes, Message] = {}
    for message in emitted:
        assert first.setdefault(dict(message[4])["ce_id"], message) == message, "emitted again, and different"
    assert list(first.values()) == uninterrupted
