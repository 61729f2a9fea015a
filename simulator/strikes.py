"""When which misbehaviour is done to which connection: one every so many seconds, drawn from a seed."""

from __future__ import annotations

import asyncio
import logging
import math
import random
import time
from collections.abc import Iterator, Sequence

from simulator.client import Client
from simulator.feeds.provider import Reply
from simulator.misbehaviour.kind import FrameKind, Kind, LineKind, PrintKind
from simulator.misbehaviour.lines import Kill
from simulator.server import FeedServer

log = logging.getLogger(__name__)

_LOOK_SECONDS = 0.05
_AFTER_SECONDS = 3.0
_KILL_DETECTED_AFTER = 5.0
"""Towards the end of a run, a client is given so long to be back before the last tick."""


class Strikes:
    """Misbehaves as long as it runs: with lines, and beside that with what they carry.

    One gap a connection at a time, so that each is announced by itself.
    """

    def __init__(
        self,
        server: FeedServer,
        kinds: Sequence[Kind],
        *,
        after: float,
        every: float,
        seed: int,
        kill_line_every: float | None,
        seconds: float | None,
    ) -> None:
        """``seconds`` is how long the market will push, from the call of ``run`` on.

        The first ``after`` seconds are left in peace: a client has to have seen the market to know that it is silent.
        """
        self._server = server
        done = [kind for kind in kinds if not kind.standing]
        self._lines = [kind for kind in done if isinstance(kind, LineKind)]
        self._others = [kind for kind in done if not isinstance(kind, LineKind)]
        self._after = after
        self._every = every
        self._draw = random.Random(f"strikes {seed}")
        self._kill_line_every = kill_line_every
        self._until = math.inf
        self._seconds = seconds
        self._striking: set[str] = set()
        self._tasks: set[asyncio.Task[None]] = set()

    async def run(self) -> None:
        """Until cancelled."""
        self._until = time.monotonic() + (math.inf if self._seconds is None else self._seconds)
        async with asyncio.TaskGroup() as group:
            for kinds in (self._lines, self._others):
                if kinds:
                    group.create_task(self._misbehave(kinds))
            if self._kill_line_every is not None:
                group.create_task(self._kill_lines(self._kill_line_every))

    async def _misbehave(self, kinds: Sequence[Kind]) -> None:
        await asyncio.sleep(self._after)
        for kind in self._cycle(kinds):
            await asyncio.sleep(self._every)
            await self._strike(kind)

    async def _kill_lines(self, every: float) -> None:
        kill, last, most = Kill(), "", 1
        while True:
            await asyncio.sleep(every)
            # Only when all are back: one of them is always to live.
            while len(free := self._free(self._ripe(kill))) < most:  # noqa: ASYNC110 - as in ``_strike``
                await asyncio.sleep(_LOOK_SECONDS)
            most = max(most, len(free))
            if time.monotonic() + _KILL_DETECTED_AFTER > self._until:
                continue
            names = sorted(client.name for client in free)
            last = next((name for name in names if name > last), names[0])
            await self._end(kill, self._server.clients[last])

    def _cycle(self, kinds: Sequence[Kind]) -> Iterator[Kind]:
        """Each kind once, in an order that is drawn, and again in another. What takes long to be noticed goes first."""
        while True:
            order = self._draw.sample(kinds, len(kinds))
            yield from sorted(order, key=lambda kind: -kind.detected_after if isinstance(kind, LineKind) else 0.0)

    async def _strike(self, kind: Kind) -> None:
        ripe = self._ripe(kind) if isinstance(kind, LineKind) else 0.0
        while not (free := self._free(ripe)):  # noqa: ASYNC110 - who is free changes in many places
            await asyncio.sleep(_LOOK_SECONDS)
        client = self._draw.choice(free)
        if isinstance(kind, LineKind):
            if time.monotonic() + kind.after(self._server.provider) > self._until:
                return
            task = asyncio.get_running_loop().create_task(self._end(kind, client))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        elif isinstance(kind, FrameKind):
            client.tricks.append((kind, time.monotonic() + kind.seconds if kind.seconds else 0.0))
            self._server.faults.note(kind.name, client.name)
        elif isinstance(kind, PrintKind):
            self._server.trick(kind)
            self._server.faults.note(kind.name, "all")
        else:
            self._server.tape.forget_sums()
            self._server.faults.note(kind.name, "all")

    def _ripe(self, kind: LineKind) -> float:
        """What the kind says, or less where all is to begin sooner than it does by default."""
        return kind.ripe * min(1.0, self._after / _AFTER_SECONDS)

    def _free(self, ripe: float = 0.0) -> list[Client]:
        """Connections whose subscription is ``ripe`` seconds old at least, and that are well."""
        now = time.monotonic()
        return [
            client
            for name, client in sorted(self._server.clients.items())
            if client.session.subscription
            and client.since is not None
            and now - client.since >= ripe
            and not client.muted
            and name not in self._striking
            and not self._server.faults.ongoing(name)
        ]

    async def _end(self, kind: LineKind, client: Client) -> None:
        """Withhold, wait until all that was sent before has been read, and only then do it: no tick's fate is open."""
        log.info("%s: %s", client.name, kind.name)
        self._striking.add(client.name)
        client.muted = True
        self._server.faults.begin(
            client, kind.name, loses_ticks=True, empty_subscriptions=kind.empty_subscriptions
        )  # fmt: skip
        try:
            await client.settle()
            client.deaf = not kind.answers
            if kind.shut_seconds:
                self._server.shut(kind.shut_seconds, kind.refusal)
            said = Reply() if kind.words is None else client.session.says(kind.words)
            if kind.words == "throttled" and self._server.provider.throttled_seconds is None:
                said = Reply()
            close = said.close or (kind.code, kind.reason)
            await client.follow(Reply(said.frames))
            if kind.ending == "closed":
                await client.close(*close)
            elif kind.ending == "flooded":
                await client.flood()
            elif kind.ending == "reset":
                client.abort()
        finally:
            self._striking.discard(client.name)
