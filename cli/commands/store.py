"""``ashare store …``: reading the stored ticks, and writing a day of them again."""

from __future__ import annotations

import csv
import itertools
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from datetime import date
from decimal import Decimal
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli import archives
from cli.help import App
from cli.settings import default, option
from market.times import TimeError, shanghai_time
from schemas import UsageError
from schemas.outside import printable, printable_json

if TYPE_CHECKING:
    from consumers.refill.run import Refilled
    from stores import Result

app = App(no_args_is_help=True, help="Read the stored ticks, and write a day of them again.")

_SHOWN = 1000  # rows that a table shows: it is measured whole before it is printed

_TIMES = {"time": 1, "kafka_timestamp": 1, "received": 1000}
"""Columns that hold times since the epoch, and how many of their units a ms has."""


class Origin(StrEnum):
    """Where a day's ticks can be taken from."""

    KAFKA = "kafka"
    ARCHIVE = "archive"


@app.command("query")
def command(
    sql: Annotated[str, typer.Argument(metavar="SQL", help="one reading statement on the table ticks")],
    *,
    store: Annotated[str, option("store")] = default("store"),
    store_user: Annotated[str | None, option("store_user")] = default("store_user"),
    store_password_file: Annotated[str | None, option("store_password_file")] = default("store_password_file"),
    archive: Annotated[Path | None, option("archive")] = default("archive"),
    without: Annotated[
        bool, typer.Option("--no-archive", help="ask the store alone, in its own SQL, though there is an archive")
    ] = False,
    day: Annotated[
        list[str] | None,
        typer.Option(
            "--day",
            metavar="YYYY-MM-DD",
            help="day to read, may be repeated; default: all, of SQLite without an archive the newest ten",
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="one JSON object a row and line")] = False,
    as_csv: Annotated[bool, typer.Option("--csv", help="CSV with a header line; null is empty")] = False,
) -> None:
    """Query the stored ticks with SQL, read-only.

    The table is `ticks`: one column per field of the tick (price and turnover in yuan, volume in shares, time in ms and
    received in µs since the epoch) and kafka_topic, kafka_partition, kafka_offset, kafka_timestamp. A printed table has
    these times as Shanghai's; --json and --csv have the numbers.

    Where there is an archive, it and the store are asked together, in DuckDB's SQL: the days that the archive has
    closed are its, the others the store's. Else the store answers in its own SQL.

    Example: ashare store query "SELECT code, max(price) FROM ticks GROUP BY code"
    """
    if as_json and as_csv:
        raise UsageError("--json and --csv exclude each other")
    from stores.urls import with_password

    store = with_password(store, store_user or None, store_password_file or None)
    days = [_day(text) for text in day or ()]
    with _answer(store, None if without else archives.existing(archive), sql, days) as result:
        if result.note:
            _say(result.note)
        try:
            if as_json:
                _print_json(result)
            elif as_csv:
                csv.writer(sys.stdout, lineterminator="\n").writerows(itertools.chain([result.columns], result.rows))
            else:
                _print_table(result)
            sys.stdout.flush()
        except BrokenPipeError:
            # The reader, a `head`, has had enough; what Python still wants to flush goes nowhere.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


@app.command("refill")
def refill(
    *,
    day: Annotated[str, typer.Option("--day", metavar="YYYY-MM-DD", help="Shanghai date of the ticks' exchange time")],
    store: Annotated[str, option("store")] = default("store"),
    store_user: Annotated[str | None, option("store_user")] = default("store_user"),
    store_password_file: Annotated[str | None, option("store_password_file")] = default("store_password_file"),
    origin: Annotated[
        Origin | None,
        typer.Option(
            "--from", help="take the ticks from there alone; default: from the archive what it holds, else from Kafka"
        ),
    ] = None,
    archive: Annotated[Path | None, option("archive")] = default("archive"),
    bootstrap: Annotated[str, option("bootstrap")] = default("bootstrap"),
) -> None:
    """Write a day's ticks into the store again.

    For a table or file that was lost, damaged or moved away. Each tick is stored once, however much of the day is there
    already, so twice does no harm. Workers may go on meanwhile. Of a day that is not over, it writes what there is now.

    Example: ashare store refill --day 2026-11-20 --store sqlite:///data/ticks
    """
    import asyncio
    import logging
    import time

    from broker.reader import ReadError
    from cli.progress import progress
    from cli.tables import say
    from consumers.refill import run
    from consumers.refill.sources import Request
    from market.times import trading_date
    from stores import open_store
    from stores.urls import with_password

    day, today = _day(day), trading_date(time.time_ns() // 1_000_000)
    if day > today:
        raise UsageError(f"--day {day} is in the future: in Shanghai it is {today}")
    database = open_store(with_password(store, store_user or None, store_password_file or None))
    if archive is not None and not archive.is_dir():
        raise UsageError(f"--archive {archive}: no such directory")
    directory = archives.existing(archive)
    request = Request(day, bootstrap, directory, origin.value if origin else None)
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)
    try:
        with progress(f"refilling {day}", "records") as steps:
            done = asyncio.run(run.refill(request, database, _say, steps))
    except ReadError as error:
        raise UsageError(f"{error}: run it again, nothing is stored twice") from error
    for why in done.refused:
        _say(why)
    say(_summary(day, done, counted=database.counts_new))


