"""Bars of a range, read and made as asked for."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import Any, Literal

from ashare_client.errors import ArgumentError, RangeError
from ashare_client.folding import Auction, Fill, KBar, Label, Minutes, Preset, convention, fold
from ashare_client.places import End, Start
from ashare_client.readers import Bars, Names
from ashare_client.records import BARS_1M, Bar
from ashare_client.start import Missing

MAX_BARS = 5_000_000
"""A day of the whole market has 1.3 million bars of one minute, in some 1 GB."""


async def bars(
    bootstrap: Names,
    codes: Names | None = None,
    *,
    boards: Names | None = None,
    minutes: Minutes = 1,
    label: Label | None = None,
    auction: Auction | None = None,
    fill: Fill | Literal["none"] | None = None,
    preset: Preset | None = None,
    start: Start = "earliest",
    end: End = "now",
    sessions: Names | None = None,
    archive: str | Path | None = None,
    missing: Missing = "raise",
    max_rows: int = MAX_BARS,
    patience: float = 30.0,
    topic: str = BARS_1M,
    options: Mapping[str, Any] | None = None,
) -> list[KBar]:
    """Bars of any width, as a convention has them: read from the topic, or an archive, and made of bars of one minute.

    Args:
        bootstrap: brokers, `HOST:PORT[,HOST:PORT]`.
        codes, boards: only these; both together: the codes, and what is on the boards.
        minutes, label, auction, fill, preset: see `ashare_client.folding.fold`.
        start, end: which records are read, by when they were published; see `ashare_client.places`.
        sessions: only these Shanghai dates, as `"2026-11-20"`.
        archive: directory of an archive from which is read what the log no longer holds.
        missing: `"skip"` passes over what neither holds.
        max_rows: the most bars of one minute that are read.
        patience: seconds for which a broker that says nothing is waited for.
        topic: another topic of bars, such as a replay's.
        options: for `AIOKafkaConsumer`: TLS, passwords, time-outs.

    Returns:
        `KBar`s by code and time: `pandas.DataFrame(await bars(…))` makes a table of them.

    Raises:
        ArgumentError: an argument can't be meant; the text says how to write it.
        RangeError: there are more bars than `max_rows`, or neither log nor archive holds the range.
        ClientError: no broker, no topic.
    """
    convention(preset, minutes=minutes, label=label, auction=auction, fill=fill)
    wanted = _sessions(sessions)
    found: dict[tuple[str, int, str | None], Bar] = {}
    reader = Bars(
        bootstrap,
        codes=codes,
        boards=boards,
        start=start,
        end=end,
        archive=archive,
        missing=missing,
        patience=patience,
        topic=topic,
        options=options,
    )
    async for batch in reader.batches():
        for bar in batch.records:
            if wanted is None or bar.session in wanted:
                found[bar.code, bar.start, bar.auction] = bar
        if len(found) > max_rows:
            raise RangeError(f"more than {max_rows:,} bars of one minute: name codes or sessions, or raise max_rows")
    return fold(found.values(), minutes=minutes, label=label, auction=auction, fill=fill, preset=preset)


def _sessions(given: Names | None) -> frozenset[str] | None:
    if given is None:
        return None
    named = frozenset(one.strip() for one in (given.split(",") if isinstance(given, str) else given))
    for one in named:
        try:
            date.fromisoformat(one)
        except ValueError:
            raise ArgumentError(f"sessions: {one!r} is not a date: write 2026-11-20") from None
    return named
