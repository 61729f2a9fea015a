"""The log as Kafka keeps it: one topic's partitions, read outside of any group or as a member of one."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import math
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any, Literal

from aiokafka import AIOKafkaConsumer, ConsumerRebalanceListener, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import (
    AuthenticationFailedError,
    CommitFailedError,
    CorruptRecordException,
    GroupAuthorizationFailedError,
    IllegalStateError,
    KafkaError,
    KafkaTimeoutError,
    NoOffsetForPartitionError,
    OffsetOutOfRangeError,
    TopicAuthorizationFailedError,
)

from ashare_client.errors import ArgumentError, ClientError, NoBrokerError, NoTopicError, StateError
from ashare_client.identity import LogId, identify
from ashare_client.lenient import read_any_header
from ashare_client.login import login
from ashare_client.upkeep import close, commit_as_member, ended, guard, quieten

log = logging.getLogger(__name__)

ANSWER_SECONDS = 15.0
"""How long the broker may take to say where a log begins and ends."""
START_SECONDS = 60.0
"""How long connecting may take; aiokafka bounds each of its attempts, and not all of them."""
COMMIT_SECONDS = 30.0
"""How long the broker may take to confirm a commit."""
CLOSE_SECONDS = 10.0
"""How long leaving a group may take."""
JOIN_SECONDS = 90.0
"""How long a group may take to give out partitions: members that died are waited for until their session is over."""
_LOOK_SECONDS = 0.2
CONFIRM_SECONDS = 5.0
"""How often it is asked, while records are read, whether they are of the log that was opened; and for how long."""


class Stands(Enum):
    """Where a group stands in a partition, if it is not an offset."""

    IN_ANOTHER_LOG = "in another log"


Committed = int | Literal[Stands.IN_ANOTHER_LOG] | None
"""The offset to go on from; `None` where the group never committed."""


@dataclass(frozen=True)
class Part:
    """What came of one partition: its records, and the offset to go on from."""

    partition: int
    records: Sequence[Any]
    end: int


class UnplacedError(Exception):
    """Partitions whose reading stands nowhere that the log has: the offset that was asked for, or `None`."""

    def __init__(self, places: Mapping[int, int | None]) -> None:
        """Made by `Log.fetch`."""
        super().__init__(places)
        self.places = places


class LostError(Exception):
    """The consumer itself failed, as it may when a broker goes; a new one is needed."""


class ReplacedError(LostError):
    """Another log stands behind the topic's name: it was deleted and made again, or the cluster is another one."""


