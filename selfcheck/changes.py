"""The price-changes topic against the reference, one partition after the other."""

from __future__ import annotations

import json
from typing import Any

from selfcheck.exact import Rule
from selfcheck.findings import Findings
from selfcheck.log import Entry
from selfcheck.reference import Change, ChangeReference

Json = dict[str, Any]


class ChangeCheck:
    """Every expected change once, equal in every field, in the order of its ticks; and no other.

    A code's changes lie in the partition with the number of its ticks' partition: both topics are keyed by the code and
    have the same number of partitions. So partition by partition: its ticks, its changes, then ``finish_partition``.
    """

    def __init__(self, reference: ChangeReference, topic: str, findings: Findings) -> None:
        """Nothing was read yet; ``topic`` is that of the ticks, which the events' ids name."""
        self.expected = 0
        self.records = 0
        self._reference = reference
        self._topic = topic
        self._findings = findings
        self._open: dict[int, Change] = {}
        self._closed: set[int] = set()
        self._last: dict[str, int] = {}

    def tick(self, offset: int, tick: Json, rule: Rule | None = None) -> None:
        """Take a record of the partition's ticks; ``rule`` is the one in force, where it is not that of all."""
        change = self._reference.apply(tick, rule)
        if change is not None:
            self._open[offset] = change
            self.expected += 1

    def change(self, entry: Entry) -> None:
        """Take a record of the partition's changes."""
        self.records += 1
        try:
            record = json.loads(entry.value or b"")
            origin = dict(record["origin"])
            place = int(origin["offset"])
        except (ValueError, TypeError, KeyError):
            value = repr(entry.value)[:200]
            self._findings.add(
                "change_mismatches",
                why="no price change",
                partition=entry.partition,
                offset=entry.offset,
                value=value,
            )
            return
        where: Json = {"partition": entry.partition, "offset": entry.offset, "origin": origin}
        if origin.get("partition") != entry.partition or place not in self._open:
            again = origin.get("partition") == entry.partition and place in self._closed
            why = "its tick had already caused a change" if again else "no change is due at its origin"
            self._findings.add("change_mismatches", why=why, record=record, **where)
            return
        expected = self._open.pop(place)
        self._closed.add(place)
        wrong = {
            name: {"expected": due, "got": record.get(name, "absent")}
            for name, due in zip(Change._fields, expected, strict=True)
            if name not in record or record[name] != due
        }
        event = f"{self._topic}/{entry.partition}/{place}".encode()
        found = dict(entry.headers).get("ce_id")
        if found != event:
            wrong["ce_id"] = {"expected": event.decode(), "got": repr(found)}
        if entry.key != expected.code.encode():
            wrong["key"] = {"expected": expected.code, "got": repr(entry.key)}
        if place <= self._last.get(expected.code, -1):
            wrong["order"] = {"expected": f"after {self._last[expected.code]}", "got": place}
        self._last[expected.code] = place
        if wrong:
            self._findings.add("change_mismatches", why="fields differ", code=expected.code, fields=wrong, **where)

    def finish_partition(self, partition: int) -> None:
        """What was expected and did not come is missing."""
        for place, change in self._open.items():
            origin = {"partition": partition, "offset": place}
            self._findings.add("change_mismatches", why="missing", origin=origin, expected=change._asdict())
        self._open.clear()
        self._closed.clear()
        self._last.clear()
