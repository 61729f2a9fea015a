"""The rows of a store, read with plain SQL."""

from __future__ import annotations

import base64
import csv
import io
import json
import re
import sqlite3
import time
import urllib.parse
import urllib.request
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

from selfcheck.findings import Findings
from selfcheck.rows import Row
from selfcheck.ticks import COLUMNS

_SETTLING = 10.0
"""Seconds without a new row, after which no more will become visible."""

PLACE = ("kafka_topic", "kafka_partition", "kafka_offset", "kafka_timestamp")
_FILE = re.compile(r"ticks-(\d{4}-\d\d-\d\d)\.sqlite")
_ANOTHER_DAY = "SELECT count(*) FROM ticks WHERE date(time / 1000, 'unixepoch', '+8 hours') <> ?"


def sqlite_rows(directory: Path, findings: Findings) -> Iterator[Row]:
    """Every row of every day's file; rows in the file of another day are findings."""
    for file in sorted(set(directory.glob("*.sqlite")) - set(directory.glob("bars-*.sqlite"))):
        day = _FILE.fullmatch(file.name)
        with closing(sqlite3.connect(f"{file.as_uri()}?mode=ro", uri=True)) as database:
            strayed = database.execute(_ANOTHER_DAY, (day[1] if day else None,)).fetchone()[0]
            if strayed or day is None:
                findings.add("store_mismatches", count=max(strayed, 1), why="not the file of their day", file=file.name)
            names = ", ".join((*COLUMNS, *PLACE))
            yield from database.execute(f"SELECT {names} FROM ticks")  # noqa: S608 - our own column names


def questdb_rows(url: str, expected: int) -> Iterator[Row]:
    """Every row of the table ``ticks``, as its HTTP export gives it.

    What QuestDB has acknowledged becomes visible a little later (its WAL is applied by a job of its own), so this waits
    until ``expected`` rows are there, or nothing more comes.

    Args:
        url: ``questdb://USER@HOST:PORT?password_file=PATH``, or without user and password.
        expected: how many rows there should be.
    """
    server, headers = _server(url)
    visible, since = -1, time.monotonic()
    while visible < expected and time.monotonic() - since < _SETTLING:
        count = _count(server, headers)
        if count != visible:
            visible, since = count, time.monotonic()
        time.sleep(0.1)
    names = ", ".join((*COLUMNS, *PLACE))
    query = urllib.parse.urlencode({"query": f"SELECT {names} FROM ticks"})  # noqa: S608 - our own column names
    asked = urllib.request.Request(f"{server}/exp?{query}", headers=headers)  # noqa: S310 - http://
    with urllib.request.urlopen(asked, timeout=60.0) as answer:  # noqa: S310 - http://
        lines = csv.reader(io.TextIOWrapper(answer, "utf-8", newline=""))
        next(lines, None)
        for line in lines:
            yield tuple(_value(name, text) for name, text in zip((*COLUMNS, *PLACE), line, strict=True))


BAR_COLUMNS = (
    *("code", "session", "start", "end", "open", "high", "low", "close", "volume", "turnover", "ticks", "revision"),
    *("origin_partition", "origin_offset", "auction", "doubtful", "gap"),
)
_BARS = "SELECT " + ", ".join(f'"{name}"' for name in BAR_COLUMNS) + " FROM bars"  # noqa: S608 - our own column names


def sqlite_bars(directory: Path) -> list[dict[str, Any]]:
    """Every row of every day's file of bars."""
    found: list[dict[str, Any]] = []
    for file in sorted(directory.glob("bars-*.sqlite")):
        with closing(sqlite3.connect(f"{file.as_uri()}?mode=ro", uri=True)) as database:
            found += [dict(zip(BAR_COLUMNS, row, strict=True)) for row in database.execute(_BARS)]
    return found


def questdb_bars(url: str) -> list[dict[str, Any]]:
    """Every row of the table ``bars`` that is visible."""
    server, headers = _server(url)
    query = urllib.parse.urlencode({"query": _BARS, "limit": 10_000_000})
    asked = urllib.request.Request(f"{server}/exec?{query}", headers=headers)  # noqa: S310 - http://
    with urllib.request.urlopen(asked, timeout=60.0) as answer:  # noqa: S310 - http://
        return [dict(zip(BAR_COLUMNS, row, strict=True)) for row in json.load(answer)["dataset"]]


def _server(url: str) -> tuple[str, dict[str, str]]:
    """The root of QuestDB's HTTP, and what each request says of who asks."""
    parts = urllib.parse.urlsplit(url)
    server = f"http://{parts.hostname}:{parts.port}"
    files = urllib.parse.parse_qs(parts.query).get("password_file")
    if not files:
        return server, {}
    pair = f"{parts.username}:{Path(files[0]).read_text('utf-8').strip()}"
    return server, {"Authorization": f"Basic {base64.b64encode(pair.encode()).decode()}"}


def _count(server: str, headers: dict[str, str]) -> int:
    query = urllib.parse.urlencode({"query": "SELECT count() FROM ticks"})
    asked = urllib.request.Request(f"{server}/exec?{query}", headers=headers)  # noqa: S310 - http://
    with urllib.request.urlopen(asked, timeout=60.0) as answer:  # noqa: S310 - http://
        return int(json.load(answer)["dataset"][0][0])


_TEXTS = frozenset({"code", "exchange", "source", "side", "quality", "kafka_topic"})
_FRACTIONS = frozenset({"price", "volume", "turnover", "previous_close"})


def _value(name: str, text: str) -> Any:
    if not text:
        return None
    if name in _TEXTS:
        return text
    return float(text) if name in _FRACTIONS else int(text)
