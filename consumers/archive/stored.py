"""The table ``ticks`` of a store, day by day, through its public interface: SQLite's day files or QuestDB's HTTP."""

from __future__ import annotations

import csv
import http.client
import io
import re
import sqlite3
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import closing
from datetime import date
from itertools import groupby
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import quote, urlencode, urlsplit

import orjson
import pyarrow as pa

from broker.chunk import Chunk
from consumers.archive.kinds import kinds
from market.times import DAY_MS, day_start
from schemas import Tick, UsageError, encode

_FIELDS = Tick.__struct_fields__
NAMES = (*_FIELDS, "kafka_topic", "kafka_partition", "kafka_offset", "kafka_timestamp")
"""The columns of the table, in the order in which rows have them here."""
_ADDED = {"quality"}  # columns that a store's older tables lack
ROWS = 8_192
_NAME = re.compile(r"ticks-(\d{4}-\d{2}-\d{2})\.sqlite")
_TIMEOUT = 60.0  # s, QuestDB's own for a query

Rows = Iterator[Sequence[Sequence[Any]]]


class StoredTicks(Protocol):
    """A store's ticks by day."""

    def days(self) -> list[str]:
        """The Shanghai days (YYYY-MM-DD) that there are ticks of, oldest first."""

    def rows(self, day: str, topic: str | None = None) -> Rows:
        """A day's rows in lists of at most ``ROWS``: of a topic, then by partition and offset, or all in any order."""


class StoredDays:
    """A store's ticks by day, as chunks for the archive and as Arrow for SQL."""

    def __init__(self, ticks: StoredTicks) -> None:
        """Nothing is read yet."""
        self._ticks = ticks

    def days(self) -> list[str]:
        """The days that there are ticks of, oldest first."""
        return self._ticks.days()

    def chunks(self, day: str, topic: str) -> Iterator[Chunk]:
        """A day's ticks of a topic by partition and offset.

        Raises:
            UsageError: two ticks have one place, so they are of two topics of the same name.
        """
        place = NAMES.index("kafka_partition")
        before = (-1, -1)
        for rows in self._ticks.rows(day, topic):
            for partition, some in groupby(rows, key=lambda row: row[place]):
                chunk = _chunk(topic, partition, list(some))
                if (partition, chunk.start) <= before or len(set(chunk.offsets)) < len(chunk.offsets):
                    raise UsageError(
                        f"the store has two ticks of {day} under one offset of partition {partition}: {topic} was made"
                        " anew between them, and an archive holds one topic"
                    )
                before = (partition, chunk.end - 1)
                yield chunk

    def batches(self, day: str) -> Iterator[pa.RecordBatch]:
        """A day's rows, with the columns ``NAMES``."""
        for rows in self._ticks.rows(day):
            columns = zip(*rows, strict=True)
            arrays = [pa.array(values, kind) for values, kind in zip(columns, SCHEMA.types, strict=True)]
            yield pa.RecordBatch.from_arrays(arrays, schema=SCHEMA)


SCHEMA = pa.schema([kinds()["tick"].schema.field(name) for name in NAMES])
_READERS = [{pa.string(): str, pa.int64(): int}.get(kind, float) for kind in SCHEMA.types]


class SqliteTicks:
    """Day files in a directory, read-only."""

    def __init__(self, directory: Path) -> None:
        """Nothing is opened yet."""
        self._directory = directory

    def days(self) -> list[str]:
        """See ``StoredTicks``."""
        if not self._directory.exists():
            return []
        try:
            found = (_NAME.fullmatch(path.name) for path in self._directory.iterdir())
            return sorted(match[1] for match in found if match)
        except OSError as error:
            raise UsageError(f"the store's directory can't be read: {error.strerror}: {self._directory}") from error

    def rows(self, day: str, topic: str | None = None) -> Rows:
        """See ``StoredTicks``."""
        path = self._directory / f"ticks-{day}.sqlite"
        which = ""
        values: tuple[str, ...] = ()
        if topic is not None:
            which = " WHERE kafka_topic = ? ORDER BY kafka_partition, kafka_offset"
            values = (topic,)
        try:
            with closing(_connected(path)) as connection:
                if connection.execute("SELECT 1 FROM sqlite_master LIMIT 1").fetchone() is None:
                    return  # a worker is just making it
                there = {row[1] for row in connection.execute("PRAGMA table_info(ticks)")}
                cursor = connection.execute(f"SELECT {_selected(there)} FROM ticks{which}", values)  # noqa: S608 - our names
                while rows := cursor.fetchmany(ROWS):
                    yield rows
        except sqlite3.Error as error:
            raise UsageError(f"{path}: {error}: it is no file of this store, or damaged: move it away") from error


