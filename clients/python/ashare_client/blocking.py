"""What the readers for code without an event loop have in common: a reader of `ashare_client` on a loop of its own."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Coroutine, Iterator
from types import TracebackType
from typing import Any, Generic, Self, TypeVar

from ashare_client import readers
from ashare_client.batch import Batch, Source
from ashare_client.errors import StateError
from ashare_client.gaps import Gap
from ashare_client.places import Start
from ashare_client.readers import MAX_ROWS
from ashare_client.records import Record
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


def alone(work: Coroutine[Any, Any, T], topic: str) -> T:
    """Run to the end on an event loop that lives as long as that takes."""
    loop = _Loop(f"ashare-client {topic}")
    try:
        return loop.run(work)
    finally:
        loop.stop()


class Reader(Generic[R]):
    """A reader's blocking face. Use it in `with`, then `for`; or in `for` alone, which opens and closes it."""

    def __init__(self, reader: readers.Reader[R]) -> None:
        """Nothing connects before it is opened.

        Args:
            reader: not opened yet; nobody else uses it.
        """
        self._reader = reader
        self._loop: _Loop | None = None
        self._used = False

    def open(self) -> Self:
        """Connect, and stand where `start` says; records that come from now on are read.

        Raises:
            StateError: it was opened before.
            ClientError: no broker, no topic, a range that is gone.
        """
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
        """Disconnect. The batch in hand is not done by this: leave `with` without an error, or commit.

        Raises:
            NoBrokerError: what is done could not be committed within `patience` seconds: it comes again.
        """
        self._end(None)

    def __enter__(self) -> Self:
        """Open."""
        return self.open()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close. Without an error, what was handed out is done; with one, the batch in hand comes again.

        Raises:
            NoBrokerError: as `close`; not where there was an error.
        """
        self._end(self._reader.__aexit__(kind, error, trace))

    def __iter__(self) -> Iterator[R]:
        """Record after record."""
        with self._opened():
            while (record := self._reader.hand()) is not None or self._run(self._reader.advance()):
                if record is not None:
                    yield record

    def batches(self) -> Iterator[Batch[R]]:
        """Batch after batch, none of them empty; what is left of one in hand comes first."""
        with self._opened():
            while (batch := self._reader.hand_rest()) is not None or self._run(self._reader.advance()):
                if batch is not None:
                    yield batch

    @property
    def stats(self) -> Stats:
        """What was counted since it was opened."""
        return self._reader.stats

    @property
    def source(self) -> Source:
        """Where the record in hand came from: the log, or the archive since the log's retention has passed."""
        return self._reader.source

    @property
    def position(self) -> dict[int, int]:
        """By partition, the offset behind the last record that was handed out: `start=` for whoever goes on."""
        return self._reader.position

    @property
    def log_id(self) -> str | None:
        """Which log `position` is of (`"CLUSTER/TOPIC"`), for `log_id=` of who goes on; `None` before `open`."""
        return self._reader.log_id

    def commit(self) -> None:
        """Commit `position` for the group: everything handed out so far, the record in hand included.

        Raises:
            StateError: there is no group, or it is not open.
            NoBrokerError: the commit was not confirmed.
        """
        self._run(self._reader.commit())

    def lag(self) -> dict[int, int]:
        """By partition that this reader has, how many offsets lie between `position` and the log's end.

        Raises:
            StateError: it is not open.
            NoBrokerError: the broker does not answer.
        """
        return self._run(self._reader.lag())

    def age(self, code: str) -> float | None:
        """Seconds since the newest record of a code that has come was received off the feed; `None` before any has.

        Raises:
            ArgumentError: the code is not among those that are read.
        """
        return self._reader.age(code)

    def gaps(self, since: Start | None = None) -> list[Gap]:
        """When ticks may have been missing, for the codes that are read, from the feed's own announcements.

        Args:
            since: leaves out what ended before; by default before `start`, or before this reader was made.

        Raises:
            ClientError: the feed events can't be read.
        """
        return self._alone(self._reader.gaps(since))

    def to_polars(self, *, max_rows: int = MAX_ROWS, levels: int | None = None) -> Any:
        """The range as a `polars.DataFrame`, in time order (see `ashare_client.columns`); it needs an `end`.

        Args:
            levels: gives as many levels of a tick's book in columns of their own (`bid1`, `bid1_volume` …), not lists.

        Raises:
            ArgumentError: there is no end, or Polars is not installed; or `levels` are none that there are.
            RangeError: there are more rows.
        """
        return self._alone(self._reader.to_polars(max_rows=max_rows, levels=levels))

    def to_pandas(self, *, max_rows: int = MAX_ROWS, levels: int | None = None) -> Any:
        """The range as a `pandas.DataFrame`; else as `to_polars`."""
        return self._alone(self._reader.to_pandas(max_rows=max_rows, levels=levels))

    def to_arrow(self, *, max_rows: int = MAX_ROWS, levels: int | None = None) -> Any:
        """The range as a `pyarrow.Table`; else as `to_polars`."""
        return self._alone(self._reader.to_arrow(max_rows=max_rows, levels=levels))

    def _run(self, work: Coroutine[Any, Any, T]) -> T:
        if self._loop is None:
            work.close()
            raise StateError(f"the reader of {self._reader.topic} is not open: use it in `with`")
        return self._loop.run(work)

    def _alone(self, work: Coroutine[Any, Any, T]) -> T:
        """Run what opens and closes the reader by itself where it is not open."""
        if self._loop is not None:
            return self._loop.run(work)
        return alone(work, self._reader.topic)

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
