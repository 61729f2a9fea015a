"""A recorded file as a source: CSV or JSON lines, streamed, at the pace at which it was recorded or faster.

Columns (CSV, by header) or fields (JSON lines): ``code``, ``time`` and ``price``; ``date`` where times have none;
``volume``, ``turnover``, ``side``, ``previous_close``, ``seq``, ``exchange`` where the recording has them; all others
are ignored. ``simulator.columns`` says under which names they are known, ``simulator.values`` in which forms. A JSON
line may be a tick or a whole frame ``{"ticks":[…]}``, so that a ledger plays again.

What is in no known form is refused, with file, line and column. What is understood and is not as it stands (rows out of
order, rows without a trade, times without a date) is told of in ``notes`` and in the log.
"""

from __future__ import annotations

import codecs
import csv
import gzip
import io
import itertools
import logging
import sqlite3
import zlib
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import date
from decimal import Decimal
from functools import lru_cache
from pathlib import Path
from typing import Any, BinaryIO, Literal, NamedTuple, NoReturn, TextIO, TypeVar, cast

import orjson

from market.codes import UnknownCode, instrument
from market.times import shanghai_date
from schemas import UsageError
from schemas.outside import encoding_of
from simulator import columns, recorded_books, values
from simulator.columns import Column, ColumnError
from simulator.feed import Batch
from simulator.values import ValueUnreadError

log = logging.getLogger(__name__)

LONG_PAUSE_SECONDS = 1_800.0
"""A longer pause in the recording, as lunch and nights are, is not waited for."""
AHEAD = 50_000
"""Ticks that are read ahead, to see whether the rows are in the order of their times."""
ORDERED_MS = 1_000
"""How far a time may run back in a file that is in order: a feed's own pushes do so, and are played as they came."""
_LONGEST_LINE = 16 << 20
_SAMPLE = 1 << 20
_DELIMITERS = ",\t;|"
_LOT = Decimal(100)

Row = dict[str, Any]
T = TypeVar("T")
VolumeUnit = Literal["shares", "lots"]


class _Played(NamedTuple):
    """A tick of the file: its time, ms since the epoch, its code, its JSON text, and whether shares were traded."""

    time: int
    code: str
    text: str
    traded: bool


