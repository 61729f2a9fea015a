"""A way to a broker on which requests of one kind can be held back, as a broker does that is half ill."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from pathlib import Path
from typing import Literal

from deploy.embedded import KafkaBroker
from deploy.embedded.server import HOST, free_port

Kind = Literal["produces", "fetches"]
_API: dict[Kind, int] = {"produces": 0, "fetches": 1}
_INNER = "GATED"


class Gate:
    """A TCP proxy in a thread of its own; it reads of each request what kind it is, and of answers nothing.

    What a client sends behind a request that is held back waits with it, as on a connection of a broker.
    """

    def __init__(self, target: int) -> None:
        """Open to a port of this machine."""
        self._target = target
        self._held: set[int] = set()
        self._changed = asyncio.Event()
        self._loop = asyncio.new_event_loop()
        self._server = self._loop.run_until_complete(asyncio.start_server(self._serve, HOST, 0, limit=1 << 20))
        self.port = int(self._server.sockets[0].getsockname()[1])
        self._tasks: set[asyncio.Task[None]] = set()
        self._thread = threading.Thread(target=self._loop.run_forever, name="gate", daemon=True)
        self._thread.start()

    def hold(self, *kinds: Kind) -> None:
        """Hold back requests of these kinds from now on, and none of other kinds."""
        self._loop.call_soon_threadsafe(self._set, {_API[kind] for kind in kinds})

    def _set(self, held: set[int]) -> None:
        self._held = held
        self._changed.set()
        self._changed = asyncio.Event()

    def close(self) -> None:
        """Cut every connection, and end."""
        asyncio.run_coroutine_threadsafe(self._end(), self._loop).result(10.0)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10.0)
        self._loop.close()

    async def _end(self) -> None:
        self._server.close()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _serve(self, client: asyncio.StreamReader, back: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        answers: asyncio.Task[None] | None = None
        broker: asyncio.StreamWriter | None = None
        try:
            answered, broker = await asyncio.open_connection(HOST, self._target)
            answers = asyncio.create_task(_copy(answered, back))
            while True:
                size = await client.readexactly(4)
                request = await client.readexactly(int.from_bytes(size))
                while int.from_bytes(request[:2]) in self._held:
                    await self._changed.wait()
                broker.write(size + request)
                await broker.drain()
        except (OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass
        finally:
            self._tasks.discard(task)
            for writer in (broker, back):
                if writer is not None:
                    writer.close()
            if answers is not None:
                answers.cancel()
                await asyncio.gather(answers, return_exceptions=True)


async def _copy(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while content := await source.read(1 << 16):
            sink.write(content)
            await sink.drain()
        sink.close()


class GatedBroker(KafkaBroker):
    """A broker with a second listener, which tells its clients to come through a gate."""

    def __init__(self, data: Path) -> None:
        """Nothing is started but the gate."""
        super().__init__(data)
        self._behind_gate = free_port()
        self.gate = Gate(self._behind_gate)

    @property
    def gated(self) -> str:
        """The way through the gate."""
        return f"{HOST}:{self.gate.port}"

    def _prepare(self, deadline: float) -> None:
        super()._prepare(deadline)
        file = self.data.path / "server.properties"
        lines = [
            _with(line, "listeners", f"{_INNER}://{HOST}:{self._behind_gate}")
            or _with(line, "advertised.listeners", f"{_INNER}://{self.gated}")
            or _with(line, "listener.security.protocol.map", f"{_INNER}:PLAINTEXT")
            or line
            for line in file.read_text("utf-8").splitlines()
        ]
        file.write_text("\n".join(lines) + "\n", "utf-8")


def _with(line: str, name: str, more: str) -> str | None:
    """The setting of this name with one more value."""
    return f"{line},{more}" if line.startswith(f"{name}=") else None
