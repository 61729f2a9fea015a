"""Records as columns: one a field under the field's name and in its unit, then the place in Kafka. Pure."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from operator import attrgetter
from typing import Any, Literal, get_args, get_origin, get_type_hints

import msgspec

from consumers.replay.merge import Batch
from schemas import (
    DeadLetter,
    Level,
    Record,
    RecordError,
    Tick,
    dead_letters,
    decode_each,
)
from schemas.json_schema import KINDS

Kind = Literal["text", "whole", "real", "bytes", "json", "levels"]
"""``json`` is a nested field as JSON text; ``levels`` are a side of a book, best first."""

PLACE: dict[str, Kind] = {
    "kafka_topic": "text",
    "kafka_partition": "whole",
    "kafka_offset": "whole",
    "kafka_timestamp": "whole",
}
"""Of each record, beside its fields; the timestamp in ms since the epoch. The store has the same."""
_ORIGIN: dict[str, Kind] = {"origin_partition": "whole", "origin_offset": "whole"}
_BARE: dict[str, Kind] = {"key": "bytes", "value": "bytes"}


class Columns:
    """The columns of one kind of record.

    Attributes:
        kinds: names and kinds, in order; an undeclared topic's records are ``key`` and ``value``, as they are.
        unreadable: records that were left out: no record of this kind, or a deleted key.
    """

    def __init__(self, kind: str) -> None:
        """Columns for a record type's name in ``topics.yaml``, "" for a topic that is not declared."""
        self.unreadable = 0
        self._record = KINDS.get(kind)
        self.kinds: dict[str, Kind] = dict(_BARE) if self._record is None else _fields(self._record)
        self._getters = None if self._record is None else [_getter(name, kind) for name, kind in self.kinds.items()]
        self.kinds |= PLACE

    def of(self, batch: Batch) -> list[Sequence[Any]]:
        """The columns of a batch, in the order of ``kinds``."""
        kept: Sequence[int] | None = None
        columns: list[Sequence[Any]]
        if self._getters is None:
            columns = [batch.keys, batch.values]
        else:
            records = self._records(batch)
            if None in records:
                kept = [index for index, record in enumerate(records) if record is not None]
                self.unreadable += len(records) - len(kept)
                records = [records[index] for index in kept]
            columns = [list(map(get, records)) for get in self._getters]
        places: list[Sequence[Any]] = [batch.partitions, batch.offsets, batch.timestamps]
        if kept is not None:
            places = [[place[index] for index in kept] for place in places]
        return [*columns, [batch.topic] * len(places[0]), *places]

    def _records(self, batch: Batch) -> list[Any]:
        if self._record is Tick:
            return list(batch.ticks)
        if self._record is DeadLetter:
            return [_letter(value, headers) for value, headers in zip(batch.values, batch.headers, strict=True)]
        assert self._record is not None
        return list(decode_each(self._record, batch.values, batch.timestamps))


def _letter(value: bytes | None, headers: Sequence[tuple[str, bytes]]) -> DeadLetter | None:
    try:
        return dead_letters.from_kafka(value or b"", headers)
    except RecordError:
        return None


def _fields(record: type[Record]) -> dict[str, Kind]:
    kinds: dict[str, Kind] = {}
    hints = get_type_hints(record)
    for name in record.__struct_fields__:
        if name == "origin":
            kinds |= _ORIGIN
        else:
            kinds[name] = _kind(hints[name])
    return kinds


def _kind(hint: Any) -> Kind:
    """The kind of a field's type; of a union, the widest of its parts'."""
    if get_origin(hint) is list and get_args(hint) == (Level,):
        return "levels"
    if get_origin(hint) is list or (isinstance(hint, type) and issubclass(hint, Record)):
        return "json"
    kinds = {_kind(part) for part in get_args(hint) if isinstance(part, type) or get_origin(part)}
    if hint is bytes:
        return "bytes"
    for nested in ("levels", "json"):
        if nested in kinds:
            return nested
    if hint is float or "real" in kinds:
        return "real"
    return "whole" if hint is int or "whole" in kinds else "text"


def _getter(name: str, kind: Kind) -> Callable[[Any], Any]:
    if name in _ORIGIN:
        return attrgetter(name.replace("_", ".", 1))
    if kind == "json":
        return lambda record: as_json(getattr(record, name))
    return attrgetter(name)


def as_json(value: Any) -> str | None:
    """A nested value as JSON text, as the record has it."""
    return None if value is None else msgspec.json.encode(value).decode()