class Log:
    """One topic on one cluster. Made, opened and closed on one event loop.

    Attributes:
        id: which log it is; known when it is open.
        fresh: partitions that the group has assigned and nobody has looked at since.
    """

    def __init__(
        self,
        bootstrap: str,
        topic: str,
        *,
        group: str | None,
        options: Mapping[str, Any],
        revoked: Callable[[set[int]], Awaitable[None]] | None = None,
    ) -> None:
        """Nothing connects before `open`.

        Args:
            options: handed to `AIOKafkaConsumer`: TLS, passwords, time-outs. Without a `security_protocol`, how to log
                in is what the environment says (`login`).
            revoked: awaited when the group takes partitions away, before another member gets them.
        """
        self.bootstrap = bootstrap
        self.topic = topic
        self._group = group
        self._options = options if "security_protocol" in options else login() | dict(options)
        self._listener = _Listener(revoked, self._assigned)
        self.id = LogId("", "")
        self.fresh: set[int] = set()
        self._unsure = False
        self._confirmed = 0.0
        self._asking: asyncio.Task[LogId | None] | None = None
        self._highs: dict[int, int] = {}
        self._consumer: AIOKafkaConsumer | None = None

    async def open(self) -> list[int]:
        """Connect; gives the topic's partitions.

        Raises:
            ArgumentError: the address or an option is not one.
            NoBrokerError: nobody answers.
            NoTopicError: the topic is not there.
        """
        try:
            consumer = AIOKafkaConsumer(
                **{
                    "bootstrap_servers": self.bootstrap.split(","),
                    "client_id": "ashare-client",
                    "group_id": self._group,
                    "fetch_max_wait_ms": 100,
                    **self._options,
                    "enable_auto_commit": False,
                    "auto_offset_reset": "none",
                }
            )
        except (TypeError, ValueError, AssertionError) as error:
            raise ArgumentError(f"{self.bootstrap!r} with options {sorted(self._options)}: {error}") from error
        self._consumer = consumer
        quieten()
        guard(consumer._client)  # noqa: SLF001
        try:
            async with asyncio.timeout(START_SECONDS):
                await consumer.start()
            read_any_header(consumer)
            if self._group is not None:
                commit_as_member(consumer)
            # What the client itself knows of a topic that it does not read yet is nothing.
            cluster = await consumer._client.fetch_all_metadata()  # noqa: SLF001
            async with asyncio.timeout(START_SECONDS):
                found = await identify(consumer, self.topic)
        except AuthenticationFailedError as error:
            await self.close()
            raise NoBrokerError(f"{self.bootstrap} refuses this user: {error}: see options=") from error
        except (KafkaError, OSError, ValueError) as error:
            await self.close()
            raise NoBrokerError(
                f"no Kafka broker answers at {self.bootstrap} ({error}): is it running, and is this its address?"
            ) from error
        except BaseException:
            await self.close()
            raise
        partitions = cluster.partitions_for_topic(self.topic)
        if not partitions or found is None:
            await self.close()
            raise NoTopicError(f"{self.bootstrap} has no topic {self.topic}, or does not show it to this user")
        self.id = found
        self._confirmed = time.monotonic()
        # aiokafka asks for metadata when a connection or a leader is lost, as they are with a topic or a cluster.
        consumer._client.cluster.add_listener(self._doubt)  # noqa: SLF001
        return sorted(partitions)

    async def join(self) -> set[int]:
        """Become a member of the group; gives the partitions that it assigns, none if others have them all.

        Raises:
            ClientError: this user may not join it.
            NoBrokerError: the group did not come together.
        """
        self.consumer.subscribe([self.topic], listener=self._listener)
        try:
            async with asyncio.timeout(JOIN_SECONDS):
                while not self._listener.assigned.is_set():
                    self._check_allowed()
                    with contextlib.suppress(TimeoutError):
                        await asyncio.wait_for(self._listener.assigned.wait(), _LOOK_SECONDS)
        except TimeoutError as error:
            raise NoBrokerError(
                f"group {self._group} at {self.bootstrap} gave out no partitions within {JOIN_SECONDS:g} s"
            ) from error
        self.fresh.clear()  # whoever joins looks at them
        return {tp.partition for tp in self.consumer.assignment()}

    def _check_allowed(self) -> None:
        """Raise ``ClientError`` where the group's coordinator has refused this user: aiokafka tells nobody."""
        coordinator = self.consumer._coordinator  # noqa: SLF001 - there is no other place
        task, error = coordinator._coordination_task, coordinator._pending_exception  # noqa: SLF001
        if error is None and task.done() and not task.cancelled():
            error = task.exception()
        if isinstance(error, GroupAuthorizationFailedError):
            raise ClientError(
                f"{self.bootstrap} does not let this user join the group {self._group}: it lacks READ on it"
            )

    def read(self, places: Mapping[int, int]) -> None:
        """Outside of a group: read these partitions, from these offsets."""
        self.consumer.assign([self._tp(partition) for partition in places])
        for partition, offset in places.items():
            self.seek(partition, offset)

    def seek(self, partition: int, offset: int) -> None:
        """Go on from an offset; nothing if the partition was taken away."""
        if self._tp(partition) in self.consumer.assignment():
            self.consumer.seek(self._tp(partition), offset)

    def pause(self, partition: int) -> None:
        """Read no more of a partition."""
        if self._tp(partition) in self.consumer.assignment():
            self.consumer.pause(self._tp(partition))

    def resume(self, partition: int) -> None:
        """Read on."""
        if self._tp(partition) in self.consumer.assignment():
            self.consumer.resume(self._tp(partition))

    @property
    def consumer(self) -> AIOKafkaConsumer:
        """The consumer underneath.

        Raises:
            StateError: not open.
        """
        if self._consumer is None:
            raise StateError(f"the reader of {self.topic} is not open: use it in `async with`")
        return self._consumer

    @property
    def assigned(self) -> set[int]:
        """The partitions that are this reader's now."""
        return {tp.partition for tp in self.consumer.assignment()}

    async def fetch(self, wait: float, limit: int) -> list[Part]:
        """What has come, at most `limit` records; nothing after `wait` seconds without.

        Raises:
            UnplacedError: partitions stand nowhere that the log has.
            LostError: the consumer failed in a way that a new one may get over.
            ClientError: it is not to be got over.
        """
        consumer = self.consumer
        if (dead := ended(consumer)) is not None:
            raise LostError(dead)
        try:
            found = await consumer.getmany(timeout_ms=round(wait * 1000), max_records=limit)
            for tp in found.keys() & consumer.assignment():
                high = consumer.highwater(tp)
                if high is not None:
                    self._unsure = self._unsure or high < self._highs.get(tp.partition, 0)
                    self._highs[tp.partition] = high
            # The position, not the last record: compaction and transactions leave offsets without records.
            return [Part(tp.partition, records, await consumer.position(tp)) for tp, records in found.items()]
        except OffsetOutOfRangeError as error:
            raise UnplacedError({tp.partition: offset for tp, offset in error.args[0].items()}) from error
        except NoOffsetForPartitionError as error:
            raise UnplacedError({error.args[0].partition: None}) from error
        except CorruptRecordException as error:
            raise ClientError(f"{self.topic} at {self.bootstrap}: the log is damaged: {error}") from error
        except (TopicAuthorizationFailedError, GroupAuthorizationFailedError) as error:
            raise ClientError(f"{self.topic} at {self.bootstrap} does not let this user read: {error!r}") from error
        except IllegalStateError:
            return []  # taken away between being fetched and being asked for its position: it comes again elsewhere
        except KafkaError as error:
            raise LostError(repr(error)) from error

    @property
    def doubtful(self) -> bool:
        """Whether something has happened, or time has gone by, since it was known which log is read."""
        return self._unsure or time.monotonic() - self._confirmed > CONFIRM_SECONDS

    async def confirm(self) -> None:
        """Ask whether the log that was opened still stands behind the topic's name; no answer, no doubt is removed.

        Raises:
            ReplacedError: another one does.
        """
        self._unsure, found = False, None
        asking = self._asking = asyncio.ensure_future(identify(self.consumer, self.topic))
        try:
            await asyncio.wait([asking], timeout=CONFIRM_SECONDS)
            if asking.done() and not asking.cancelled():
                found = asking.result()
        except (KafkaError, OSError) as error:
            log.info("%s: which log it is, is not known now: %r", self.topic, error)
        finally:
            asking.cancel()
            self._unsure = self._unsure or found is None
        self._confirmed = time.monotonic()
        if found is not None and found.differs(self.id):
            raise ReplacedError(f"its log is another one now ({found}, before {self.id})")

    def _doubt(self, _metadata: Any) -> None:
        self._unsure = True

    def _assigned(self, partitions: set[int]) -> None:
        self.fresh |= partitions
        self._unsure = True

    async def positions(self) -> dict[int, int]:
        """The offset that each partition of this reader goes on from."""
        consumer = self.consumer
        return {tp.partition: await consumer.position(tp) for tp in consumer.assignment() - consumer.paused()}

    async def begins(self, partitions: Iterable[int]) -> dict[int, int]:
        """The first offset that each partition still holds."""
        async with self._answer("begins"):
            found = await self.consumer.beginning_offsets([self._tp(partition) for partition in partitions])
        return {tp.partition: offset for tp, offset in found.items()}

    async def ends(self, partitions: Iterable[int]) -> dict[int, int]:
        """The offset that each partition's next record gets."""
        async with self._answer("ends"):
            found = await self.consumer.end_offsets([self._tp(partition) for partition in partitions])
        return {tp.partition: offset for tp, offset in found.items()}

    async def at(self, partitions: Iterable[int], ms: int) -> dict[int, int | None]:
        """The first offset received at or after a time; `None` where there is none."""
        async with self._answer("was at a time"):
            found = await self.consumer.offsets_for_times({self._tp(partition): ms for partition in partitions})
        return {tp.partition: None if place is None else place.offset for tp, place in found.items()}

    async def keeps_since(self) -> float:
        """The receive time (ms since the epoch) from which on retention can't have deleted anything.

        Infinity where the broker does not tell.
        """
        chosen = {
            name: value for name, value in self._options.items() if name.startswith(("security_", "ssl_", "sasl_"))
        }
        admin = AIOKafkaAdminClient(bootstrap_servers=self.bootstrap.split(","), **chosen)
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                await admin.start()
                (answer,) = await admin.describe_configs([ConfigResource(ConfigResourceType.TOPIC, self.topic)])
            (resource,) = answer.to_object()["resources"]
            config = {entry["config_names"]: entry["config_value"] for entry in resource["config_entries"]}
            forever = config["retention.ms"] == "-1" or "delete" not in config["cleanup.policy"]
            if config["retention.bytes"] != "-1":
                return math.inf
            return 0.0 if forever else time.time() * 1000 - int(config["retention.ms"])
        except (KafkaError, TimeoutError, OSError, KeyError) as error:
            log.info("%s: retention is not known: %r", self.topic, error)
            return math.inf
        finally:
            await admin.close()

    async def committed(self, partitions: Iterable[int]) -> dict[int, Committed]:
        """Where the group stands."""
        wanted = [self._tp(partition) for partition in partitions]
        async with self._answer("is committed"):
            found = await self.consumer._coordinator.fetch_committed_offsets(wanted)  # noqa: SLF001 - with metadata
        places: dict[int, Committed] = {}
        for tp in wanted:
            place = found.get(tp)
            if place is None or place.offset < 0:
                places[tp.partition] = None
            else:
                another = self.id.disowns(place.metadata or "")
                places[tp.partition] = Stands.IN_ANOTHER_LOG if another else place.offset
        return places

    async def commit(self, offsets: Mapping[int, int]) -> bool:
        """Commit those of the offsets whose partitions are still assigned; false if the group has moved on.

        Each carries the topic's id as its metadata.

        Raises:
            KafkaError: the broker refuses.
        """
        assigned, topic = self.consumer.assignment(), self.id.topic
        mine = {self._tp(p): (offset, topic) for p, offset in offsets.items() if self._tp(p) in assigned}
        if not mine:
            return False
        try:
            async with asyncio.timeout(COMMIT_SECONDS):
                await self.consumer.commit(mine)
        except (CommitFailedError, IllegalStateError) as error:
            log.warning("%s: not committed, the group has moved on; records come again: %s", self.topic, error)
            return False
        except TimeoutError as error:
            raise KafkaTimeoutError(f"no commit was confirmed within {COMMIT_SECONDS:g} s") from error
        return True

    async def close(self) -> None:
        """Disconnect; a group is told that this member leaves."""
        consumer, self._consumer = self._consumer, None
        self._listener.assigned.clear()
        if self._asking is not None and not self._asking.done():
            # It might open a connection when all are closed.
            self._asking.cancel()
            await asyncio.wait([self._asking])
        if consumer is not None:
            await close(consumer, CLOSE_SECONDS)

    @contextlib.asynccontextmanager
    async def _answer(self, what: str) -> AsyncIterator[None]:
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                yield
        except (TimeoutError, KafkaError) as error:
            raise NoBrokerError(f"{self.bootstrap} does not say where {self.topic} {what}: {error!r}") from error

    def _tp(self, partition: int) -> TopicPartition:
        return TopicPartition(self.topic, partition)


class _Listener(ConsumerRebalanceListener):  # type: ignore[misc]
    """What the group does with partitions."""

    def __init__(self, revoked: Callable[[set[int]], Awaitable[None]] | None, got: Callable[[set[int]], None]) -> None:
        self._revoked = revoked
        self._got = got
        self.assigned = asyncio.Event()

    async def on_partitions_revoked(self, revoked: Collection[TopicPartition]) -> None:
        if self._revoked is not None and revoked:
            await self._revoked({tp.partition for tp in revoked})

    async def on_partitions_assigned(self, assigned: Collection[TopicPartition]) -> None:
        self._got({tp.partition for tp in assigned})
        self.assigned.set()
