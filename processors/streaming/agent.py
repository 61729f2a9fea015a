"""The contract of an agent: what it says of itself, what it does with a chunk, and what the framework does for it.

An agent reads one topic, with a consumer group of its own, whatever process it runs in. It declares, as attributes:

- ``name``: of lower-case letters, digits and dashes; its consumer group is ``ashare-NAME``;
- ``input``: the topic that it reads, by default the ticks;
- ``outputs``: the topics that its records go to;
- ``table``: the state that it keeps by key, or ``None``. The state is published to a compacted topic, and restored from
  there when a partition moves. That topic has as many partitions as the input.

``handle(chunk)`` is given a *chunk*: what one fetch brought of one partition, in the order of the log. It changes the
table's rows of that partition in place and returns an ``Outcome``: the records to publish, the rows that changed, and
whatever else must be done before the chunk counts (a store's write). It holds no I/O that it does not await.

The framework owns everything else:

- *Order of effects.* A chunk's records are confirmed by all replicas before its rows are published. The rows are
  confirmed before the chunk is acknowledged. Its offset is committed after that. So a kill at any instant repeats work
  and loses none: what is emitted again must be what was emitted before, which rows that remember the last tick applied
  to them see to (``jobs.marks``; ``PerTick`` does it for an agent).
- *Back-pressure.* ``handle`` is not called while too many records wait for their effects. An agent that waits holds
  back itself alone.
- *Rebalancing.* Before partitions leave, what is in hand is finished within bounds, or given up: ``handle`` is then
  cancelled, nothing of it is published any more, and the rows are restored before the chunks come again.
- *The lease.* A member that the group may have thrown out (no heartbeat was confirmed within the session's time-out)
  publishes, stores and serves nothing until it is a member again.
- *Dead letters.* A tick that is not usable is ``None`` in ``chunk.ticks`` and goes to the dead letters once. A job that
  fails on one record calls ``chunk.fail(offset, error)``: that record goes to the dead letters and the others go on.
  Whatever ``handle`` itself raises ends the process, and the chunk comes again.
- *Health and status*, by the agent's name: lag, progress, commits, recovery, and what ``complaints`` and ``status``
  add.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple, Protocol

from broker.chunk import Chunk
from schemas import FeedEvent, Record
from schemas.topics import TICKS, Topic

if TYPE_CHECKING:
    from broker.publisher import Publisher
    from processors.events import Teller
    from processors.streaming.dead_letters import DeadLetters
    from processors.streaming.lease import Lease
    from processors.streaming.tables import StateTable

Headers = list[tuple[str, bytes]]
Message = tuple[str, bytes, bytes, int, Headers]
"""A record to publish: topic, key, value, timestamp (ms since the epoch), headers. The key decides its partition."""

Restore = Callable[[bytes], tuple[str, Any]]
"""Makes key and row of a record of the table's topic; raises ``schemas.RecordError`` if it is not one."""
Apply = Callable[[dict[str, Any], Chunk], object]
"""Applies a chunk of ticks to the rows of its partition and emits nothing."""


class StateRow(Protocol):
    """A row that can be published; ``received`` (µs since the epoch) becomes the record's timestamp."""

    key: bytes
    received: int

    def record(self) -> Record:
        """The row's record, as it is now."""


class PublishRows(Protocol):
    """Publishes, without a chunk, records that are confirmed before the rows are."""

    def __call__(self, partition: int, rows: Iterable[StateRow], records: Sequence[Message] = ()) -> None:
        """Rows, and records that are of keys of the rows' partition."""


class Outcome(NamedTuple):
    """What a chunk brought about.

    Attributes:
        records: what to publish, in order.
        rows: the rows of the chunk's partition that changed.
        done: what must be done, besides, before the chunk is acknowledged.
    """

    records: Sequence[Message] = ()
    rows: Iterable[StateRow] = ()
    done: Awaitable[object] | None = None


