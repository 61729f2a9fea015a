"""aiokafka's consumers, kept honest: their connections fail as connections do, and a lost background task is noticed.

aiokafka (0.14) takes an `OSError` from a write for a broken connection, and nothing else; uvloop raises `RuntimeError`
where a connection was reset a moment ago. Such an error ends one of aiokafka's background tasks, and what is asked of
the consumer from then on waits for ever. Nothing here changes aiokafka for others in this process, but for one thing:
what its loggers say again and again is written a few times and counted.
"""

from __future__ import annotations

import asyncio
import logging
import time
from typing import Any

from aiokafka import AIOKafkaConsumer
from aiokafka.errors import IllegalGenerationError, KafkaConnectionError, KafkaError

log = logging.getLogger(__name__)

_CLOSE_SECONDS = 2.0
_FIRST, _PERIOD_SECONDS = 3, 10.0
_NO_GENERATION, _NO_MEMBER = -1, ""
_OF_A_MEMBER = ("_heartbeat_task", "_commit_refresh_task")


class _Writer:
    """A stream's writer whose errors are all an `OSError`; `guarded` says so, whoever made it so."""

    guarded = True

    def __init__(self, writer: Any) -> None:
        self._stream = writer

    def write(self, data: bytes) -> None:
        try:
            self._stream.write(data)
        except OSError:
            raise
        except Exception as error:
            raise ConnectionResetError(f"the connection was closed under a write: {error}") from error

    def close(self) -> None:
        try:
            self._stream.close()
        except Exception as error:  # noqa: BLE001 - the rest of a connection's closing must not depend on it
            log.debug("closing a connection: %r", error)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


def guard(client: Any) -> None:
    """Make whatever the transports of an aiokafka client raise a connection error, before it is started."""
    connect, bootstrap = client._get_conn, client.bootstrap

    async def get(node: Any, **options: Any) -> Any:
        try:
            connection = await connect(node, **options)
        except (OSError, KafkaError, asyncio.CancelledError):
            raise
        except Exception as error:  # noqa: BLE001 - whatever a transport raises while it connects
            log.warning("connecting to node %s failed: %r", node, error)
            client.force_metadata_update()
            return None
        writer = None if connection is None else connection._writer
        if writer is not None and not getattr(writer, "guarded", False):
            connection._writer = _Writer(writer)
        return connection

    async def begin() -> None:
        try:
            await bootstrap()
        except (OSError, KafkaError, ValueError, asyncio.CancelledError):
            raise
        except Exception as error:
            raise KafkaConnectionError(repr(error)) from error

    client._get_conn, client.bootstrap = get, begin


def commit_as_member(consumer: AIOKafkaConsumer) -> None:
    """Have a group's commits leave only while this consumer is the member that it was when they were asked for.

    One without a generation would be taken for any group without members, as all are in a cluster that is new.
    """
    coordinator = consumer._coordinator
    send = coordinator._do_commit_offsets

    async def send_as_member(assignment: Any, offsets: Any) -> None:
        member = coordinator.generation != _NO_GENERATION and coordinator.member_id != _NO_MEMBER
        if not member or not assignment.active:
            raise IllegalGenerationError(coordinator.group_id)
        await send(assignment, offsets)

    coordinator._do_commit_offsets = send_as_member


def ended(consumer: AIOKafkaConsumer) -> str | None:
    """Which background task of a started consumer has ended, and why; `None` if none has."""
    coordinator = consumer._coordinator
    for name, task in _tasks(consumer).items():
        if task is not None and task.done():
            return f"its {name} task {_how(task)}"
    for name in _OF_A_MEMBER:
        task = getattr(coordinator, name, None)
        if task is not None and task.done() and (task.cancelled() or task.exception() is not None):
            return f"its {name.strip('_')} {_how(task)}"
    beat = getattr(coordinator, "_heartbeat_task", None)
    # Without a membership there is nothing to beat for, and joining again starts it anew.
    idle = beat is None or not beat.done() or coordinator.generation == _NO_GENERATION
    return None if idle or coordinator._rejoin_needed_fut.done() else "its heartbeat task has ended"


