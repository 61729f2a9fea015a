"""``ashare instruments …``."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Coroutine
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli.help import App
from cli.settings import default, option
from schemas import UsageError
from schemas.outside import printable, printable_json

if TYPE_CHECKING:
    from instruments.changes import Changes
    from instruments.files import Content

app = App(
    no_args_is_help=True,
    help="Names, limits and other facts of instruments, from files.\n\n"
    "The producer's quality gate, snapshots by HTTP and the client library use them. Nothing is fetched from a site."
    " docs/instruments.md has the columns and units.",
)

_SHOWN = 20
"""Rows that an error names."""

File = Annotated[
    Path,
    typer.Argument(metavar="FILE", help="CSV or Parquet, as AkShare, Tushare or QMT export it", show_default=False),
]
Day = Annotated[
    str | None,
    typer.Option(
        "--day",
        metavar="YYYY-MM-DD",
        help="of the file's prices, where it does not say it; default: the latest trading day",
    ),
]
Skip = Annotated[bool, typer.Option("--skip", help="leave out rows that can't be read")]
Removing = Annotated[bool, typer.Option("--remove-missing", help="remove codes that the file does not have")]
AsJson = Annotated[bool, typer.Option("--json", help="one JSON object")]
Bootstrap = Annotated[str, option("bootstrap")]


@app.command()
def apply(
    file: File,
    bootstrap: Bootstrap = default("bootstrap"),
    *,
    day: Day = None,
    skip: Skip = False,
    remove_missing: Removing = False,
    as_json: AsJson = False,
) -> None:
    """Write a file's instruments into ashare.instruments.v1.

    What the file has no column or no value for stays as it was. Where a row can't be read, nothing is written. Running
    parts take the change up within a second.

    Example: ashare instruments apply stock_basic.csv
    Example: ashare instruments apply stk_limit.csv --day 2026-11-20
    """
    from instruments.topic import write

    content, changes = _compared(file, bootstrap, day, skip=skip, remove_missing=remove_missing)
    if not changes.nothing:
        _run(write(bootstrap, changes.records, changes.removed))
    if as_json:
        print(json.dumps(_counted(content, changes)))
    else:
        print(f"{_summary(content, changes)}{': nothing to write' if changes.nothing else ''}")


@app.command()
def diff(
    file: File,
    bootstrap: Bootstrap = default("bootstrap"),
    *,
    day: Day = None,
    skip: Skip = False,
    remove_missing: Removing = False,
    as_json: AsJson = False,
) -> None:
    """Show what applying a file would change; nothing is written.

    Example: ashare instruments diff stock_basic.csv --remove-missing
    """
    from instruments.changes import differing

    content, changes = _compared(file, bootstrap, day, skip=skip, remove_missing=remove_missing)
    if as_json:
        fields = {after.code: {n: [a, b] for n, a, b in differing(before, after)} for before, after in changes.changed}
        found = {"changes": fields, "new": [one.code for one in changes.added], "gone": changes.removed}
        print(printable_json(json.dumps(_counted(content, changes) | found, ensure_ascii=False)))
        return
    for record in changes.added:
        print(printable(f"+ {record.code:<11} {record.name or ''}".rstrip()))
    for before, after in changes.changed:
        told = ", ".join(f"{name} {_value(was)} -> {_value(now)}" for name, was, now in differing(before, after))
        print(printable(f"~ {after.code:<11} {told}"))
    for code in changes.removed:
        print(printable(f"- {code}"))
    print(_summary(content, changes))


@app.command()
def show(
    codes: Annotated[list[str], typer.Argument(metavar="CODE", help="600519, 510300, 000001.SSE")],
    bootstrap: Bootstrap = default("bootstrap"),
    *,
    as_json: Annotated[bool, typer.Option("--json", help="one JSON object a line")] = False,
) -> None:
    """Show what is known of instruments. Exit code 1 where nothing is known of one.

    Example: ashare instruments show 600519 510300
    """
    import sys

    from instruments.changes import FIELDS
    from instruments.topic import read
    from market.codes import UnknownCode
    from market.kinds import resolve
    from schemas import encode

    try:
        wanted = [resolve(code.strip()) for some in codes for code in some.split(",") if code.strip()]
    except UnknownCode as error:
        raise UsageError(str(error)) from None
    held = _run(read(bootstrap))
    lacking = False
    for code in dict.fromkeys(wanted):
        record = held.get(code)
        if record is None:
            lacking = True
            why = "its record can't be read" if code in held else "nothing is known of it"
            sys.stderr.write(f"ashare: {code}: {why}: `ashare instruments apply FILE`\n")
        elif as_json:
            print(printable_json(encode(record).decode()))
        else:
            for name in FIELDS:
                if getattr(record, name) is not None:
                    print(printable(f"{name:<15} {_value(getattr(record, name))}"))
    if lacking:
        raise typer.Exit(1)


def _compared(
    file: Path, bootstrap: str, day: str | None, *, skip: bool, remove_missing: bool
) -> tuple[Content, Changes]:
    """The rows of a file, and what they change of what the topic holds.

    Raises:
        UsageError: rows can't be read, or the broker does not answer.
    """
    import sys

    from instruments.changes import compare
    from instruments.files import read as read_file
    from instruments.topic import read

    content = read_file(file, _day(day))
    named = [f"{file}, {one.place}: {one.why}" for one in content.refused]
    if len(named) > _SHOWN:
        named[_SHOWN:] = [f"… and {len(named) - _SHOWN:,} more rows"]
    if named and remove_missing:
        named.append("--remove-missing would remove what those rows hold: mend them first")
    elif named and not skip:
        named.append(
            f"{file}: {_rows(len(content.refused))} can't be read, so nothing is applied: mend them, or --skip"
        )
    elif named:
        sys.stderr.writelines(f"ashare: {printable(line)}\n" for line in named)
    if named and (remove_missing or not skip):
        raise UsageError("\n".join(map(printable, named)))
    if not content.rows:
        raise UsageError(f"{file} holds no instrument below its header")
    return content, compare(_run(read(bootstrap)), content.rows, remove_missing=remove_missing)


def _rows(count: int) -> str:
    return "1 row" if count == 1 else f"{count:,} rows"


def _day(given: str | None) -> str:
    """The day of prices: as given, else the latest trading day, today included."""
    from datetime import UTC, date, datetime, timedelta

    from market.calendar import is_trading_day
    from market.times import SHANGHAI

    if given is not None:
        try:
            return date.fromisoformat(given).isoformat()
        except ValueError:
            raise UsageError(f"--day {given!r} is not a date: write YYYY-MM-DD") from None
    day = datetime.now(UTC).astimezone(SHANGHAI).date()
    while not is_trading_day(day):
        day -= timedelta(days=1)
    return day.isoformat()


def _counted(content: Content, changes: Changes) -> dict[str, Any]:
    return {
        "form": content.form,
        "instruments": len(content.rows),
        "added": len(changes.added),
        "changed": len(changes.changed),
        "unchanged": changes.unchanged,
        "removed": len(changes.removed),
        "skipped": len(content.refused),
        "days": sorted(content.dated),
    }


def _summary(content: Content, changes: Changes) -> str:
    said = (
        f"{len(content.rows):,} instruments ({content.form}): {len(changes.added):,} added,"
        f" {len(changes.changed):,} changed, {changes.unchanged:,} unchanged, {len(changes.removed):,} removed"
    )
    if content.refused:
        said += f", {_rows(len(content.refused))} skipped"
    if content.dated:
        said += f"; prices of {max(content.dated)}"
    if changes.stale:
        said += f"; {len(changes.stale):,} have prices of a later day already, which stay"
    return said


def _value(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "–" if value is None else f"{value:,}" if isinstance(value, int) else str(value)


def _run(work: Coroutine[Any, Any, Any]) -> Any:
    """Run it; the client would log every attempt to reach a broker, and the one line at the end says it all."""
    import logging

    from broker.publisher import DeliveryError
    from broker.reader import ReadError

    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)
    try:
        return asyncio.run(work)
    except (ReadError, DeliveryError) as error:
        raise UsageError(f"{error}: is the broker well (--bootstrap)?") from error