def _summary(day: str, done: Refilled, *, counted: bool) -> str:
    names = {"kafka": "Kafka", "archive": "the archive"}
    origins = " and ".join(f"{count:,} from {names[origin]}" for origin, count in done.read.items())
    refused = f", {len(done.refused):,} can't be stored" if done.refused else ""
    if counted:
        return f"{day}: {origins} read, {done.stored:,} of them new to the store{refused}"
    return f"{day}: {origins} read, {done.stored:,} written, each of which the store keeps once{refused}"


def _say(text: str) -> None:
    sys.stderr.write(f"ashare: {printable(text)}\n")


def _day(text: str) -> str:
    try:
        return date.fromisoformat(text).isoformat()
    except ValueError as error:
        raise UsageError(f"--day {text!r} is not a date: write it YYYY-MM-DD") from error


_DEMO = Path("data/demo/ticks")


def missing(url: str) -> str | None:
    """Why there is nothing to read at a store's address; ``None`` where there is, or only its server can tell."""
    from stores.urls import SqliteUrl, parse

    place = parse(url)
    if not isinstance(place, SqliteUrl) or place.directory.is_dir():
        return None
    demo = f"; the demo's is --store sqlite:///{_DEMO}" if _DEMO.is_dir() else ""
    return f"there is no store {place.directory}: --store sqlite:///DIR names another{demo}"


def _answer(url: str, archive: Path | None, sql: str, days: Sequence[str]) -> AbstractContextManager[Result]:
    """What store and archive say; the store alone where nothing is archived."""
    from stores import open_store

    stored = open_store(url)
    if archive is not None:
        from consumers.archive import sql as archived

        if archived.holds_ticks(archive):
            if (why := missing(url)) is not None:
                _say(f"{why}; only the archive {archive} is asked")
            return archived.query(archive, stored, sql, days)
    if (why := missing(url)) is not None:
        raise UsageError(why)
    return stored.query(sql, days)


def _print_json(result: Result) -> None:
    import orjson

    for row in result.rows:
        print(printable_json(orjson.dumps(dict(zip(result.columns, row, strict=True)), default=_plain).decode()))


def _plain(value: Any) -> float | str:
    if isinstance(value, bytes):
        return value.hex()
    return float(value) if isinstance(value, Decimal) else str(value)


def _print_table(result: Result) -> None:
    from cli.tables import Column, show

    rows = list(itertools.islice(result.rows, _SHOWN + 1))
    numeric = _numeric(result.columns, rows)
    times = [_TIMES.get(name, 0) for name in result.columns]
    columns = [
        Column(f"{printable(name)} (Shanghai)" if time else printable(name), right)
        for name, right, time in zip(result.columns, numeric, times, strict=True)
    ]
    show(columns, [[_cell(value, time) for value, time in zip(row, times, strict=True)] for row in rows[:_SHOWN]])
    if len(rows) > _SHOWN:
        sys.stderr.write(f"ashare: only the first {_SHOWN} rows are shown: --json and --csv print all\n")


def _cell(value: Any, time: int) -> object:
    """What stands in the table for a value; ``time`` is how many of its units a ms has, 0 for no time."""
    if value is None:
        return ""
    if not time or not isinstance(value, int):
        return value
    try:
        return shanghai_time(value // time)
    except TimeError:
        return value


def _numeric(columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> Iterator[bool]:
    for place in range(len(columns)):
        values = [row[place] for row in rows if row[place] is not None]
        yield bool(values) and all(isinstance(value, int | float) for value in values)
