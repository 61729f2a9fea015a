"""An agent of ticks, one at a time: what most agents are. The loop over a chunk is here, and with it the guarantees.

Stateless, it is a function of a tick::

    class LargeTrades(PerTick):
        name = "large-trades"
        outputs = ("acme.large-trades.v1",)

        def on_tick(self, tick):
            if tick.turnover and tick.turnover > 1e6:
                yield self.message("acme.large-trades.v1", tick, {"code": tick.code, "turnover": tick.turnover})

With state, it names a type and a topic for it, and changes the state in place::

    class State(msgspec.Struct):
        highest: float = 0.0


    class Highs(PerTickWithState[State]):
        name = "highs"
        outputs = ("acme.highs.v1",)
        state, state_topic = State, "acme.highs-state.v1"

        def on_tick(self, tick, state):
            if tick.price > state.highest:
                state.highest = tick.price
                yield self.message("acme.highs.v1", tick, {"code": tick.code, "high": tick.price})

A tick that ``on_tick`` raises on goes to the dead letters, and the others go on. What ``on_tick`` yields must follow
from the tick and the state alone: after a crash some ticks come again, and what they emit is then the same, under the
same ``ce_id``. With state, a tick that was sent or read twice counts once.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, ClassVar, Generic, TypeVar

import msgspec

from broker.chunk import Chunk
from jobs.marks import Marked
from jobs.room import Room
from processors.streaming.agent import Agent, Message, Outcome, Table
from schemas import LineMark, Origin, Record, RecordError, Tick
from schemas.cloudevents import of_tick
from schemas.topics import PRICE_CHANGES, PRICE_CHANGES_STATE, Topic, topics

S = TypeVar("S", bound=msgspec.Struct)
_encode = msgspec.json.Encoder().encode


def declared(name: str, about: str, *, like: str) -> Topic:
    """The declaration of an agent's own topic, with the settings of one of the pipeline's."""
    pattern = topics()[like]
    return Topic(name, "code", about, f"{about} of an agent", pattern.partitions, pattern.replicas, pattern.config)


class PerTick(Agent):
    """An agent without state; see the module's text. Its topics are declared like those of the price changes."""

    def __init_subclass__(cls) -> None:
        """Declare the topics that a subclass names."""
        super().__init_subclass__()
        own = [name for name in cls.outputs if name not in topics()]
        cls.declares = tuple(declared(name, "records", like=PRICE_CHANGES) for name in own)

    def on_tick(self, tick: Tick) -> Iterable[Message]:
        """Gives the records that a tick causes."""
        raise NotImplementedError

    def message(self, topic: str, tick: Tick, value: dict[str, Any], tag: str = "") -> Message:
        """A record that a tick causes, keyed by its code, with CloudEvents headers; ``tag`` tells several apart."""
        headers = of_tick(tick, topic, f"ashare-stream/{self.name}", tag)
        return topic, tick.code.encode(), _encode(value), tick.received // 1000, headers

    async def handle(self, chunk: Chunk) -> Outcome:
        """``on_tick`` for each tick."""
        records: list[Message] = []
        for offset, tick in zip(chunk.offsets, chunk.ticks, strict=True):
            if tick is None:
                continue
            try:
                records.extend(self.on_tick(tick))
            except Exception as error:  # noqa: BLE001 - one record never ends the worker
                chunk.fail(offset, error)
        return Outcome(records)


class AgentState(Record, frozen=True):
    """A row of an agent's state as its topic holds it: the state itself, and the last tick that was applied to it."""

    code: str
    state: msgspec.Raw
    origin: Origin
    lines: list[LineMark]


class Row(Marked, Generic[S]):
    """The state of one code.

    Attributes:
        state: the agent's own, changed in place.
    """

    __slots__ = ("code", "key", "offset", "partition", "state")

    def __init__(self, code: str, partition: int, state: S) -> None:
        """A code before its first tick."""
        super().__init__()
        self.code, self.key, self.partition, self.state = code, code.encode(), partition, state
        self.offset = -1

    def record(self) -> AgentState:
        """The row as its topic keeps it."""
        origin = Origin(self.partition, self.offset)
        return AgentState(self.code, msgspec.Raw(_encode(self.state)), origin, self.lines())


class PerTickWithState(PerTick, Generic[S]):
    """An agent with state by code; see the module's text.

    Attributes:
        state: its type, a ``msgspec.Struct`` whose fields all have defaults: a new code begins with them.
        state_topic: the compacted topic that it is published to, with as many partitions as the input.
    """

    state: ClassVar[type[msgspec.Struct]]
    state_topic: ClassVar[str]
    table: Table

    def __init_subclass__(cls) -> None:
        """Declare the topic of the state, too."""
        super().__init_subclass__()
        cls.declares += (declared(cls.state_topic, "state", like=PRICE_CHANGES_STATE),)

    def __init__(self) -> None:
        """An agent that has seen nothing yet."""
        self._rows = msgspec.json.Decoder(AgentState)
        self._states = msgspec.json.Decoder(self.state)
        self._room = Room(self.name)
        self.repeated = 0
        self.table = Table(self.state_topic, self._restore, self._apply)

    def on_tick(self, tick: Tick, state: S) -> Iterable[Message]:  # type: ignore[override]
        """Changes a code's state in place; gives the records that a tick causes."""
        raise NotImplementedError

    async def handle(self, chunk: Chunk) -> Outcome:
        """``on_tick`` for each tick that did not take effect before."""
        return self._apply(self.table.rows(chunk.partition), chunk)

    def _apply(self, rows: dict[str, Row[S]], chunk: Chunk) -> Outcome:
        records: list[Message] = []
        changed: set[Row[S]] = set()
        for offset, tick in zip(chunk.offsets, chunk.ticks, strict=True):
            if tick is None:
                continue
            row = rows.get(tick.code)
            if row is None:
                if self._room.full(rows, tick.code):
                    continue
                row = rows[tick.code] = Row(tick.code, chunk.partition, self.state())  # type: ignore[arg-type]
            if not row.renew(tick.source, tick.run, tick.n, tick.received, new=offset > row.offset):
                self.repeated += 1
                continue
            row.offset, row.received = offset, tick.received
            changed.add(row)
            try:
                records.extend(self.on_tick(tick, row.state))
            except Exception as error:  # noqa: BLE001 - one record never ends the worker
                chunk.fail(offset, error)
        return Outcome(records, changed)

    def _restore(self, value: bytes) -> tuple[str, Row[S]]:
        try:
            kept = self._rows.decode(value)
            row: Row[S] = Row(kept.code, kept.origin.partition, self._states.decode(kept.state))  # type: ignore[arg-type]
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            raise RecordError(f"{self.name}: {error}") from error
        row.offset = kept.origin.offset
        row.restore_lines(kept.lines)
        return kept.code, row

    def status(self) -> dict[str, Any]:
        """Counters since the start."""
        return {"codes": sum(map(len, self.table.held.values())), "repeated": self.repeated}
