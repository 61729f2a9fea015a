"""Whether a member of a consumer group may still act: it may until its session can have run out.

A process that was stopped for longer (SIGSTOP, a suspended machine, a loop that was blocked) does not know that its
partitions are another's by now. Its own clock tells: the time since it *sent* the last request of the group that was
answered well. While that is more than the session's time-out, nothing that was fetched before may be published, stored
or served. A later heartbeat that is answered well shows that the broker kept the member; otherwise it joins again.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any

from aiokafka.errors import RebalanceInProgressError
from aiokafka.protocol.group import HeartbeatRequest, SyncGroupRequest

MARGIN_SECONDS = 0.5
"""The lease ends so much before the session can: what was decided just before then still gets out in time."""
_POLL_SECONDS = 0.05
_A_MEMBER = {0, RebalanceInProgressError.errno}
"""Answers that only a member gets; during a rebalance it keeps its partitions until it joins again."""


def boot_time() -> float:
    """Seconds since the machine started, those included that it was suspended for."""
    return time.clock_gettime(getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC))


class Lease:
    """One member's.

    Attributes:
        lapses: how often it had run out before it was renewed.
    """

    def __init__(self, session_seconds: float, now: Callable[[], float] = boot_time) -> None:
        """Not a member yet."""
        self._patience = session_seconds - MARGIN_SECONDS
        self._now = now
        self._renewed: float | None = None
        self.lapses = 0

    @property
    def valid(self) -> bool:
        """Whether the member may act now."""
        return self._renewed is not None and self._now() - self._renewed < self._patience

    @property
    def age(self) -> float | None:
        """Seconds since the request that renewed it was sent, ``None`` before the first."""
        return None if self._renewed is None else self._now() - self._renewed

    async def granted(self) -> None:
        """Wait until the member may act."""
        while not self.valid:  # noqa: ASYNC110 - time alone tells, and nothing sets an event by it
            await asyncio.sleep(_POLL_SECONDS)

    def renew(self, sent: float) -> None:
        """A request that was sent at a time was answered well."""
        if self._renewed is not None and not self.valid:
            self.lapses += 1
        self._renewed = sent

    def follow(self, coordinator: Any) -> None:
        """Have an aiokafka group coordinator's answered requests renew it."""
        send = coordinator._send_req

        async def send_req(request: Any) -> Any:
            sent = self._now()
            response = await send(request)
            if isinstance(request, (HeartbeatRequest, SyncGroupRequest)) and response.error_code in _A_MEMBER:
                self.renew(sent)
            return response

        coordinator._send_req = send_req
