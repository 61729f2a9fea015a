"""Which records of a state topic count, before any of them is read whole: a log that is not compacted yet has many."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

Marks = Mapping[str, tuple[Any, ...]]
"""Run and number of the last tick of each line; what else a mark holds does not count here."""
_NOTHING = (-1, -1)


class _Line(msgspec.Struct, gc=False):
    """As ``LineMark``, whose bounds are looked at when the row is read whole."""

    source: str
    run: int
    n: int


class _Row(msgspec.Struct, gc=False):
    """What all state rows have in common: the last tick of each line that is in them."""

    lines: list[_Line] | None = None


_decode = msgspec.json.Decoder(_Row).decode


def older(marks: Marks, than: Marks) -> bool:
    """Whether a row is one from before some of another's ticks."""
    mine, others = ({source: mark[:2] for source, mark in some.items()} for some in (marks, than))
    return mine != others and all(mark <= others.get(source, _NOTHING) for source, mark in mine.items())


def counting(keys: Sequence[bytes | None], values: Sequence[bytes | None]) -> list[int]:
    """Indexes of the records which give the same rows as all of them, in order, if each of them is a row.

    Of a key that is the latest row that holds every tick of all its others. All records of a key count where there is
    none such, as with rows of different lines, or where one can't be told by its marks: a tombstone, or what is not a
    row.
    """
    by_key: dict[bytes | None, list[int]] = {}
    for index, key in enumerate(keys):
        by_key.setdefault(key, []).append(index)
    found: list[int] = []
    for indexes in by_key.values():
        latest = _latest(indexes, values) if len(indexes) > 1 else None
        found += indexes if latest is None else [latest]
    found.sort()
    return found


def _latest(indexes: Sequence[int], values: Sequence[bytes | None]) -> int | None:
    latest, held = indexes[0], _marks(values[indexes[0]])
    for index in indexes[1:]:
        marks = _marks(values[index])
        if held is None or marks is None:
            return None
        if _within(held, marks):
            latest, held = index, marks
        elif not _within(marks, held):
            return None
    return latest


def _within(marks: Marks, others: Marks) -> bool:
    """Whether one row holds no tick that another does not."""
    return all(mark <= others.get(source, _NOTHING) for source, mark in marks.items())


def _marks(value: bytes | None) -> Marks | None:
    if value is None:
        return None
    try:
        lines = _decode(value).lines
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None
    if not lines:
        return None
    if len(lines) == 1:
        return {lines[0].source: (lines[0].run, lines[0].n)}
    marks: dict[str, tuple[int, int]] = {}
    for line in lines:
        marks[line.source] = max((line.run, line.n), marks.get(line.source, _NOTHING))
    return marks
