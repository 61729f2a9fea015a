"""The ticks topic against the ledger, and what the topic holds at each place, for the store to be compared with."""

from __future__ import annotations

import json
from array import array
from collections import Counter
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

from selfcheck.books import BookCheck
from selfcheck.findings import EXAMPLES, Findings, Kind
from selfcheck.ledger import Ledger, fingerprint
from selfcheck.log import Entry
from selfcheck.missing import Heard, Outages
from selfcheck.reference import exchange_of
from selfcheck.sequences import compare

Json = dict[str, Any]
Identity = tuple[str, int, int]  # source, run, n

COLUMNS = (
    "code",
    "exchange",
    "price",
    "time",
    "received",
    "source",
    "run",
    "n",
    "volume",
    "turnover",
    "side",
    "seq",
    "previous_close",
    "quality",
)
"""The fields of a tick record, and so the columns of a store's row before its place."""

_NONE: array[int] = array("q")
_UNKNOWN = "unknown_code"
_LARGEST_RUN = 1 << 28
"""Numbers above this are not a check's ticks; they would only make the bitmap of a run unbounded."""


_TYPES: dict[str, type | tuple[type, ...]] = {
    "code": str,
    "price": (float, int),
    "time": int,
    "received": int,
    "source": str,
    "run": int,
    "n": int,
}


def _read(value: bytes | None) -> Json | None:
    try:
        tick = json.loads(value or b"")
    except ValueError:
        return None
    if not isinstance(tick, dict) or not all(isinstance(tick.get(name), kind) for name, kind in _TYPES.items()):
        return None
    return tick


def row_mark(values: tuple[Any, ...]) -> int:
    """64 bits that stand for a whole record: the values of ``COLUMNS`` and the Kafka timestamp (ms), in this order."""
    return hash(values)


@dataclass
class Partition:
    """What one partition of the ticks topic holds, eight bytes a record, and which of it a row was seen for."""

    first: int = 0
    marks: array[int] = field(default_factory=lambda: array("q"))
    seen: bytearray = field(default_factory=bytearray)


