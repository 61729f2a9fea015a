"""The same readers for code without an event loop, such as a notebook: `for change in PriceChanges(…): …`.

Each reader runs on an event loop of its own, in a thread of its own, so that a group's heartbeats go on while the
caller computes. It is for one thread at a time.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Coroutine, Iterator
from types import TracebackType
from typing import Any, ClassVar, Generic, Self, TypeVar

from ashare_client import readers, snapshots
from ashare_client.batch import Batch, Source
from ashare_client.errors import StateError
from ashare_client.gaps import Gap
from ashare_client.places import Start
from ashare_client.readers import MAX_ROWS
from ashare_client.records import FeedEvent, PriceChange, Record, Snapshot, Tick
from ashare_client.stats import Stats

R = TypeVar("R", bound=Record)
T = TypeVar("T")


class _Loop:
    """An event loop in a daemon thread."""

    def __init__(self, name: str) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name=name, daemon=True)
        self._thread.start()

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Run to the end; an interrupt (Ctrl-C, a notebook's stop button) ends the work as well."""
        future = asyncio.run_coroutine_threadsafe(work, self._loop)
        try:
            return future.result()
        except BaseException:
            future.cancel()
            raise

    def stop(self) -> None:
        """End the thread."""
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()


class Reader(Generic[R]):
    """A reader's blocking face. Use it in `with`, then `for`; or in `for` alone, which opens and closes it."""

    kind: ClassVar[type[readers.Reader[Any]]]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        """As the reader of the same name in `ashare_client`."""
        self._reader: readers.Reader[R] = self.kind(*args, **kwargs)
        self._loop: _Loop | None = None
        self._used = False

    def open(self) -> Self:
        """Connect."""
        if self._used:
            raise StateError(f"this reader of {self._reader.topic} was opened before: make a new one")
        self._used = True
        self._loop = _Loop(f"ashare-client {self._reader.topic}")
        try:
            self._loop.run(self._reader.open())
        except BaseException:
            self.close()
            raise
        return self

    def close(self) -> None:
        """Disconnect; the batch in hand is not done by this."""
        self._end(None)

    def __enter__(self) -> Self:
        """Open."""
        return self.open()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close. Without an error, what was handed out is done; with one, the batch in hand comes again."""
        self._end(self._reader.__aexit__(kind, error, trace))

    def __iter__(self) -> Iterator[R]:
        """Record after record."""
        with self._opened():
            while (record := self._reader.hand()) is not None or self._run(self._reader.advance()):
                if record is not None:
                    yield record

    def batches(self) -> Iterator[Batch[R]]:
        """Batch after batch."""
        with self._opened():
            while (batch := self._reader.hand_rest()) is not None or self._run(self._reader.advance()):
                if batch is not None:
                    yield batch

    @property
    def stats(self) -> Stats:
        """What was counted."""
        return self._reader.stats

    @property
    def source(self) -> Source:
        """Where the record in hand came from."""
        return self._reader.source

    @property
    def position(self) -> dict[int, int]:
        """By partition, the offset behind the last record that was handed out."""
        return self._reader.position

    @property
    def log_id(self) -> str | None:
        """Which log `position` is of."""
        return self._reader.log_id

    def commit(self) -> None:
        """Commit `position` for the group."""
        self._run(self._reader.commit())

    def lag(self) -> dict[int, int]:
        """By partition, how many offsets lie between `position` and the log's end."""
        return self._run(self._reader.lag())

    def age(self, code: str) -> float | None:
        """Seconds since a code was heard of."""
        return self._reader.age(code)

    def gaps(self, since: Start | None = None) -> list[Gap]:
        """When ticks may have been missing."""
        return self._alone(self._reader.gaps(since))

    def to_polars(self, *, max_rows: int = MAX_ROWS) -> Any:
        """The range as a `polars.DataFrame`."""
        return self._alone(self._reader.to_polars(max_rows=max_rows))

    def to_pandas(self, *, max_rows: int = MAX_ROWS) -> Any:
        """The range as a `pandas.DataFrame`."""
        return self._alone(self._reader.to_pandas(max_rows=max_rows))

    def to_arrow(self, *, max_rows: int = MAX_ROWS) -> Any:
        """The range as a `pyarrow.Table`."""
        return self._alone(self._reader.to_arrow(max_rows=max_rows))

    def _run(self, work: Coroutine[Any, Any, T]) -> T:
        if self._loop is None:
            work.close()
            raise StateError(f"the reader of {self._reader.topic} is not open: use it in `with`")
        return self._loop.run(work)

    def _alone(self, work: Coroutine[Any, Any, T]) -> T:
        """Run what opens and closes the reader by itself where it is not open."""
        if self._loop is not None:
            return self._loop.run(work)
        loop = _Loop(f"ashare-client {self._reader.topic}")
        try:
            return loop.run(work)
        finally:
            loop.stop()

    def _end(self, work: Coroutine[Any, Any, None] | None) -> None:
        loop, self._loop = self._loop, None
        if loop is None:
            if work is not None:
                work.close()
            return
        try:
            loop.run(work or self._reader.close())
        finally:
            loop.stop()

    @contextlib.contextmanager
    def _opened(self) -> Iterator[None]:
        if self._used:
            yield
            return
        self.open()
        try:
            yield
        except BaseException:
            self._end(self._reader.abandon())
            raise
        self.close()


class PriceChanges(Reader[PriceChange]):
    """As `ashare_client.PriceChanges`."""

    kind = readers.PriceChanges


class Ticks(Reader[Tick]):
    """As `ashare_client.Ticks`."""

    kind = readers.Ticks


class FeedEvents(Reader[FeedEvent]):
    """As `ashare_client.FeedEvents`."""

    kind = readers.FeedEvents


class Snapshots(Reader[Snapshot]):
    """As `ashare_client.Snapshots`."""

    kind = snapshots.Snapshots

    def table(self) -> dict[str, Snapshot]:
        """The latest snapshot by code."""
        assert isinstance(self._reader, snapshots.Snapshots)
        return self._run(self._reader.table())
