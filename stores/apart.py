"""A store in a process of its own: writing is half of the work of keeping ticks, and an interpreter has one lock.

Requests and answers are msgpack behind a length of four bytes, over the child's standard input and output. The child
ends when its input does, so it outlives its worker by one write at most, whatever ends the worker.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
import sys
from collections.abc import Sequence
from typing import BinaryIO

import msgspec

from schemas import BareTick, Tick, UsageError, decoder, encode
from schemas.usable import UNREADABLE
from stores import open_store
from stores.base import Database, StoreError, TickBatch, UnstorableError
from stores.columns import unstorable

CLOSE_SECONDS = 20.0
"""How long the child may take for a write that is under way when it is told to close."""


class _Ticks(msgspec.Struct, array_like=True, gc=False):
    """A ``TickBatch`` on its way; the ticks are the JSON that the log has of them."""

    topic: str
    partition: int
    offsets: list[int]
    timestamps: list[int]
    values: list[bytes]


class _Open(msgspec.Struct, tag=True, array_like=True):
    """``known`` is what an earlier child found to hold the ticks: a later one makes nothing in its place."""

    url: str
    known: int | None = None


class _Write(msgspec.Struct, tag=True, array_like=True):
    batches: list[_Ticks]


class _Done(msgspec.Struct, tag=True, array_like=True):
    new: int
    known: int | None = None


class _Failed(msgspec.Struct, tag=True, array_like=True):
    """``kind`` is the error's class; the place is an ``UnstorableError``'s."""

    kind: str
    text: str
    partition: int = 0
    offset: int = 0


_request = msgspec.msgpack.Decoder(_Open | _Write)
_answer = msgspec.msgpack.Decoder(_Done | _Failed)
_tick = decoder(Tick)


class _Bare(BareTick, frozen=True, gc=False, forbid_unknown_fields=True):
    """A tick whose JSON has nothing beside the trade: most feeds' ticks, which nobody then has to look at for it."""


_bare = decoder(_Bare).decode


class StoreApart:
    """The store at ``url``, opened and written by a child process; see ``TickStore``. A child that dies is replaced."""

    def __init__(self, url: str) -> None:
        """Nothing starts before ``open``.

        Raises:
            UsageError: no store's address.
        """
        open_store(url)
        self._url = url
        self.identity: int | None = None
        self._open = False
        self._child: asyncio.subprocess.Process | None = None
        self._ready = False

    async def open(self) -> None:
        """Start the child, unless one runs, and have it open the store."""
        if self._child is None:
            try:
                self._child = await asyncio.create_subprocess_exec(
                    sys.executable, "-m", __name__, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
                )
            except OSError as error:
                raise StoreError(f"the process that writes {self._url} can't be started: {error}") from error
            self._ready = False
        await self._ask(_Open(self._url, self.identity))
        self._ready = self._open = True

    async def write(self, batches: Sequence[TickBatch]) -> int:
        """Have the batches kept."""
        if not self._open:
            raise StoreError(f"the store at {self._url} is not open")
        request = _Write([_packed(batch) for batch in batches])
        # A child that could not open its store, because the server is away, has it opened before it writes anything.
        if self._child is None or not self._ready:
            await self.open()
        return await self._ask(request)

    async def close(self) -> None:
        """Have the store closed, after a write that is under way, and the child end."""
        child, self._child, self._open = self._child, None, False
        if child is None:
            return
        assert child.stdin is not None
        child.stdin.close()
        await _ended(child)

    async def _ask(self, request: _Open | _Write) -> int:
        child = self._child
        assert child is not None
        assert child.stdin is not None
        assert child.stdout is not None
        body = msgspec.msgpack.encode(request)
        try:
            child.stdin.write(len(body).to_bytes(4, "big"))
            child.stdin.write(body)
            await child.stdin.drain()
            size = int.from_bytes(await child.stdout.readexactly(4), "big")
            answer = _answer.decode(await child.stdout.readexactly(size))
        except (OSError, asyncio.IncompleteReadError) as error:
            self._child = None
            raise StoreError(f"the process that writes {self._url} has ended with {await _ended(child)}") from error
        except BaseException:
            # Question and answer no longer alternate: the next write has a child of its own.
            self._child = None
            with contextlib.suppress(ProcessLookupError):
                child.kill()
            raise
        if isinstance(answer, _Done):
            self.identity = answer.known if answer.known is not None else self.identity
            return answer.new
        if answer.kind == "unstorable":
            raise UnstorableError(answer.text, answer.partition, answer.offset)
        raise (UsageError if answer.kind == "usage" else StoreError)(answer.text)


