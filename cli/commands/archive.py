"""``ashare archive …``: days that are over, as Parquet."""

from __future__ import annotations

import sys
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cli import archives
from cli.help import App
from cli.progress import progress
from cli.settings import SETTINGS, default, option
from schemas import UsageError
from schemas.outside import printable

if TYPE_CHECKING:
    from ashare_client.archive import Archive, Part, Span
    from consumers.archive.run import Added, Request

app = App(invoke_without_command=True)

Directory = Annotated[
    Path | None,
    typer.Option(
        "--dir",
        "--archive",
        metavar="DIR",
        envvar=SETTINGS["archive"].env,
        help=f"the archive; default {archives.DIRECTORY}",
    ),
]


@app.callback()
def command(
    context: typer.Context,
    *,
    directory: Directory = None,
    topic: Annotated[
        list[str] | None,
        typer.Option(
            "--topic",
            metavar="TOPIC",
            help="ticks, price-changes or bars-1m, may be repeated; default: all, or ticks of a store",
        ),
    ] = None,
    day: Annotated[
        list[str] | None,
        typer.Option("--date", metavar="YYYY-MM-DD", help="Shanghai date, may be repeated; default: all that are over"),
    ] = None,
    include_today: Annotated[
        bool, typer.Option("--include-today", help="also days that are not over; what comes later is added later")
    ] = False,
    from_store: Annotated[
        str | None,
        typer.Option(metavar="STORE", help="take ticks from sqlite:///DIR or questdb://HOST:9000 instead of the topic"),
    ] = None,
    store_user: Annotated[str | None, option("store_user")] = default("store_user"),
    store_password_file: Annotated[str | None, option("store_password_file")] = default("store_password_file"),
    bootstrap: Annotated[str, option("bootstrap")] = default("bootstrap"),
) -> None:
    """Keep days that are over as Parquet files.

    They are there when Kafka has forgotten the records. A day is that of the records' own time, in Shanghai. Each run
    adds what the archive does not hold yet, also what came late for a day that it has; so run it every day after
    midnight there, and twice does no harm. From the topic, records are kept byte for byte; a store has only what it
    kept: each tick once, and its fields. DuckDB, Polars and pandas read DIR/ticks/date=…/bucket=…/*.parquet as it is;
    `ashare replay`, the client library and `ashare store query` read it where the log or the store ends.

    Example: ashare archive --topic ticks --date 2026-11-20
    Example: ashare archive --from-store sqlite:///data/ticks
    """
    if context.invoked_subcommand is not None:
        context.obj = directory
        return
    import time

    from cli.following import topic_name
    from consumers.archive.kinds import kind_of
    from consumers.archive.run import Request
    from schemas.topics import BARS, PRICE_CHANGES, TICKS

    names = [topic_name(name) for name in topic or ()] or ([TICKS] if from_store else [TICKS, PRICE_CHANGES, BARS])
    if from_store and names != [TICKS]:
        raise UsageError("a store holds ticks and nothing else: --from-store goes with --topic ticks")
    if from_store:
        from stores.urls import with_password

        from_store = with_password(from_store, store_user or None, store_password_file or None)
    days = frozenset(_date(text) for text in day or ())
    now = time.time_ns() // 1_000_000
    requests = [
        Request(archives.directory(directory), name, kind_of(name), days, include_today, now)
        for name in dict.fromkeys(names)
    ]
    for request in requests:
        _print(request, _run(request, bootstrap, from_store))


@app.command("list")
def show(context: typer.Context, *, directory: Directory = None) -> None:
    """Show what the archive holds.

    Its days, with rows, bytes, and the offsets of each partition.

    Example: ashare archive list --dir data/archive
    """
    from cli.tables import say
    from consumers.archive.run import clear_errors

    archive = _archive(archives.directory(directory or context.obj))
    print("days are Shanghai's")
    with clear_errors():
        for topic in archive.topics():
            for manifest in archive.manifests(topic):
                parts = manifest.parts
                state = "" if manifest.closed else "  not closed"
                line = (
                    f"{topic}  {manifest.date}  {sum(part.rows for part in parts):,} rows"
                    f"  {_size(sum(part.bytes for part in parts))} in {len(parts)} parts{state}"
                )
                say(line)
                for partition in sorted({part.partition for part in parts}):
                    say(f"  partition {partition}: {_spans(parts, partition)}")


