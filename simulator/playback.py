"""A recorded file as a source: CSV or JSON lines, streamed, at the pace at which it was recorded or faster.

Columns (CSV, by header) or fields (JSON lines): ``code``, ``time`` and ``price``; ``volume``, ``turnover``, ``side``,
``previous_close`` and ``seq`` where the recording has them; any others are ignored. A JSON line may be a tick or a
whole frame ``{"ticks":[…]}``, so that a ledger plays again. ``time`` is anything that ``market.times.parse_time``
reads, ``code`` any form that ``market.codes.normalise`` knows.
"""

from __future__ import annotations

import csv
import gzip
import zlib
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any, NoReturn, TextIO, cast

import orjson

from market.codes import UnknownCode, instrument, normalise
from market.times import TimeError, parse_time
from schemas import UsageError
from simulator.feed import Batch

REQUIRED = ("code", "time", "price")
LONG_PAUSE_SECONDS = 1_800.0
"""A longer pause in the recording, as lunch and nights are, is not waited for."""
_LONGEST_LINE = 16 << 20
_SIDES = {"buy": "buy", "b": "buy", "sell": "sell", "s": "sell"}
_LARGEST = 1 << 53
"""Above it a JSON number is no longer exact everywhere."""
_WHOLE = ("volume", "seq")
_ABSENT = ("", "null", "none", "nan")

Row = dict[str, Any]


class PlayedFeed:
    """Ticks of a file, in its order. ``time`` stays as recorded; memory holds one line at a time."""

    def __init__(self, path: Path, *, speed: float = 1.0, today: date | None = None) -> None:
        """Open a file; ``speed`` 2.0 plays in half the time, ``today`` is the Shanghai date of bare times of day.

        Raises:
            UsageError: no such file, no such columns, or a bad first line.
        """
        self._path = path
        self._speed = speed
        self._today = today
        self._line = 0
        self._due = 0.0
        self._last: int | None = None
        self._rows = self._read()
        self._next: tuple[str, str, bool] | None = None
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
            code, text, traded = self._next
            batch.codes.append(code)
            batch.texts.append(text)
            batch.traded.append(traded)
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
        """Read one tick ahead; what is wrong with it waits until those before it are taken."""
        try:
            self._next = next(self._rows, None)
        except UsageError as error:
            self._next, self._error = None, error

    def _read(self) -> Iterator[tuple[str, str, bool]]:
        try:
            with self._open() as file:
                for row in self._json_rows(file) if self._is_json() else self._csv_rows(file):
                    yield self._tick(row)
        except (OSError, EOFError, zlib.error) as error:
            raise UsageError(f"{self._path} can't be played: {getattr(error, 'strerror', None) or error}") from error

    def _is_json(self) -> bool:
        return ".json" in self._path.suffixes or ".jsonl" in self._path.suffixes or ".ndjson" in self._path.suffixes

    def _open(self) -> TextIO:
        # What is not UTF-8, as a GBK column of names, is no column of ours: it may be garbled.
        options: dict[str, Any] = {"encoding": "utf-8-sig", "errors": "replace", "newline": ""}
        if self._path.suffix == ".gz":
            return cast("TextIO", gzip.open(self._path, "rt", **options))
        return cast("TextIO", self._path.open(**options))

    def _lines(self, file: TextIO) -> Iterator[str]:
        while line := file.readline(_LONGEST_LINE):
            self._line += 1
            if len(line) == _LONGEST_LINE:
                self._refuse("is longer than 16 MiB")
            yield line

    def _csv_rows(self, file: TextIO) -> Iterator[Row]:
        reader = csv.reader(self._lines(file), strict=True)
        try:
            header = [name.strip().lower() for name in next(reader, [])]
            missing = [name for name in REQUIRED if name not in header]
            if missing:
                lacking = ", ".join(missing)
                self._refuse(f"the header lacks {lacking}: columns are code,time,price[,volume,turnover,side,…]")
            for row in reader:
                if not row:
                    continue
                if len(row) != len(header):
                    self._refuse(f"{len(row)} columns where the header has {len(header)}")
                yield dict(zip(header, row, strict=True))
        except csv.Error as error:
            self._refuse(str(error))

    def _json_rows(self, file: TextIO) -> Iterator[Row]:
        for line in self._lines(file):
            if not line.strip():
                continue
            try:
                value = orjson.loads(line)
            except orjson.JSONDecodeError as error:
                self._refuse(f"not JSON: {error}")
            rows = value.get("ticks") if isinstance(value, dict) and "ticks" in value else [value]
            if not isinstance(rows, list):
                self._refuse("ticks is not an array")
            for row in rows:
                if not isinstance(row, dict):
                    self._refuse('a tick is an object like {"code":"600519","time":…,"price":…}')
                yield row

    def _tick(self, row: Row) -> tuple[str, str, bool]:
        """Code, JSON text and whether shares were traded; sets when it is due."""
        code, time, price = self._code(row), self._time(row), self._number(row, "price")
        if not price:
            self._refuse(f"price {row.get('price')!r} is not above 0")
        tick: Row = {"code": code, "price": price, "time": time}
        for name in ("volume", "turnover", "previous_close", "seq"):
            number = self._number(row, name)
            if number is not None:
                tick[name] = number
        side = self._text(row, "side")
        if side.lower() not in _ABSENT:
            tick["side"] = _SIDES.get(side.lower()) or self._refuse(f"side {side!r} is neither buy nor sell")
        self._pass_time(time)
        return code, orjson.dumps(tick).decode(), tick.get("volume") != 0

    def _pass_time(self, time: int) -> None:
        """A time that runs backwards is due at once: a recording keeps the order in which its ticks arrived."""
        if self._last is not None and time > self._last:
            pause = (time - self._last) / 1000.0
            if pause <= LONG_PAUSE_SECONDS:
                self._due += pause / self._speed
        self._last = time if self._last is None else max(self._last, time)

    def _code(self, row: Row) -> str:
        code = self._text(row, "code")
        try:
            return normalise(code)
        except UnknownCode as error:
            digits = code.isdigit() and len(code) < len("000001")
            hint = " (has a spreadsheet taken the leading zeros away?)" if digits else ""
            self._refuse(f"code: {error}{hint}")

    def _time(self, row: Row) -> int:
        try:
            return parse_time(row.get("time", ""), today=self._today)
        except TimeError as error:
            self._refuse(f"time: {error}")

    def _number(self, row: Row, name: str) -> float | None:
        """A number from 0 up, JSON or text; ``None`` where the recording has none."""
        value = row.get(name)
        if value is None or (isinstance(value, str) and value.strip().lower() in _ABSENT):
            return None
        try:
            number: Any = float(value) if isinstance(value, str) else value
        except ValueError:
            number = None
        if type(number) not in (int, float) or not 0 <= number < _LARGEST:
            self._refuse(f"{name} {value!r} is not a number from 0 up")
        exact: float = number
        return int(exact) if name in _WHOLE and exact == int(exact) else exact

    def _text(self, row: Row, name: str) -> str:
        value = row.get(name)
        if value is not None and not isinstance(value, str):
            self._refuse(f"{name} {value!r} is not text")
        return value.strip() if value else ""

    def _refuse(self, why: str) -> NoReturn:
        raise UsageError(f"{self._path}, line {self._line}: {why}")
