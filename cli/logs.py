"""The log of a command that keeps running: one line an event, for people or for programs.

A record may name its event and give figures beside its message: ``log.info("…", extra=event("report", lag=3))`` of
``broker.events``. For people they stand behind the message, ``event=report lag=3``; for programs each line is a JSON
object. Repeated warnings are limited in rate and counted, whichever library says them.
"""

from __future__ import annotations

import json
import logging
import os
import sys
from datetime import datetime
from typing import Any

from broker.quiet import Limit
from market.times import SHANGHAI
from schemas.outside import printable

FORMAT_VARIABLE, LEVEL_VARIABLE = "ASHARE_LOG_FORMAT", "ASHARE_LOG_LEVEL"
FORMATS = ("text", "json")
LEVELS = ("debug", "info", "warning", "error")
FORMAT = "%(asctime)s %(levelname)s %(name)s: %(message)s"
"""Of log lines for people; their times are Shanghai's, ``2026-11-20 09:30:01.250+08:00``."""


def log_to_stderr(level: int) -> None:
    """Let the process log to standard error, in the form and from the level on that the environment says.

    Args:
        level: where the environment says none.
    """
    chosen = os.environ.get(LEVEL_VARIABLE)
    if chosen in LEVELS:
        level = logging.getLevelNamesMapping()[chosen.upper()]
    handler = logging.StreamHandler(sys.stderr)
    handler.setLevel(level)  # loggers of libraries have levels of their own
    handler.setFormatter(_Json() if os.environ.get(FORMAT_VARIABLE) == "json" else _Text())
    handler.addFilter(_Repeated())
    logging.basicConfig(level=level, handlers=[handler])


class _Repeated(Limit):
    """Limits warnings and errors; what is told on purpose again and again stays."""

    def filter(self, record: logging.LogRecord) -> bool:
        return record.levelno < logging.WARNING or super().filter(record)


def _fields(record: logging.LogRecord) -> dict[str, Any]:
    found: dict[str, Any] = getattr(record, "fields", {})
    return found


class _Text(logging.Formatter):
    """A log line with Shanghai's time, and a traceback whose lines stand apart from log lines."""

    def __init__(self) -> None:
        super().__init__(FORMAT)

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - the library's name
        fields = "".join(f" {name}={_value(value)}" for name, value in _fields(record).items())
        return super().formatMessage(record) + fields

    def formatTime(self, record: logging.LogRecord, _: str | None = None) -> str:  # noqa: N802 - the library's name
        return datetime.fromtimestamp(record.created, SHANGHAI).isoformat(" ", "milliseconds")

    def formatException(self, ei: Any) -> str:  # noqa: N802 - the library's name
        return _indented(super().formatException(ei))

    def formatStack(self, stack_info: str) -> str:  # noqa: N802 - the library's name
        return _indented(stack_info)


def _indented(text: str) -> str:
    return "\n".join(f"  | {printable(line)}" for line in text.split("\n"))


class _Json(_Text):
    """A JSON object a line: ``time``, ``level``, ``logger``, ``event``, ``message``, then the event's own fields."""

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, Any] = {
            "time": self.formatTime(record).replace(" ", "T"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "event": _fields(record).get("event") or f"{record.module}.{record.funcName}",
            "message": printable(record.getMessage()),
        }
        line |= {name: value for name, value in _fields(record).items() if name not in line}
        if record.exc_info:
            trace = logging.Formatter.formatException(self, record.exc_info)
            line["exception"] = "\n".join(map(printable, trace.split("\n")))
        return json.dumps(line, ensure_ascii=True, default=str)


def _value(value: object) -> str:
    """A field for people: quoted where it would not be one word."""
    text = f"{value:g}" if isinstance(value, float) else str(value)
    plain = printable(text)
    return plain if plain and " " not in plain and '"' not in plain else json.dumps(plain, ensure_ascii=False)