class TickCheck:
    """Takes the records of the ticks topic, partition by partition, in order; then compares them with the ledger."""

    def __init__(self, ledger: Ledger, findings: Findings, books: BookCheck | None = None) -> None:
        """Nothing was read yet; with ``books``, what is beside the ticks is compared too."""
        self.partitions: dict[int, Partition] = {}
        self.copies: dict[tuple[int, int], Identity] = {}
        """Places (partition, offset) of records whose identity had already come."""
        self.records = 0
        self.told = 0
        """Missing ticks that lie inside an announced gap."""
        self.heard: dict[tuple[str, int], Heard] = {}
        """By source and run, its first and last receipt."""
        self.repeated = 0
        """Records that are one before, sent again: the same to every field."""
        self.flaws: Counter[str] = Counter()
        self.lost: Counter[str] = Counter()
        """By code, how many were sent and are not in the topic; known when all is compared."""
        self._ledger = ledger
        self._findings = findings
        self._books = books
        self._got: dict[str, array[int]] = {}
        self._places: dict[str, array[int]] = {}
        self._home: dict[str, int] = {}
        self._runs: dict[tuple[str, int], bytearray] = {}
        self._numbers: dict[tuple[str, str], tuple[int, int]] = {}
        self._known: dict[int, set[int]] = {}

    def add(self, entry: Entry) -> Json | None:
        """Take one record; gives what its value reads as, ``None`` if it is not a tick."""
        self.records += 1
        tick = _read(entry.value)
        partition, offset = entry.partition, entry.offset
        held = self.partitions.get(partition)
        if held is None:
            held = self.partitions[partition] = Partition(first=offset)
        while len(held.marks) < offset - held.first:  # an offset without a record: a control batch
            held.marks.append(0)
            held.seen.append(1)
        if tick is None:
            held.marks.append(0)
            held.seen.append(1)
            self._note("malformed", partition, offset, why="no tick", value=repr(entry.value)[:200])
            return None
        mark = row_mark((*map(tick.get, COLUMNS), entry.timestamp))
        again = self._again(partition, held, tick, mark)
        held.marks.append(mark)
        held.seen.append(0)
        code = tick["code"]
        if again and entry.key == code.encode():
            self.repeated += 1
            self.copies[partition, offset] = (tick["source"], tick["run"], tick["n"])
            return tick
        self.flaws.update((tick.get("quality") or "").split(",") if tick.get("quality") else ())
        self._risen(entry, tick)
        self._hear(tick)
        if code not in self._got:
            self._got[code], self._places[code], self._home[code] = array("q"), array("q"), partition
        elif self._home[code] != partition:
            self._note("out_of_order", partition, offset, code=code, why=f"its partition was {self._home[code]}")
        self._got[code].append(fingerprint(tick))
        self._places[code].append(offset)
        if self._books is not None and (flaw := self._books.add(tick)) is not None:
            self._note("book_mismatches", partition, offset, code=code, why=f"the market's books are well: {flaw}")
        why = self._contradiction(entry, tick)
        if why is not None:
            self._note("malformed", partition, offset, why=why)
        return tick

    def _again(self, number: int, held: Partition, tick: Json, mark: int) -> bool:
        """Whether the partition holds this very record already."""
        known = self._known.get(number)
        if known is not None:
            again = mark in known
            known.add(mark)
            return again
        seen = self._runs.get((tick["source"], tick["run"]))
        if seen is None or not 0 <= tick["n"] < len(seen) or not seen[tick["n"]]:
            return False
        known = self._known[number] = set(held.marks)  # dear, and so only where records come again
        return mark in known

    def _hear(self, tick: Json) -> None:
        place, received = (tick["source"], tick["run"]), tick["received"]
        heard = self.heard.get(place)
        if heard is None:
            self.heard[place] = Heard(received, received)
        elif received < heard.first or received > heard.last:
            self.heard[place] = Heard(min(heard.first, received), max(heard.last, received))

    def _risen(self, entry: Entry, tick: Json) -> None:
        """For one code, run and number of a source rise."""
        place, number = (tick["code"], tick["source"]), (tick["run"], tick["n"])
        last = self._numbers.get(place)
        if last is not None and number <= last:
            told = {"code": tick["code"], "got": number, "after": last}
            self._note("numbers_fell", entry.partition, entry.offset, **told)
        self._numbers[place] = number

    def _contradiction(self, entry: Entry, tick: Json) -> str | None:
        code, exchange, received, n = tick["code"], tick.get("exchange"), tick["received"], tick["n"]
        if not 0 <= n < _LARGEST_RUN:
            return f"n is {n}"
        self._number(entry, (tick["source"], tick["run"], n))
        if entry.key is None or entry.key != code.encode():
            return f"key {entry.key!r} for code {code}"
        if exchange != exchange_of(code):
            return f"exchange {exchange} for code {code}"
        if entry.timestamp != received // 1000:
            return f"timestamp {entry.timestamp} ms, received {received} µs"
        if _UNKNOWN in (tick.get("quality") or ""):
            return f"quality {tick['quality']}: but the market sends only what was asked for"
        return None

    def _number(self, entry: Entry, identity: Identity) -> None:
        source, run, n = identity
        seen = self._runs.setdefault((source, run), bytearray())
        if n >= len(seen):
            seen.extend(bytes(max(n + 1 - len(seen), len(seen) // 2)))
        if seen[n]:
            self.copies[entry.partition, entry.offset] = identity
        seen[n] = 1

    def finish(self, outages: Outages | None = None) -> None:
        """Compare with the ledger, when everything was added.

        Args:
            outages: a tick that is missing inside one of them is ``told`` of, and not lost; one outside is a finding.
        """
        differences = {}
        for code in sorted(self._ledger.marks.keys() | self._got.keys()):
            sent, got = self._ledger.marks.get(code, _NONE), self._got.get(code, _NONE)
            if sent != got:
                differences[code] = compare(sent, got)
        lost = {(code, position) for code, difference in differences.items() for position in difference.lost}
        if outages is not None:
            lost = self._untold(lost, outages)
        ticks = self._ledger.look_up(set(islice(sorted(lost), EXAMPLES)))
        for code, position in sorted(lost):
            self.lost[code] += 1
            self._findings.add("lost", code=code, position=position, tick=ticks.get((code, position)))
        for code, difference in differences.items():
            for kind, positions in difference.in_got().items():
                for position in positions:
                    self._note(kind, self._home[code], self._places[code][position], code=code)
        for (source, run), seen in self._runs.items():
            self._holes(source, run, seen)
        for code, position in () if self._books is None else self._books.wrong(self._ledger.marks, self._got):
            self._note("book_mismatches", self._home[code], self._places[code][position], code=code)

    def _untold(self, missing: set[tuple[str, int]], outages: Outages) -> set[tuple[str, int]]:
        """Those that lie outside of every announced gap."""
        untold = set()
        for place, _, at in self._ledger.find(missing):
            if at is not None and outages.hold(place[0], at):
                self.told += 1
            else:
                untold.add(place)
        if untold:
            self._findings.add("missing_untold", count=len(untold), first=min(untold))
        return untold

    def _holes(self, source: str, run: int, seen: bytearray) -> None:
        last = seen.rfind(1)
        first = 1 if seen.find(1) == 1 else 0  # a run may count from 0 or from 1
        missing = last + 1 - first - seen.count(1)
        if missing > 0:
            self._findings.add("holes", count=missing, source=source, run=run, n=seen.find(0, first), last=last)

    def _note(self, kind: Kind, partition: int, offset: int, **more: object) -> None:
        self._findings.add(kind, partition=partition, offset=offset, **more)
