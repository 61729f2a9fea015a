"""The readers: one a topic."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, ClassVar, Literal, TypeVar

from ashare_client.columns import Columns
from ashare_client.errors import ArgumentError, RangeError
from ashare_client.gaps import Gap, find_gaps
from ashare_client.places import End, Start, Time, Word, read_place
from ashare_client.records import (
    BARS_1M,
    FEED_EVENTS,
    PRICE_CHANGES,
    TICKS,
    Bar,
    FeedEvent,
    PriceChange,
    Record,
    Tick,
)
from ashare_client.repeats import Causes, Events, Latest, Numbers
from ashare_client.selection import Selection, least_move
from ashare_client.start import Missing
from ashare_client.stream import Stream

R = TypeVar("R", bound=Record)

Names = Iterable[str] | str
MAX_ROWS = 20_000_000


class Reader(Stream[R]):
    """What every reader can do beside being iterated over: ranges as tables, and gaps."""

    async def to_polars(self, *, max_rows: int = MAX_ROWS, levels: int | None = None) -> Any:
        """The range as a `polars.DataFrame` (see `ashare_client.columns`); it needs an `end`.

        Args:
            levels: gives as many levels of a tick's book in columns of their own (`bid1`, `bid1_volume` …), not lists.

        Raises:
            ArgumentError: there is no end, or Polars is not installed; or `levels` are none that there are.
            RangeError: there are more rows.
        """
        return (await self._columns(max_rows, levels)).polars()

    async def to_pandas(self, *, max_rows: int = MAX_ROWS, levels: int | None = None) -> Any:
        """The range as a `pandas.DataFrame`; else as `to_polars`."""
        return (await self._columns(max_rows, levels)).pandas()

    async def to_arrow(self, *, max_rows: int = MAX_ROWS, levels: int | None = None) -> Any:
        """The range as a `pyarrow.Table`; else as `to_polars`."""
        return (await self._columns(max_rows, levels)).arrow()

    async def gaps(self, since: Start | None = None) -> list[Gap]:
        """When ticks may have been missing, for the codes that are read, from the feed's own announcements.

        Args:
            since: leaves out what ended before; by default before `start`, or before this reader was made.

        Raises:
            ClientError: the feed events can't be read.
        """
        place = self._start if since is None else read_place("since", since, ("earliest", "latest"))
        made = self._opened_at or time.time()
        begin = place.ms * 1000 if isinstance(place, Time) else 0 if place == Word("earliest") else int(made * 1e6)
        events = [
            event
            async for event in FeedEvents(
                self._bootstrap, start="earliest", end="now", patience=self._patience, options=self._options
            )
        ]
        return find_gaps(events, self._selection.wants, begin)

    async def _columns(self, max_rows: int, levels: int | None) -> Columns:
        if self._end is None:
            raise ArgumentError("end: a table needs one: give end='now', a time or offsets")
        columns = Columns(self.record, levels)
        async for batch in self.batches():
            columns.add(batch)
            if columns.rows > max_rows:
                raise RangeError(
                    f"more than {max_rows:,} rows: narrow the range, iterate over batches, or raise max_rows"
                )
        return columns


class PriceChanges(Reader[PriceChange]):
    """The price changes: moves larger than the pipeline's threshold, each once, in order per code."""

    record: ClassVar[type[Record]] = PriceChange

    def __init__(
        self,
        bootstrap: Names,
        *,
        codes: Names | None = None,
        boards: Names | None = None,
        min_change: float | str | None = None,
        start: Start = "latest",
        end: End | None = None,
        group: str | None = None,
        commit: Literal["batch", "manual"] = "batch",
        archive: str | Path | None = None,
        missing: Missing = "raise",
        malformed: Literal["raise", "skip"] = "raise",
        batch_size: int = 2_000,
        patience: float = 30.0,
        topic: str = PRICE_CHANGES,
        log_id: str | None = None,
        options: Mapping[str, Any] | None = None,
    ) -> None:
        """Nothing connects before it is opened.

        Args:
            bootstrap: brokers, `HOST:PORT[,HOST:PORT]`.
            codes, boards: only these; both together: the codes, and what is on the boards.
            min_change: only changes of at least so many yuan (`0.05`) or basis points (`"50bp"`), each against the
                change before it; a code's first, which has none before it, is left out then.
            start: see `ashare_client.places.Start`; with a group, where the group begins that has never committed.
            end: makes it a range, which ends; exclusive.
            group: share the partitions with other members, and go on where the group stood.
            commit: `"batch"` commits a batch when the next one is asked for, or on leaving without an error;
                `"manual"` leaves it to `commit()`.
            archive: directory of an archive from which is read what the log no longer holds.
            missing: `"skip"` passes over what neither holds; it is counted in `stats.skipped`.
            malformed: `"skip"` passes over records that can't be read; they are counted in `stats.malformed`.
            batch_size: the most records a batch.
            patience: seconds for which a range, or a commit, waits for a broker that says nothing.
            topic: another topic of price changes, such as a replay's.
            log_id: the log that the offsets of `start` are of: what `.log_id` was beside the `.position` that they were
                saved from. If another log is there now, it is read from its start.
            options: for `AIOKafkaConsumer`: TLS, passwords, time-outs.

        Raises:
            ArgumentError: an argument can't be meant; the text says how to write it.
        """
        super().__init__(
            bootstrap,
            topic,
            selection=Selection(codes, boards),
            repeats=Causes(),
            start=start,
            end=end,
            group=group,
            commit=commit,
            archive=archive,
            missing=missing,
            malformed=malformed,
            batch_size=batch_size,
            patience=patience,
            log_id=log_id,
            options=options,
        )
        self._move = least_move(min_change)

    def _keep(self, record: PriceChange) -> bool:
        return self._move is None or self._move.reached(record)