def _tasks(consumer: AIOKafkaConsumer) -> dict[str, asyncio.Task[Any] | None]:
    """Those that live as long as the consumer."""
    return {
        "metadata": consumer._client._sync_task,
        "fetcher": getattr(consumer._fetcher, "_fetch_task", None),
        "coordination": getattr(consumer._coordinator, "_coordination_task", None),
        "offset reset": getattr(consumer._coordinator, "_reset_committed_task", None),
    }


def _how(task: asyncio.Task[Any]) -> str:
    if task.cancelled():
        return "was cancelled"
    error = task.exception()
    return "has ended" if error is None else f"failed: {error!r}"


async def close(consumer: AIOKafkaConsumer, patience: float) -> None:
    """Leave the group and disconnect, or, where that takes too long or fails, disconnect at once."""
    if _healthy(consumer):
        leaving = asyncio.ensure_future(consumer.stop())
        try:
            await asyncio.wait([leaving], timeout=patience)
            if leaving.done() and not leaving.cancelled() and leaving.exception() is None:
                return
        finally:
            leaving.cancel()
        await asyncio.wait([leaving], timeout=_CLOSE_SECONDS)
    await _discard(consumer)


def _healthy(consumer: AIOKafkaConsumer) -> bool:
    return consumer._coordinator is None or ended(consumer) is None


async def _discard(consumer: AIOKafkaConsumer) -> None:
    consumer._closed = True
    coordinator, fetcher, client = consumer._coordinator, consumer._fetcher, consumer._client
    if hasattr(coordinator, "_maybe_leave_group"):
        # The others would wait for this member until its session is over.
        await asyncio.wait([coordinator.maybe_leave_group()], timeout=_CLOSE_SECONDS)
    some = [*_tasks(consumer).values(), *(getattr(coordinator, name, None) for name in _OF_A_MEMBER)]
    tasks = [task for task in some if task is not None]
    if fetcher is not None:
        fetcher._closed = True
        tasks += fetcher._pending_tasks
    closing = getattr(coordinator, "_closing", None)
    if closing is not None and not closing.done():
        closing.set_result(None)
    client._get_conn = _no_connection
    await _cancelled(tasks)
    # Whoever waits for metadata would wait for ever.
    waited = client._md_update_fut
    if waited is not None and not waited.done():
        waited.set_exception(KafkaConnectionError("the consumer is closed"))
        waited.exception()
    gone = [future for connection in list(client._conns.values()) if (future := connection.close()) is not None]
    if gone:
        await asyncio.wait(gone, timeout=_CLOSE_SECONDS)


async def _no_connection(*_: Any, **__: Any) -> None:
    raise KafkaConnectionError("the consumer is closed")


async def _cancelled(tasks: list[asyncio.Task[Any]]) -> None:
    """Cancel tasks while their connections are open: with them closed, some take the cancellation for an answer."""
    for task in tasks:
        task.cancel()
    if tasks:
        await asyncio.wait(tasks, timeout=_CLOSE_SECONDS)
    for task in tasks:
        if not task.done():
            task.cancel()
        elif not task.cancelled():
            task.exception()  # it was heard


class _Limit(logging.Filter):
    """Lets the first few records of each line of code through in each period, and counts the rest."""

    def __init__(self) -> None:
        super().__init__()
        self._said: dict[tuple[str, int], tuple[float, int]] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        place, now = (record.pathname, record.lineno), time.monotonic()
        since, count = self._said.get(place, (now, 0))
        if now - since >= _PERIOD_SECONDS:
            if count > _FIRST:
                record.msg = f"{record.getMessage()} ({count - _FIRST:,} more of these were left out)"
                record.args = None
            since, count = now, 0
        self._said[place] = (since, count + 1)
        return count < _FIRST


_limit = _Limit()


def quieten() -> None:
    """Limit aiokafka's loggers in rate: it says the same anew at each attempt, hundreds of times a second."""
    # A filter holds for the logger that it is on, and not for those below it.
    for name in list(logging.root.manager.loggerDict):
        if name.split(".")[0] == "aiokafka":
            logging.getLogger(name).addFilter(_limit)
