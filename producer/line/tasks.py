"""The tasks of one connection: whichever ends, the connection ends with it and its fault is reported."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Mapping
from typing import Any

from websockets.exceptions import ConnectionClosed
from websockets.protocol import State

from producer.errors import TaskEndedError
from producer.line.connection import FrameConnection

FAULT_SECONDS = 5.0
"""How long what had come may take when another task has failed."""


class ConnectionTasks:
    """The task that reads, and those beside it."""

    def __init__(
        self,
        connection: FrameConnection,
        reading: Coroutine[Any, Any, None],
        beside: Mapping[str, Coroutine[Any, Any, None]],
    ) -> None:
        """All begin at once; ``beside`` is by name."""
        self.cut_short = False
        """Whether frames that had come were given up."""
        self._connection = connection
        self._reading = asyncio.create_task(reading, name="reading")
        self._beside = [asyncio.create_task(work, name=name) for name, work in beside.items()]

    async def ended(self, failed: Callable[[Exception], None]) -> Exception | None:
        """Wait until the connection is closed and what came before is read; gives what was wrong with a task, if so.

        Args:
            failed: called at once with what is wrong.
        """
        reading, connection = self._reading, self._connection
        pending = {reading, *self._beside}
        fault: Exception | None = None
        while not reading.done():
            timeout = None if fault is None else FAULT_SECONDS
            done, pending = await asyncio.wait(pending, timeout=timeout, return_when=asyncio.FIRST_COMPLETED)
            if not done:
                self.cut_short = True
                return fault
            found = [fault_of(task) for task in done - {reading} if _matters(task, connection)]
            if found and fault is None:
                fault = found[0]
                failed(fault)
                await connection.close(reason="given up")
        if fault is None and (reading.cancelled() or not isinstance(reading.exception(), ConnectionClosed)):
            fault = fault_of(reading)
            failed(fault)
            await connection.close(reason="given up")
        return fault

    async def stop(self) -> None:
        """Cancel what still runs, and close the connection."""
        tasks = [self._reading, *self._beside]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        try:
            await self._connection.close()
        finally:
            # In a task that was cancelled, the time-outs of Python before 3.11.3 end ``close`` before it has closed.
            self._connection.transport.abort()


def _matters(task: asyncio.Task[None], connection: FrameConnection) -> bool:
    """Whether a task that has ended did so otherwise than with its connection."""
    return task.cancelled() or task.exception() is not None or connection.state is State.OPEN


def fault_of(task: asyncio.Task[Any]) -> Exception:
    """What was wrong with a task that should not have ended."""
    if task.cancelled():
        return TaskEndedError(f"the task {task.get_name()!r} was cancelled")
    error = task.exception()
    if isinstance(error, Exception):
        return error
    return TaskEndedError(f"the task {task.get_name()!r} has ended" + (f": {error!r}" if error else ""))