class Ticks(Reader[Tick]):
    """Every tick, once, in order per code."""

    record: ClassVar[type[Record]] = Tick

    def __init__(
        self,
        bootstrap: Names,
        *,
        codes: Names | None = None,
        boards: Names | None = None,
        start: Start = "latest",
        end: End | None = None,
        group: str | None = None,
        commit: Literal["batch", "manual"] = "batch",
        archive: str | Path | None = None,
        missing: Missing = "raise",
        malformed: Literal["raise", "skip"] = "raise",
        batch_size: int = 2_000,
        patience: float = 30.0,
        topic: str = TICKS,
        log_id: str | None = None,
        options: Mapping[str, Any] | None = None,
    ) -> None:
        """As `PriceChanges`."""
        super().__init__(
            bootstrap,
            topic,
            selection=Selection(codes, boards),
            repeats=Numbers(),
            start=start,
            end=end,
            group=group,
            commit=commit,
            archive=archive,
            missing=missing,
            malformed=malformed,
            batch_size=batch_size,
            patience=patience,
            log_id=log_id,
            options=options,
        )


class Bars(Reader[Bar]):
    """Bars of one minute, each revision once; of one `start` and `auction`, the last that comes holds. See `bars`."""

    record: ClassVar[type[Record]] = Bar

    def __init__(
        self,
        bootstrap: Names,
        *,
        codes: Names | None = None,
        boards: Names | None = None,
        start: Start = "latest",
        end: End | None = None,
        group: str | None = None,
        commit: Literal["batch", "manual"] = "batch",
        archive: str | Path | None = None,
        missing: Missing = "raise",
        malformed: Literal["raise", "skip"] = "raise",
        batch_size: int = 2_000,
        patience: float = 30.0,
        topic: str = BARS_1M,
        log_id: str | None = None,
        options: Mapping[str, Any] | None = None,
    ) -> None:
        """As `PriceChanges`."""
        super().__init__(
            bootstrap,
            topic,
            selection=Selection(codes, boards),
            repeats=Latest(),
            start=start,
            end=end,
            group=group,
            commit=commit,
            archive=archive,
            missing=missing,
            malformed=malformed,
            batch_size=batch_size,
            patience=patience,
            log_id=log_id,
            options=options,
        )

    def age(self, code: str) -> float | None:
        """Not for bars.

        Raises:
            ArgumentError: always.
        """
        raise ArgumentError(f"age: bars do not say when a tick of {code} was received: ask Ticks or PriceChanges")

    def _hear(self, record: Bar) -> None:
        pass


class FeedEvents(Reader[FeedEvent]):
    """What happened to the feed's lines, and so what is not known."""

    record: ClassVar[type[Record]] = FeedEvent

    def __init__(
        self,
        bootstrap: Names,
        *,
        codes: Names | None = None,
        boards: Names | None = None,
        events: Names | None = None,
        start: Start = "latest",
        end: End | None = None,
        group: str | None = None,
        commit: Literal["batch", "manual"] = "batch",
        archive: str | Path | None = None,
        missing: Missing = "raise",
        malformed: Literal["raise", "skip"] = "raise",
        batch_size: int = 2_000,
        patience: float = 30.0,
        topic: str = FEED_EVENTS,
        log_id: str | None = None,
        options: Mapping[str, Any] | None = None,
    ) -> None:
        """As `PriceChanges`, with codes and boards for events that concern any of them, or all codes.

        Args:
            events: only these, as `"gap,disconnected"`.
        """
        super().__init__(
            bootstrap,
            topic,
            selection=Selection(codes, boards),
            repeats=Events(),
            start=start,
            end=end,
            group=group,
            commit=commit,
            archive=archive,
            missing=missing,
            malformed=malformed,
            batch_size=batch_size,
            patience=patience,
            log_id=log_id,
            options=options,
        )
        names = events.split(",") if isinstance(events, str) else events
        self._events = None if names is None else frozenset(name.strip() for name in names)

    def age(self, code: str) -> float | None:
        """Not for feed events.

        Raises:
            ArgumentError: always.
        """
        raise ArgumentError(f"age: feed events say nothing of when {code} was heard of: ask Ticks or PriceChanges")

    def _keep(self, record: FeedEvent) -> bool:
        if self._events is not None and record.event not in self._events:
            return False
        concerned = record.codes
        return (
            not isinstance(concerned, list) or self._selection.everything or any(map(self._selection.wants, concerned))
        )

    def _hear(self, record: FeedEvent) -> None:
        pass

    def _wants_key(self, key: bytes | None) -> bool:  # noqa: ARG002 - the key is a line, not a code
        return True