@dataclass
class Table:
    """State by key, one dictionary per partition.

    Attributes:
        topic: the compacted topic that it is published to and restored from.
        restore: reads a record of that topic.
        rebuild: makes rows anew whose record can't be read, from the ticks that the log still holds.
        every: seconds between two publications of a partition's rows. What is newer comes again after a crash, and is
            applied again.
    """

    topic: str
    restore: Restore
    rebuild: Apply | None = None
    every: float = 0.5
    state: StateTable | None = field(default=None, repr=False)

    def rows(self, partition: int) -> dict[str, Any]:
        """A partition's rows by key, to be changed in place."""
        assert self.state is not None
        return self.state.rows(partition)

    @property
    def held(self) -> Mapping[int, dict[str, Any]]:
        """The rows by partition; only of partitions that this process owns."""
        return {} if self.state is None else self.state.partitions_held


@dataclass(frozen=True)
class Context:
    """What the framework gives an agent that starts.

    Attributes:
        bootstrap: the brokers.
        group: the agent's consumer group.
        publisher: takes records that no chunk brought about, such as marks.
        publish_rows: publishes rows of a partition that changed without a chunk, and before them the records that this
            brought about.
        committed: a partition's committed offset.
        concerns: whether a feed event was announced by the agent's group.
        lease: whether the agent may act.
        events: announces what there is to tell in the topic of feed events.
        dead_letters: takes what can't be worked on.
    """

    bootstrap: str
    group: str
    publisher: Publisher
    publish_rows: PublishRows
    committed: Callable[[int], int | None]
    concerns: Callable[[FeedEvent], bool]
    lease: Lease
    events: Teller
    dead_letters: DeadLetters


class Agent:
    """An agent; see the module's text. All but ``name`` and ``handle`` may be left as they are.

    Attributes:
        keyed_alike: a record's key is the key of what caused it: it goes to the partition of the same number, without a
            look at the key. Its topic has as many partitions as the input.
        linger: seconds from taking what came to asking for more: a fetch costs as much as dozens of ticks.
        side_tables: further tables, which are restored with the partitions; the agent publishes their rows itself.
        requires: further topics that must be there.
        declares: topics that ``schemas/topics.yaml`` does not know; ``ashare topics apply --agents`` makes them.
    """

    name: ClassVar[str]
    input: ClassVar[str] = TICKS
    outputs: ClassVar[tuple[str, ...]] = ()
    keyed_alike: ClassVar[bool] = False
    linger: ClassVar[float] = 0.003
    table: Table | None = None
    side_tables: tuple[Table, ...] = ()
    requires: ClassVar[tuple[str, ...]] = ()
    declares: ClassVar[tuple[Topic, ...]] = ()

    async def start(self, context: Context) -> None:
        """Called once, before partitions are assigned.

        Raises:
            schemas.UsageError: the agent can't run as it is set up; the process ends with the error's text.
        """

    async def stop(self) -> None:
        """Called once, when nothing comes any more."""

    async def handle(self, chunk: Chunk) -> Outcome:
        """Work on a chunk. Chunks of a partition come in order, one after the other."""
        raise NotImplementedError

    async def assigned(self) -> None:
        """Partitions were assigned, and their rows restored."""

    def revoked(self) -> None:
        """Partitions leave: hold on to nothing of them."""

    def log_replaced(self, topic: str) -> None:
        """Another log stands behind the name of a topic of ``requires``: read it from its start."""

    def feed_event(self, event: FeedEvent) -> None:
        """Called with every feed event, in order, from the first that the topic holds."""

    def look(self) -> None:
        """Called twice a second."""

    def waits(self, now: float) -> bool:
        """Whether the agent waits for something that is away and retried: then chunks may stay in hand."""
        return False

    def complaints(self) -> Mapping[str, str]:
        """What is wrong, by a short name; empty while all is well."""
        return {}

    def status(self) -> Mapping[str, Any]:
        """Counters since the start."""
        return {}