def _connected(path: Path) -> sqlite3.Connection:
    """Open a day's file read-only, whichever thread reads it."""
    address = f"file:{quote(str(path.absolute()))}?mode=ro"
    connection = sqlite3.connect(address, uri=True, timeout=5.0, check_same_thread=False)
    try:
        connection.execute("SELECT 1 FROM sqlite_master LIMIT 1")
    except sqlite3.OperationalError as error:
        connection.close()
        # A file in WAL mode needs a place for its shared memory, unless nothing writes it any more.
        if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_CANTOPEN or path.with_name(f"{path.name}-wal").exists():
            raise
        return sqlite3.connect(f"{address}&immutable=1", uri=True, check_same_thread=False)
    return connection


class QuestDbTicks:
    """QuestDB's table, over its HTTP port; answers are streamed."""

    def __init__(self, http: str, *, table: str = "ticks", headers: Mapping[str, str] | None = None) -> None:
        """Nothing connects yet; ``http`` is the server's root, ``headers`` say who asks."""
        self._http = http
        self._headers = dict(headers or {})
        self._table = table

    def days(self) -> list[str]:
        """See ``StoredTicks``."""
        shanghai = "timestamp_floor('d', dateadd('h', 8, timestamp))"
        rows = self._answer(f"SELECT DISTINCT {shanghai} day FROM {self._table} ORDER BY day")  # noqa: S608 - nothing of a user's
        next(rows, None)
        return [row[0][:10] for row in rows]

    def rows(self, day: str, topic: str | None = None) -> Rows:
        """See ``StoredTicks``."""
        start = day_start(date.fromisoformat(day))
        there = {row[0] for row in self._answer(f"SELECT \"column\" FROM table_columns('{self._table}')")}  # noqa: S608 - nothing of a user's
        sql = f"SELECT {_selected(there)} FROM {self._table}"  # noqa: S608 - our own names
        sql += f" WHERE timestamp >= {start * 1000} AND timestamp < {(start + DAY_MS) * 1000}"
        if topic is not None:
            quoted = topic.replace("'", "''")
            sql += f" AND kafka_topic = '{quoted}' ORDER BY kafka_partition, kafka_offset"
        lines = self._answer(sql)
        next(lines, None)
        some: list[list[Any]] = []
        for line in lines:
            some.append([None if text == "" else read(text) for read, text in zip(_READERS, line, strict=True)])
            if len(some) == ROWS:
                yield some
                some = []
        if some:
            yield some

    def _answer(self, sql: str) -> Iterator[list[str]]:
        address = urlsplit(self._http)
        connection = http.client.HTTPConnection(address.hostname or "", address.port, timeout=_TIMEOUT)
        try:
            connection.request("GET", "/exp?" + urlencode({"query": sql}), headers=self._headers)
            answer = connection.getresponse()
            if answer.status in {http.HTTPStatus.UNAUTHORIZED, http.HTTPStatus.FORBIDDEN}:
                raise UsageError(
                    f"QuestDB at {self._http} wants another user and password: questdb://USER@HOST:9000?password_file="
                    "PATH, or --store-password-file PATH"
                )
            if answer.status != http.HTTPStatus.OK:
                raise UsageError(f"QuestDB: {_reason(answer.read())}")
            yield from csv.reader(io.TextIOWrapper(answer, "utf-8", newline=""))
        except (OSError, http.client.HTTPException, csv.Error) as error:
            raise UsageError(
                f"no QuestDB answers at {self._http} ({error}): start it, or name another with --store"
            ) from error
        finally:
            connection.close()


def _selected(there: Collection[str]) -> str:
    """The columns ``NAMES`` of a table, null where it was made before they were added."""
    return ", ".join(f"NULL AS {name}" if name in _ADDED and name not in there else name for name in NAMES)


def _reason(body: bytes) -> str:
    try:
        return str(orjson.loads(body)["error"])
    except (orjson.JSONDecodeError, KeyError, TypeError):
        return body[:200].decode("utf-8", "replace")


def _chunk(topic: str, partition: int, rows: Sequence[Sequence[Any]]) -> Chunk:
    fields = len(_FIELDS)
    volume = _FIELDS.index("volume")
    chunk = Chunk(topic, partition, rows[0][fields + 2])
    for row in rows:
        values = [*row[:volume], _whole(row[volume]), *row[volume + 1 : fields]]
        tick = Tick(*values)
        chunk.offsets.append(row[fields + 2])
        chunk.timestamps.append(row[fields + 3])
        chunk.keys.append(tick.code.encode())
        chunk.values.append(encode(tick))
    chunk.end = chunk.offsets[-1] + 1
    return chunk


def _whole(value: float | None) -> float | int | None:
    """Whole shares as a whole number, as the log has them; a store may keep them as floating point."""
    return int(value) if isinstance(value, float) and value.is_integer() else value