async def _ended(child: asyncio.subprocess.Process) -> int:
    """The exit code of a child that has no more to do; one that does not end is killed."""
    try:
        async with asyncio.timeout(CLOSE_SECONDS):
            return await child.wait()
    except TimeoutError:
        child.kill()
        return await child.wait()


def _packed(batch: TickBatch) -> _Ticks:
    values = batch.values
    if values is None:
        # These did not come out of the log, and may hold what JSON or the child's decoder has no room for.
        found = unstorable([batch])
        if found is not None:
            partition, offset, why = found
            raise UnstorableError(f"the tick at {partition}/{offset} can't be stored: {why}", partition, offset)
        values = [encode(tick) for tick in batch.ticks]
    return _Ticks(batch.topic, batch.partition, list(batch.offsets), list(batch.timestamps), list(values))


def _unpacked(batch: _Ticks) -> TickBatch:
    topic, partition, offsets, timestamps = batch.topic, batch.partition, batch.offsets, batch.timestamps
    try:
        bare = [_bare(value) for value in batch.values]
        return TickBatch(topic, partition, offsets, timestamps, bare, beside=False)
    except UNREADABLE:
        pass  # one has a field of a book, or another that is not known
    ticks = []
    for offset, value in zip(batch.offsets, batch.values, strict=True):
        try:
            ticks.append(_tick.decode(value))
        except UNREADABLE as error:
            place = f"{batch.partition}/{offset}"
            raise UnstorableError(f"the tick at {place} can't be stored: {error}", batch.partition, offset) from error
    return TickBatch(topic, partition, offsets, timestamps, ticks)


def serve(requests: BinaryIO, answers: BinaryIO) -> None:
    """The child: answer requests one after the other until they end."""
    # The worker is told to stop by the same signals, and closes the pipe when its last write is done.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    with asyncio.Runner() as runner:
        server = _Server()
        try:
            while len(head := requests.read(4)) == 4:
                body = requests.read(int.from_bytes(head, "big"))
                answer = msgspec.msgpack.encode(runner.run(server.answer(body)))
                answers.write(len(answer).to_bytes(4, "big") + answer)
                answers.flush()
        except (BrokenPipeError, msgspec.DecodeError):
            pass  # the worker was killed, perhaps in the middle of a request
        finally:
            runner.run(server.close())


class _Server:
    """The store in the child."""

    def __init__(self) -> None:
        self._store: Database | None = None

    async def answer(self, body: bytes) -> _Done | _Failed:
        request = _request.decode(body)
        try:
            if isinstance(request, _Open):
                if self._store is None:
                    self._store = open_store(request.url, request.known)
                await self._store.open()
                return _Done(0, self._store.identity)
            assert self._store is not None, "written before it was opened"
            return _Done(await self._store.write([_unpacked(batch) for batch in request.batches]))
        except UnstorableError as error:
            return _Failed("unstorable", str(error), error.partition, error.offset)
        except StoreError as error:
            return _Failed("store", str(error))
        except UsageError as error:
            return _Failed("usage", str(error))

    async def close(self) -> None:
        if self._store is not None:
            await self._store.close()


if __name__ == "__main__":
    serve(sys.stdin.buffer, sys.stdout.buffer)