@app.command()
def verify(context: typer.Context, *, directory: Directory = None) -> None:
    """Read every file and hold it against its manifest.

    Exit code 1 where something is wrong.

    Example: ashare archive verify --dir data/archive
    """
    from consumers.archive.check import faults
    from consumers.archive.run import clear_errors

    archive = _archive(archives.directory(directory or context.obj))
    with clear_errors():
        total = sum(len(day.parts) for topic in archive.topics() for day in archive.manifests(topic))
        with progress("verifying", "parts") as told:
            done = 0

            def one(_: Part) -> None:
                nonlocal done
                done += 1
                told(done, total)

            wrong = list(faults(archive, one))
    for fault in wrong:
        print(printable(fault))
    if wrong:
        raise typer.Exit(1)
    print(f"{archive.directory}: all {total:,} parts are as they were written")


def _run(request: Request, bootstrap: str, from_store: str | None) -> list[Added]:
    import asyncio
    import logging

    from broker.reader import ReadError
    from consumers.archive import run

    short = request.topic.split(".")[1]
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)
    if from_store:
        from cli.commands.store import missing
        from stores import open_store

        if (missed := missing(from_store)) is not None:
            raise UsageError(missed.replace("--store", "--from-store"))
        store = open_store(from_store)
        why = _lag(request.topic, bootstrap)
        with progress(f"{short} from the store", "days") as told:
            return run.from_store(request, store, told, whole=why is None)
    try:
        with progress(short, "offsets") as told:
            return asyncio.run(run.from_log(request, bootstrap, told))
    except ReadError as error:
        raise UsageError(f"{error}: nothing was archived; run it again") from error


def _lag(topic: str, bootstrap: str) -> str | None:
    """Why no day can be closed from the store, which is said; where no broker answers, the store is all there is."""
    import asyncio

    from consumers.archive.lag import lag

    try:
        why = asyncio.run(lag(bootstrap, topic))
    except UsageError as error:
        sys.stderr.write(f"ashare: whether the store has all of these days can't be told: {error}\n")
        return None
    if why is not None:
        sys.stderr.write(f"ashare: no day is closed: {why}\n")
    return why


def _print(request: Request, added: list[Added]) -> None:
    from cli.tables import say

    for day in added:
        closed = "" if day.closed else ", the day is not closed"
        say(f"{day.topic}  {day.date}  {day.rows:,} rows added, {_size(day.bytes)} in {day.parts} parts{closed}")
    if not added:
        say(f"{request.topic}  {_why_nothing(request)}")


def _why_nothing(request: Request) -> str:
    """Why a run has added nothing."""
    from ashare_client.archive import Archive
    from consumers.archive.run import clear_errors
    from market.times import trading_date

    today = trading_date(request.now)
    with clear_errors():
        held = [day.date for day in Archive(request.directory).manifests(request.topic)]
    held = [day for day in held if not request.days or day in request.days]
    what = "nothing new" if held else "nothing to archive"
    has = f"{request.directory} has {len(held):,} of these days" if held else f"{request.directory} has none of it"
    early = sorted(day for day in request.days if day >= today)
    if request.unfinished or (request.days and not early):
        return f"{what}: {has}"
    over = f"{', '.join(early)} is not over" if early else f"today, {today} in Shanghai, is not over"
    return f"{what}: {has}; {over}: --include-today archives what there is so far"


def _archive(directory: Path) -> Archive:
    from ashare_client.archive import Archive
    from consumers.archive.run import clear_errors

    if not directory.is_dir():
        raise UsageError(f"{directory} is not an archive: `ashare archive` makes one, --dir names another")
    archive = Archive(directory)
    with clear_errors():
        if not archive.topics():
            raise UsageError(f"{directory} holds no archived day: `ashare archive` adds some, --dir names another")
    return archive


def _date(text: str) -> str:
    try:
        return date.fromisoformat(text).isoformat()
    except ValueError as error:
        raise UsageError(f"--date {text!r} is not a date: write it YYYY-MM-DD") from error


def _spans(parts: list[Part], partition: int) -> str:
    from ashare_client.archive import merged

    spans: list[Span] = merged(span for part in parts if part.partition == partition for span in part.spans)
    shown = ", ".join(f"{span.start:,}-{span.end - 1:,}" for span in spans[:5])
    return f"{shown} and {len(spans) - 5:,} ranges more" if len(spans) > 5 else shown


def _size(size: int) -> str:
    return f"{size / 1e6:,.1f} MB" if size >= 100_000 else f"{size / 1e3:,.1f} kB"