class PlayedFeed:
    """Ticks of a file, in the order of their times. ``time`` stays as recorded.

    Memory holds ``AHEAD`` ticks at most. Rows that go back in time by more than ``ORDERED_MS``, as in an export of one
    code after the other, are put in order by way of a temporary file; frames are played as they came.
    """

    def __init__(
        self,
        path: Path,
        *,
        speed: float = 1.0,
        today: date | None = None,
        volume_unit: VolumeUnit | None = None,
        books: bool = False,
    ) -> None:
        """Open a file.

        Args:
            speed: 2.0 plays in half the time.
            today: the Shanghai date of bare times of day.
            volume_unit: what the volumes count; by default what the column's name says, else shares.
            books: play the book and the day's figures too, where the file has them.

        Raises:
            UsageError: no such file, no such columns, or a bad first line.
        """
        self.notes: list[str] = []
        """What was understood and is not as it stands in the file, in words."""
        self._path = path
        self._speed = speed
        self._today = today
        self._volume_unit = volume_unit
        self._books = books
        self._line = 0
        self._due = 0.0
        self._last: int | None = None
        self._left_out: Counter[str] = Counter()
        self._dateless = False
        self._framed = False
        self._named = lru_cache(64)(self._columns)
        self._ticks = self._ordered()
        self._next: _Played | None = None
        self._error: UsageError | None = None
        self._fetch()
        if self._error is not None:
            raise self._error
        if self._next is None:
            raise UsageError(f"{path} can't be played: it holds no ticks")

    @property
    def next_due(self) -> float | None:
        """As ``Source.next_due``."""
        return None if self._next is None and self._error is None else self._due

    def take(self, elapsed: float, limit: int) -> Batch:
        """As ``Source.take``.

        Raises:
            UsageError: a bad line is next; the text names file, line and what is wrong with it.
        """
        if self._error is not None:
            raise self._error
        batch = Batch([], [], [])
        while self._next is not None and self._due <= elapsed and len(batch.texts) < limit:
            batch.codes.append(self._next.code)
            batch.texts.append(self._next.text)
            batch.traded.append(self._next.traded)
            self._fetch()
        return batch

    def knows(self, code: str) -> bool:
        """As ``Source.knows``: any code that can exist, since what the file holds is not known before its end."""
        try:
            instrument(code)
        except UnknownCode:
            return False
        return True

    def _fetch(self) -> None:
        """Go on to the next tick; what is wrong with it waits until those before it are taken."""
        try:
            self._next = next(self._ticks, None)
        except UsageError as error:
            self._next, self._error = None, error
        if self._next is not None:
            self._pass_time(self._next.time)

    def _ordered(self) -> Iterator[_Played]:
        """The ticks in the order in which they are played."""
        ticks, failed = self._read(), None
        ahead: list[_Played] = []
        try:
            ahead.extend(itertools.islice(ticks, AHEAD))
        except UsageError as error:
            failed = error
        latest, backwards = 0, False
        for tick in ahead:
            backwards |= tick.time < latest - ORDERED_MS
            latest = max(latest, tick.time)
        if backwards and not self._framed:
            self._note("its rows are not in the order of their times: they are sorted by time before they are played")
            yield from self._sorted(ahead, iter(()) if failed else ticks)
        else:
            yield from ahead
            if failed is None:
                yield from self._in_order(ticks, latest)
        if failed is not None:
            raise failed
        for why, number in self._left_out.items():
            self._note(f"{number:,} {why}")

    def _in_order(self, ticks: Iterator[_Played], latest: int) -> Iterator[_Played]:
        for tick in ticks:
            if tick.time < latest - ORDERED_MS and not self._framed:
                self._refuse(
                    f"its time is {(latest - tick.time) / 1000:,.0f} s before that of a line above, and more than"
                    f" {AHEAD:,} lines were in order: sort the file by its column of times"
                )
            latest = max(latest, tick.time)
            yield tick

    def _sorted(self, ahead: list[_Played], rest: Iterator[_Played]) -> Iterator[_Played]:
        """All ticks by time, those of one time as they stand: in a temporary file, whatever their number."""
        with sqlite3.connect("") as place:
            place.execute("CREATE TABLE ticks (time INTEGER, code TEXT, text TEXT, traded INTEGER)")
            place.executemany("INSERT INTO ticks VALUES (?, ?, ?, ?)", itertools.chain(ahead, rest))
            ahead.clear()
            for time, code, text, traded in place.execute("SELECT * FROM ticks ORDER BY time, rowid"):
                yield _Played(time, code, text, bool(traded))
        place.close()

    def _note(self, what: str) -> None:
        self.notes.append(what)
        log.warning("%s: %s", self._path, what)

    def _read(self) -> Iterator[_Played]:
        try:
            with self._open() as file:
                for row in self._json_rows(file) if self._is_json() else self._csv_rows(file):
                    tick = self._tick(row)
                    if tick is not None:
                        yield tick
        except (OSError, EOFError, zlib.error) as error:
            raise UsageError(f"{self._path} can't be played: {getattr(error, 'strerror', None) or error}") from error

    def _is_json(self) -> bool:
        return ".json" in self._path.suffixes or ".jsonl" in self._path.suffixes or ".ndjson" in self._path.suffixes

    def _open(self) -> TextIO:
        packed = self._path.suffix == ".gz"
        file = cast("BinaryIO", gzip.open(self._path) if packed else self._path.open("rb"))  # noqa: SIM115 - the wrapper's
        try:
            encoding = encoding_of(file.read(_SAMPLE))
            file.seek(0)
        except BaseException:
            file.close()
            raise
        # What is in no one encoding, as a garbled column of names, is not a column of ours.
        return io.TextIOWrapper(file, encoding=codecs.lookup(encoding).name, errors="replace", newline="")

    def _lines(self, file: TextIO) -> Iterator[str]:
        while line := file.readline(_LONGEST_LINE):
            self._line += 1
            if len(line) == _LONGEST_LINE:
                self._refuse("is longer than 16 MiB")
            yield line

    def _csv_rows(self, file: TextIO) -> Iterator[Row]:
        lines = self._lines(file)
        first = next(lines, "")
        delimiter = max(_DELIMITERS, key=first.count)
        reader = csv.reader(itertools.chain([first], lines), strict=True, delimiter=delimiter)
        try:
            header = next(reader, [])
            found = self._named(tuple(header))
            if "time" not in found and "date" in found:  # a column called date may hold both
                found["time"] = found.pop("date")
            missing = [name for name in columns.REQUIRED if name not in found]
            if missing:
                lacking = ", ".join(missing)
                self._refuse(f"the header lacks {lacking}: columns are code,[date,]time,price[,volume,turnover,side,…]")
            for row in reader:
                if not row:
                    continue
                if len(row) != len(header):
                    self._refuse(f"{len(row)} columns where the header has {len(header)}")
                if not any(cell.strip() for cell in row):
                    continue
                yield dict(zip(header, row, strict=True))
        except csv.Error as error:
            self._refuse(str(error))

    def _json_rows(self, file: TextIO) -> Iterator[Row]:
        heard = False  # a server may greet with a sentence before anything else
        for line in self._lines(file):
            if not line.strip():
                continue
            try:
                value = orjson.loads(line)
            except orjson.JSONDecodeError as error:
                if not heard and line.strip().isprintable() and line.lstrip()[0] not in '{["':
                    self._left_out["lines that are not ticks (greetings, answers) are left out"] += 1
                    continue
                self._refuse(f"not JSON: {error}")
            heard = True
            framed = isinstance(value, dict) and "ticks" in value
            self._framed |= framed
            rows = value["ticks"] if framed else [value]
            if not isinstance(rows, list):
                self._refuse("ticks is not an array")
            for row in rows:
                if not isinstance(row, dict):
                    self._refuse('a tick is an object like {"code":"600519","time":…,"price":…}')
                found = self._named(tuple(row))
                if not framed and "price" not in found and "time" not in found:
                    self._left_out["lines that are not ticks (greetings, answers) are left out"] += 1
                    continue
                yield row

    def _columns(self, names: tuple[str, ...]) -> dict[str, Column]:
        """Where the fields stand, by the names of a header or of an object."""
        try:
            found = columns.read(names, figures=self._books)
        except ColumnError as error:
            self._refuse(str(error))
        for name in ("volume", "day_volume"):
            volume = found.get(name)
            if volume is not None and self._volume_unit is not None:
                scale = _LOT if self._volume_unit == "lots" else Decimal(1)
                if volume.stated and volume.scale != scale:
                    self._refuse(f"column {volume.name!r} says its unit, and --volume-unit {self._volume_unit} another")
                found[name] = replace(volume, scale=scale)
        return found

    def _tick(self, row: Row) -> _Played | None:
        """The tick of a row; ``None`` where the row says that nothing was traded yet."""
        found = self._named(tuple(row))
        code = self._value("code", found, lambda c: values.code(row.get(c.name), self._of(row, found, "exchange")))
        time = self._time(row, found)
        tick: Row = {"code": code, "price": 0, "time": time}
        tick["price"] = self._value("price", found, lambda c: values.price(row.get(c.name), code, c.scale))
        for name in ("volume", "turnover", "previous_close", "seq"):
            if name in found:
                number = self._number(row, found, name)
                if number is not None:
                    tick[name] = number
        if not tick["price"]:
            if tick.get("volume") == 0 or (tick["price"] == 0 and "volume" not in tick):
                self._left_out["rows of price 0 are left out: nothing was traded yet"] += 1
                return None
            shown = self._of(row, found, "price")
            self._refuse(f"{self._name(found, 'price')} {shown!r} is not above 0 (a cancelled order is not a tick)")
        if "side" in found:
            side = self._value("side", found, lambda c: values.side(row.get(c.name)))
            if side:
                tick["side"] = side
        if self._books:
            tick |= self._beside(row, found)
        return _Played(time, code, orjson.dumps(tick).decode(), tick.get("volume") != 0)

    def _beside(self, row: Row, found: dict[str, Column]) -> Row:
        try:
            return recorded_books.beside(row, found)
        except ValueUnreadError as error:
            self._refuse(str(error))

    def _pass_time(self, time: int) -> None:
        """A time that runs backwards is due at once: a recording keeps the order in which its ticks arrived."""
        if self._last is not None and time > self._last:
            pause = (time - self._last) / 1000.0
            if pause <= LONG_PAUSE_SECONDS:
                self._due += pause / self._speed
        self._last = time if self._last is None else max(self._last, time)

    def _time(self, row: Row, found: dict[str, Column]) -> int:
        on, rest = None, ""
        if "date" in found and not values.absent(self._of(row, found, "date")):
            on, rest = self._value("date", found, lambda c: values.day(row.get(c.name)))
        written = self._of(row, found, "time")
        if values.absent(written) and rest:
            written = rest
        time, dateless = self._value("time", found, lambda _: values.time(written, on, self._today))
        if dateless and not self._dateless:
            self._dateless = True
            self._refuse_hidden_date(row, found)
            self._note(f"its times have no date and are played as of {shanghai_date(time)}: --start gives another date")
        return time

    def _refuse_hidden_date(self, row: Row, found: dict[str, Column]) -> None:
        """A time of day is not played as today's beside a column of dates whose name is not known."""
        taken = {column.name for column in found.values()}
        for name, value in row.items():
            if name not in taken and values.is_day(value):
                self._refuse(f"column {name!r} looks like the date of {self._name(found, 'time')}: name it date")

    def _number(self, row: Row, found: dict[str, Column], name: str) -> float | None:
        return self._value(name, found, lambda c: values.number(row.get(c.name), name, c.scale))

    def _value(self, field: str, found: dict[str, Column], read: Callable[[Column], T]) -> T:
        column = found.get(field) or Column(field)
        try:
            return read(column)
        except ValueUnreadError as error:
            self._refuse(f"{column.name.strip()} {error}")

    @staticmethod
    def _of(row: Row, found: dict[str, Column], field: str) -> Any:
        column = found.get(field)
        return None if column is None else row.get(column.name)

    @staticmethod
    def _name(found: dict[str, Column], field: str) -> str:
        return found[field].name.strip() if field in found else field

    def _refuse(self, why: str) -> NoReturn:
        raise UsageError(f"{self._path}, line {self._line}: {why}")
