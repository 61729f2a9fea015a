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

    A change that was emitted before comes again after a crash: that is allowed if it is the same to the byte. One
    ``ce_id`` is one content, over all partitions.

    A code's changes lie in the partition with the number of its ticks' partition: both topics are keyed by the code and
    have the same number of partitions. So partition by partition: its ticks, its changes, then ``finish_partition``.
    """

    def __init__(self, reference: ChangeReference, findings: Findings) -> None:
        """Nothing was read yet."""
        self.expected = 0
        self.records = 0
        self.repeated = 0
        self._reference = reference
        self._findings = findings
        self._open: dict[int, tuple[Change, Json]] = {}
        self._contents: dict[int, int] = {}
        self._ids = 0
        self._last: dict[str, int] = {}

    def tick(self, offset: int, tick: Json, rule: Rule | None = None) -> None:
        """Take a record of the partition's ticks; ``rule`` is the one in force, where it is not that of all."""
        change = self._reference.apply(tick, rule)
        if change is not None:
            self._open[offset] = change, {name: tick[name] for name in ("source", "run", "n", "received")}
            self.expected += 1

    def change(self, entry: Entry) -> None:
        """Take a record of the partition's changes."""
        identity = dict(entry.headers).get("ce_id") or b""
        where: Json = {"partition": entry.partition, "offset": entry.offset}
        if identity:
            content = hash((entry.key, entry.value, tuple(entry.headers)))
            first = self._contents.setdefault(hash(identity), content)
            if first != content:
                self._findings.add("ids_ambiguous", ce_id=identity.decode(errors="replace"), **where)
                return
            if len(self._contents) == self._ids:
                self.repeated += 1
                return
            self._ids += 1
        self.records += 1
        try:
            record = json.loads(entry.value or b"")
            origin = dict(record["origin"])
            place = int(origin["offset"])
        except (ValueError, TypeError, KeyError):
            value = repr(entry.value)[:200]
            self._findings.add("change_mismatches", why="no price change", value=value, **where)
            return
        where["origin"] = origin
        if origin.get("partition") != entry.partition or place not in self._open:
            self._findings.add("change_mismatches", why="no change is due at its origin", record=record, **where)
            return
        expected, cause = self._open.pop(place)
        wrong = {
            name: {"expected": due, "got": record.get(name, "absent")}
            for name, due in zip(Change._fields, expected, strict=True)
            if name not in record or record[name] != due
        }
        wrong |= _wrong_name(cause, record.get("cause"), identity)
        if entry.key != expected.code.encode():
            wrong["key"] = {"expected": expected.code, "got": repr(entry.key)}
        if place <= self._last.get(expected.code, -1):
            wrong["order"] = {"expected": f"after {self._last[expected.code]}", "got": place}
        self._last[expected.code] = place
        if wrong:
            self._findings.add("change_mismatches", why="fields differ", code=expected.code, fields=wrong, **where)

    def finish_partition(self, partition: int) -> None:
        """What was expected and did not come is missing."""
        for place, (change, _) in self._open.items():
            origin = {"partition": partition, "offset": place}
            self._findings.add("change_mismatches", why="missing", origin=origin, expected=change._asdict())
        self._open.clear()
        self._last.clear()


def change_id(source: str, run: int, n: int) -> str:
    """``SOURCE/RUN/N`` with what is not a letter, digit or ``-._~`` of the source as %XX of its UTF-8."""
    plain = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~"
    named = "".join(chr(byte) if byte in plain else f"%{byte:02X}" for byte in source.encode())
    return f"{named}/{run}/{n}"


def _wrong_name(cause: Json, told: Any, identity: bytes) -> Json:
    """Where a change does not name the tick that caused it; the receipt may be left out."""
    wrong: Json = {}
    got = told if isinstance(told, dict) else {}
    if any(got.get(name) != cause[name] for name in ("source", "run", "n")) or got.get("received") not in (
        None,
        cause["received"],
    ):
        wrong["cause"] = {"expected": cause, "got": told}
    due = change_id(cause["source"], cause["run"], cause["n"]).encode()
    if identity != due:
        wrong["ce_id"] = {"expected": due.decode(), "got": repr(identity)}
    return wrong
