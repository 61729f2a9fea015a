"""aiokafka's own background tasks: which of them has ended, and how to close a client that has lost some.

aiokafka (0.14.0) refreshes metadata, sends, fetches, sends heartbeats and coordinates groups in tasks that nothing
watches. When one ends by an error, the client looks alive, but every call that needs the task waits for ever. Users of
a client therefore call ``ended`` once a second, and replace a client that has lost a task.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any

from aiokafka.client import ConnectionGroup
from aiokafka.errors import IllegalGenerationError, KafkaConnectionError, KafkaError
from aiokafka.protocol.commit import OffsetCommitRequest
from aiokafka.protocol.group import JoinGroupRequest, LeaveGroupRequest

_CLOSE_SECONDS = 2.0
_OF_A_MEMBER = ("heartbeat", "commit_refresh")


def ended(owner: Any) -> str | None:
    """Which task of an ``AIOKafkaConsumer`` or ``AIOKafkaProducer`` in use has ended and why; ``None`` if none has."""
    for name, task in _tasks(owner).items():
        if task is not None and task.done():
            return f"its {name} task {_how(task)}"
    coordinator = getattr(owner, "_coordinator", None)
    return None if coordinator is None else _member(coordinator)


def _tasks(owner: Any) -> dict[str, asyncio.Task[Any] | None]:
    """Those that live as long as their client."""
    return {
        "metadata": getattr(_client(owner), "_sync_task", None),
        "sender": getattr(getattr(owner, "_sender", None), "_sender_task", None),
        "fetcher": getattr(getattr(owner, "_fetcher", None), "_fetch_task", None),
        "coordination": getattr(getattr(owner, "_coordinator", None), "_coordination_task", None),
        "offset reset": getattr(getattr(owner, "_coordinator", None), "_reset_committed_task", None),
    }


def _client(owner: Any) -> Any:
    return getattr(owner, "_client", None) or getattr(owner, "client", None)


def _member(coordinator: Any) -> str | None:
    """What has ended of the tasks that a group's coordinator starts and stops by itself."""
    for name in _OF_A_MEMBER:
        task = getattr(coordinator, f"_{name}_task", None)
        if task is not None and task.done() and (task.cancelled() or task.exception() is not None):
            return f"its {name.replace('_', ' ')} task {_how(task)}"
    beat = getattr(coordinator, "_heartbeat_task", None)
    # Without a membership there are no heartbeats, and joining again starts a new task.
    if beat is None or not beat.done() or not is_member(coordinator) or coordinator._rejoin_needed_fut.done():
        return None
    return "its heartbeat task has ended"


def _how(task: asyncio.Task[Any]) -> str:
    if task.cancelled():
        return "was cancelled"
    error = task.exception()
    return "has ended" if error is None else f"failed: {error!r}"


async def leave(consumer: Any, *, for_good: bool = False) -> None:
    """Have a consumer leave its group at once, so that the others need not wait for its session's end.

    aiokafka's own asks over the coordinator's connection, where it waits behind a join that waits for others. And a
    member that has a name of its own in the group never leaves there.

    Args:
        for_good: it does not join again.
    """
    coordinator, client = consumer._coordinator, _client(consumer)
    if for_good and not coordinator._closing.done():
        coordinator._closing.set_result(None)
    if is_member(coordinator) and coordinator.coordinator_id is not None:
        request = LeaveGroupRequest(coordinator.group_id, coordinator.member_id)
        with contextlib.suppress(KafkaError, OSError, TimeoutError):
            async with asyncio.timeout(_CLOSE_SECONDS):
                await client.send(coordinator.coordinator_id, request, group=ConnectionGroup.DEFAULT)
    coordinator.reset_generation()


async def discard(owner: Any) -> None:
    """Close a client whose tasks may be dead or stuck: at once, without leaving a group, flushing or an error."""
    client, coordinator = _client(owner), getattr(owner, "_coordinator", None)
    owner._closed = True
    some = [*_tasks(owner).values(), *(getattr(coordinator, f"_{name}_task", None) for name in _OF_A_MEMBER)]
    tasks = [task for task in some if task is not None] + _stopped(getattr(owner, "_fetcher", None))
    closing = getattr(coordinator, "_closing", None)
    if closing is not None and not closing.done():
        closing.set_result(None)
    client._get_conn = _no_connection
    await _cancelled(tasks)
    # Whoever waits for metadata would wait for ever.
    waited = client._md_update_fut
    if waited is not None and not waited.done():
        waited.set_exception(KafkaConnectionError("the client is closed"))
        waited.exception()
    gone = [future for conn in list(client._conns.values()) if (future := conn.close()) is not None]
    if gone:
        await asyncio.wait(gone, timeout=_CLOSE_SECONDS)


async def _no_connection(*_: Any, **__: Any) -> None:
    raise KafkaConnectionError("the client is closed")


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


def _stopped(fetcher: Any) -> list[asyncio.Task[Any]]:
    """The requests that a fetcher has on their way; who waits for what they bring is woken."""
    if fetcher is None:
        return []
    fetcher._closed = True
    for waiter in list(fetcher._fetch_waiters):
        fetcher._notify(waiter)
    return list(fetcher._pending_tasks)


def is_member(coordinator: Any) -> bool:
    """Whether a group's coordinator holds a valid generation."""
    return bool(
        coordinator.generation != OffsetCommitRequest.DEFAULT_GENERATION_ID
        and coordinator.member_id != JoinGroupRequest.UNKNOWN_MEMBER_ID
    )


def commit_as_member(consumer: Any) -> None:
    """Have a consumer's commits leave only while it is the member that it was when they were asked for.

    aiokafka would send one without a generation after a heartbeat was refused, and a coordinator takes such a commit
    for any group that has no members: in a cluster that was put in the place of another, that is every group.
    """
    coordinator = consumer._coordinator
    send = coordinator._do_commit_offsets

    async def send_as_member(assignment: Any, offsets: Any) -> None:
        if not is_member(coordinator) or not assignment.active:
            raise IllegalGenerationError(coordinator.group_id)
        await send(assignment, offsets)

    coordinator._do_commit_offsets = send_as_member
