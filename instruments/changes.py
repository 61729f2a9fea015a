"""What applying a file changes: rows laid over what is known. No I/O."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec

from instruments.rows import PRICES, Row
from schemas import Instrument

FIELDS = tuple(Instrument.__struct_fields__)


@dataclass(frozen=True)
class Changes:
    """What is to be written.

    Attributes:
        added: codes that were not known.
        changed: known ones, each with what it was.
        unchanged: how many codes of the file are known as they are.
        removed: known ones that the file does not have, where those are to go.
        stale: codes whose prices are of an earlier day than what is known of them, which stays.
    """

    added: list[Instrument] = field(default_factory=list)
    changed: list[tuple[Instrument | None, Instrument]] = field(default_factory=list)
    unchanged: int = 0
    removed: list[str] = field(default_factory=list)
    stale: list[str] = field(default_factory=list)

    @property
    def records(self) -> list[Instrument]:
        """What is written."""
        return [*self.added, *(after for _, after in self.changed)]

    @property
    def nothing(self) -> bool:
        """Whether everything is known as the file has it."""
        return not (self.added or self.changed or self.removed)


def compare(held: Mapping[str, Instrument | None], rows: Mapping[str, Row], *, remove_missing: bool = False) -> Changes:
    """What a file changes of what is held.

    What a row does not say stays as it was. Prices are of one day: those of an earlier day give way together, and a
    file of an earlier day changes none.

    Args:
        held: what is known, by code; ``None`` for a record that can't be read.
        rows: of the file, by code.
        remove_missing: remove codes that the file does not have.
    """
    found = Changes()
    unchanged = 0
    for code, row in rows.items():
        if code not in held:
            found.added.append(row.record)
            continue
        before = held[code]
        after = row.record if before is None else _over(before, row)
        if before is not None and before.day is not None and row.record.day is not None and row.record.day < before.day:
            found.stale.append(code)
        if after == before:
            unchanged += 1
        else:
            found.changed.append((before, after))
    missing = sorted(held.keys() - rows.keys()) if remove_missing else []
    return Changes(found.added, found.changed, unchanged, missing, found.stale)


def differing(before: Instrument | None, after: Instrument) -> Iterator[tuple[str, Any, Any]]:
    """The fields in which two records differ: name, before, after."""
    for name in FIELDS:
        was, now = None if before is None else getattr(before, name), getattr(after, name)
        if was != now:
            yield name, was, now


def _over(before: Instrument, row: Row) -> Instrument:
    said = {name: getattr(row.record, name) for name in row.said if getattr(row.record, name) is not None}
    if row.record.day is not None and row.record.day != before.day:
        if before.day is not None and row.record.day < before.day:
            for name in (*PRICES, "day"):
                said.pop(name, None)
        else:
            said = dict.fromkeys(PRICES) | said
    return msgspec.structs.replace(before, **said)
