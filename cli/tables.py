"""Tables that are whole at any width: no name and no number is cut.

What is too wide for the terminal goes into another layout, the first that fits:

1. every column side by side;
2. the columns with ``below`` in a second line of each row, indented and wrapped;
3. a line for each cell, with the column's name.

Into a file or a pipe, each row is one line.
"""

from __future__ import annotations

import shutil
import sys
import textwrap
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from rich.cells import cell_len

from schemas.outside import printable

_GAP = 2
_INDENT = 4
_LEAST = 20
"""Columns of the terminal that a cell is wrapped into, at least."""


@dataclass(frozen=True)
class Column:
    """A column; ``right`` is for numbers, ``below`` for what may stand in a line of its own."""

    name: str
    right: bool = False
    below: bool = False


def width() -> int | None:
    """Columns of the terminal; ``None`` where standard output is none, and a line may be of any length."""
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else None


def show(columns: Sequence[Column], rows: Iterable[Sequence[object]], room: int | None = None) -> None:
    """Print a table.

    Args:
        rows: of each column a cell, made one printable line.
        room: characters that a line may have; default: those of the terminal.
    """
    for line in lines(columns, rows, width() if room is None else room):
        print(line)


def lines(columns: Sequence[Column], table: Iterable[Sequence[object]], room: int | None) -> list[str]:
    """A table as lines of at most ``room`` characters, unless a single word is longer."""
    cells = [[printable(str(cell)) for cell in row] for row in table]
    if room is None or _natural(columns, cells) <= room:
        return _aligned(columns, cells)
    main = [place for place, column in enumerate(columns) if not column.below]
    below = [place for place, column in enumerate(columns) if column.below]
    upper = [columns[place] for place in main]
    if below and _natural(upper, [[row[place] for place in main] for row in cells]) <= room:
        found: list[str] = []
        rows = [[column.name for column in columns], *cells]
        for line, row in zip(_aligned(upper, [[row[place] for place in main] for row in cells]), rows, strict=True):
            found += [line, *wrapped("  ".join(filter(None, (row[place] for place in below))), room, _INDENT)]
        return found
    return _stacked(columns, cells, room)


def side_by_side(rows: Sequence[Sequence[str]], room: int | None) -> list[list[str]]:
    """A table whose columns are things that are compared, as lines: as many tables, below one another, as it takes.

    Args:
        rows: the first holds the names of the things; the first cell of each row is its label.
    """
    label = max(cell_len(row[0]) for row in rows)
    widths = [max(cell_len(row[place]) for row in rows) for place in range(len(rows[0]))]
    parts: list[list[int]] = [[]]
    used = label
    for place in range(1, len(widths)):
        if room is not None and parts[-1] and used + _GAP + widths[place] > room:
            parts.append([])
            used = label
        parts[-1].append(place)
        used += _GAP + widths[place]
    return [
        [
            (" " * _GAP).join(_padded(row[at], label if at == 0 else widths[at]) for at in (0, *part)).rstrip()
            for row in rows
        ]
        for part in parts
    ]


def wrapped(text: str, room: int | None, indent: int = 0) -> list[str]:
    """A text in lines that are indented, broken between words; a word that is longer than a line stays whole."""
    if room is None:
        return [f"{'':{indent}}{text}"]
    return textwrap.wrap(
        text,
        max(room, indent + _LEAST),
        initial_indent=" " * indent,
        subsequent_indent=" " * indent,
        break_long_words=False,
        break_on_hyphens=False,
    )


def hanging(line: str, room: int | None, indent: int = _INDENT) -> list[str]:
    """A line as it is where there is room, else in several, all but the first indented; long words are broken."""
    if room is None or cell_len(line) <= room:
        return [line]
    return textwrap.wrap(line, max(room, indent + _LEAST), subsequent_indent=" " * indent, break_on_hyphens=False)


def say(line: str) -> None:
    """Print a line at once; on a terminal in as many as it needs, broken between words."""
    print("\n".join(hanging(line, width())), flush=True)


def _natural(columns: Sequence[Column], cells: Sequence[Sequence[str]]) -> int:
    return sum(_widths(columns, cells)) + _GAP * (len(columns) - 1)


def _widths(columns: Sequence[Column], cells: Sequence[Sequence[str]]) -> list[int]:
    return [
        max(cell_len(text) for text in (column.name, *(row[place] for row in cells)))
        for place, column in enumerate(columns)
    ]


def _aligned(columns: Sequence[Column], cells: Sequence[Sequence[str]]) -> list[str]:
    widths = _widths(columns, cells)
    return [
        (" " * _GAP)
        .join(_padded(text, size, right=column.right) for text, size, column in zip(row, widths, columns, strict=True))
        .rstrip()
        for row in ([column.name for column in columns], *cells)
    ]


def _stacked(columns: Sequence[Column], cells: Sequence[Sequence[str]], room: int) -> list[str]:
    label = max(cell_len(column.name) for column in columns)
    found: list[str] = []
    for row in cells:
        found += [""] if found else []
        for column, text in zip(columns, row, strict=True):
            first, *more = wrapped(text, max(room - label - _GAP, _LEAST)) or [""]
            found.append(f"{_padded(column.name, label)}{'':{_GAP}}{first}".rstrip())
            found += [f"{'':{label + _GAP}}{line}" for line in more]
    return found


def _padded(text: str, size: int, *, right: bool = False) -> str:
    pad = " " * (size - cell_len(text))
    return pad + text if right else text + pad
