"""What commands write: text from outside never reaches a terminal or a log as it came, whatever encoding either has.

``guarded`` is put around a whole command. From then on

- what is printed to standard output is written by ``printable``, line by line, so that no escape sequence gets through;
- every log record's message is one printable line, whichever library logged it, and a traceback is printable too;
- a stream that lacks a character gets a plain one or an escape for it, instead of an error.

A printed *line* is in one piece only if its fields were: a field from outside is put through ``printable`` itself.
Tables and live displays need escape sequences of their own: they are made by ``console``, their cells by ``cell``.
"""

from __future__ import annotations

import codecs
import contextlib
import io
import json
import logging
import os
import sys
import traceback
from collections.abc import Iterator
from enum import Enum
from types import TracebackType
from typing import TYPE_CHECKING, Any, TextIO, cast

from schemas.outside import printable, printable_lines

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text

_PLAIN = str.maketrans({"–": "-", "—": "-", "…": "...", "·": "-", "→": "->", "×": "x", "µ": "u", "’": "'", "≤": "<="})
_ERRORS = "ashare.plain"


class Colour(Enum):
    """A colour, as a terminal's escape sequence names it."""

    RED = 31
    GREEN = 32


@contextlib.contextmanager
def guarded() -> Iterator[None]:
    """Guard standard output, standard error and the log of this process."""
    codecs.register_error(_ERRORS, _replaced)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors=_ERRORS)
    before = sys.stdout, sys.excepthook, logging.getLogRecordFactory()
    sys.stdout = cast("TextIO", _Guarded(sys.stdout))
    sys.excepthook = _told
    logging.setLogRecordFactory(_Record)
    try:
        yield
    finally:
        with contextlib.suppress(OSError, ValueError):
            sys.stdout.flush()
        sys.stdout, sys.excepthook = before[:2]
        logging.setLogRecordFactory(before[2])


def live(stream: TextIO) -> bool:
    """Whether a stream is a terminal that lines can be written to anew: a dumb one gets plain lines, as a file does."""
    return stream.isatty() and os.environ.get("TERM", "").lower() not in {"dumb", "unknown"}


def coloured() -> bool:
    """Whether standard output takes colours: NO_COLOR is respected."""
    return live(sys.stdout) and not os.environ.get("NO_COLOR")


def write(line: str, colour: Colour | None = None) -> None:
    """Write a line to standard output, made printable, in a colour where it takes colours."""
    if colour is None or not coloured():
        sys.stdout.write(f"{line}\n")
        return
    stream = sys.stdout
    raw = stream.raw if isinstance(stream, _Guarded) else stream
    raw.write(f"\x1b[{colour.value}m{printable_lines(line)}\x1b[0m\n")


def console(**options: Any) -> Console:
    """A Rich console on standard output; what goes into it from outside is put into ``cell``."""
    from rich.console import Console

    stream = sys.stdout
    return Console(file=cast("Any", stream).raw if isinstance(stream, _Guarded) else stream, **options)


def cell(value: object) -> Text:
    """A value as a cell of a table: one line, without markup."""
    from rich.text import Text

    return Text(printable(str(value)))


class _Guarded:
    """Standard output; all but what stands here is the stream's own."""

    encoding = "utf-8"
    """Any text can be written here: click would go around a stream that says ASCII, and write UTF-8 all the same."""

    def __init__(self, stream: TextIO) -> None:
        self.raw = stream

    def write(self, text: str) -> int:
        self.raw.write(printable_lines(text))
        return len(text)

    def writelines(self, lines: Iterator[str]) -> None:
        for line in lines:
            self.write(line)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.raw, name)


class _Record(logging.LogRecord):
    """A log record whose message is one printable line."""

    def getMessage(self) -> str:  # noqa: N802 - the library's name
        return printable(super().getMessage())


def _told(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    sys.stderr.write(printable_lines("".join(traceback.format_exception(kind, error, trace))))


def _replaced(error: UnicodeError) -> tuple[str | bytes, int]:
    """What stands for characters that a stream's encoding lacks (for ``codecs``)."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    lacking = error.object[error.start : error.end].translate(_PLAIN)
    return "".join(map(_written, lacking)), error.end


def _written(character: str) -> str:
    """A character in ASCII; as JSON escapes it, since what is printed may be JSON."""
    return character if character.isascii() else json.dumps(character)[1:-1]
