"""The same readers for code without an event loop, such as a notebook: `for change in PriceChanges(…): …`.

Each reader runs on an event loop of its own, in a thread of its own, so that a group's heartbeats go on while the
caller computes. It is for one thread at a time. Arguments are those of the reader of the same name in `ashare_client`.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from ashare_client import readers, snapshots
from ashare_client.blocking import Reader, alone
from ashare_client.instruments import instruments as _instruments
from ashare_client.places import End, Start
from ashare_client.readers import Names
from ashare_client.records import (
    FEED_EVENTS,
    INSTRUMENTS,
    PRICE_CHANGES,
    SNAPSHOTS,
    TICKS,
    FeedEvent,
    Instrument,
    PriceChange,
    Snapshot,
    Tick,
)
from ashare_client.start import Missing

__all__ = ["FeedEvents", "PriceChanges", "Reader", "Snapshots", "Ticks", "instruments"]


class PriceChanges(Reader[PriceChange]):
    """The price changes: moves larger than the pipeline's threshold, each once, in order per code."""

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
            readers.PriceChanges(
                bootstrap,
                codes=codes,
                boards=boards,
                min_change=min_change,
                start=start,
                end=end,
                group=group,
                commit=commit,
                archive=archive,
                missing=missing,
                malformed=malformed,
                batch_size=batch_size,
                patience=patience,
                topic=topic,
                log_id=log_id,
                options=options,
            )
        )


class Ticks(Reader[Tick]):
    """Every tick, once, in order per code."""

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
            readers.Ticks(
                bootstrap,
                codes=codes,
                boards=boards,
                start=start,
                end=end,
                group=group,
                commit=commit,
                archive=archive,
                missing=missing,
                malformed=malformed,
                batch_size=batch_size,
                patience=patience,
                topic=topic,
                log_id=log_id,
                options=options,
            )
        )


class FeedEvents(Reader[FeedEvent]):
    """What happened to the feed's lines, and so what is not known."""

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
            readers.FeedEvents(
                bootstrap,
                codes=codes,
                boards=boards,
                events=events,
                start=start,
                end=end,
                group=group,
                commit=commit,
                archive=archive,
                missing=missing,
                malformed=malformed,
                batch_size=batch_size,
                patience=patience,
                topic=topic,
                log_id=log_id,
                options=options,
            )
        )


class Snapshots(Reader[Snapshot]):
    """State first, then updates, without a gap between; see `ashare_client.Snapshots`."""

    def __init__(
        self,
        bootstrap: Names,
        *,
        codes: Names | None = None,
        boards: Names | None = None,
        start: Start | Literal["state"] = "state",
        end: End | None = None,
        malformed: Literal["raise", "skip"] = "raise",
        batch_size: int = 2_000,
        patience: float = 30.0,
        topic: str = SNAPSHOTS,
        log_id: str | None = None,
        options: Mapping[str, Any] | None = None,
    ) -> None:
        """As `PriceChanges`.

        Args:
            start: `"state"` begins with the table; any other place gives the records from there, as they are.
            end: with the table, `"now"`: the table alone.

        Raises:
            ArgumentError: an argument can't be meant; the text says how to write it.
        """
        self._snapshots = snapshots.Snapshots(
            bootstrap,
            codes=codes,
            boards=boards,
            start=start,
            end=end,
            malformed=malformed,
            batch_size=batch_size,
            patience=patience,
            topic=topic,
            log_id=log_id,
            options=options,
        )
        super().__init__(self._snapshots)

    def table(self) -> dict[str, Snapshot]:
        """The latest snapshot by code, as far as has been read; iteration then goes on with what comes after.

        Raises:
            StateError: not open, or not begun with `start="state"`.
            NoBrokerError: the broker has stopped answering.
        """
        return self._run(self._snapshots.table())


def instruments(
    bootstrap: Names,
    *,
    codes: Names | None = None,
    boards: Names | None = None,
    patience: float = 30.0,
    topic: str = INSTRUMENTS,
    options: Mapping[str, Any] | None = None,
) -> dict[str, Instrument]:
    """What the pipeline's operator has applied, by code; see `ashare_client.instruments`."""
    return alone(
        _instruments(bootstrap, codes=codes, boards=boards, patience=patience, topic=topic, options=options),
        topic,
    )
