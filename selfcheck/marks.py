"""Gap marks of snapshots, against the events that tell of gaps: every code concerned bears its mark, no other does."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from selfcheck.findings import Findings

Json = dict[str, Any]

SUPERSEDED = 2_000_000
"""µs. A mark that another follows so soon may never be published: snapshots go out a few times a second."""


@dataclass(frozen=True)
class Due:
    """A mark that snapshots of some codes are to bear from a time on; ``codes`` is ``None`` for all of the line's."""

    mark: Json
    at: int
    source: str
    codes: frozenset[str] | None

    def concerns(self, code: str, lines: Collection[str]) -> bool:
        """Whether a code that came by these lines bears it."""
        return self.source in lines if self.codes is None else code in self.codes


def due(events: Sequence[Json]) -> list[Due]:
    """The marks that feed events call for, in order: a line that is lost or stopped, then the gap that is over.

    Of a producer that was killed, and of one that takes over from another, this knows nothing: neither is done here.
    """
    marks: list[Due] = []
    subscribed: dict[str, frozenset[str] | None] = {}
    away: set[str] = set()
    for event in events:
        source, codes = event["source"], event["codes"]
        named = frozenset(codes) if isinstance(codes, list) else None
        match event["event"]:
            case "subscribed" | "resubscribed":
                subscribed[source] = named
                away.discard(source)
            case "gap":
                mark = {"id": event["id"], "start": event["start"], "end": event["end"]}
                marks.append(Due(mark, event["at"], source, named))
            case "disconnected" | "stopped" if source in subscribed and source not in away:
                since = event["at"] if event["event"] == "stopped" else event["start"]
                if since is not None:
                    away.add(source)
                    mark = {"id": event["id"], "start": since, "end": None}
                    marks.append(Due(mark, event["at"], source, subscribed[source]))
    return marks


class MarkCheck:
    """Takes every snapshot that was published, in order, and then the latest of each code.

    Attributes:
        borne: marks that some snapshot bore, code by code.
    """

    def __init__(self, marks: Sequence[Due], findings: Findings) -> None:
        """Compares with what ``due`` gives."""
        self.borne = 0
        self._marks = marks
        self._findings = findings
        self._ids = {mark.mark["id"]: mark for mark in marks}
        self._everybody = [number for number, mark in enumerate(marks) if mark.codes is None]
        self._by_code: defaultdict[str, list[int]] = defaultdict(list)
        for number, mark in enumerate(marks):
            for code in mark.codes or ():
                self._by_code[code].append(number)
        self._seen: dict[str, _Seen] = {}

    def add(self, snapshot: Json) -> None:
        """Take one published snapshot."""
        seen = self._seen.get(snapshot["code"])
        if seen is None:
            seen = self._seen[snapshot["code"]] = _Seen(snapshot["received"])
        seen.lines.update(line["source"] for line in snapshot["lines"])
        mark = snapshot.get("gap")
        if mark is not None and mark not in seen.marks:
            seen.marks.append(mark)

    def finish(self) -> None:
        """Every mark borne is one that was due, and every one that was due was borne.

        But for a code that had no tick yet when it was told, and for a mark that was soon followed by another.
        """
        for code, seen in self._seen.items():
            self.borne += len(seen.marks)
            for mark in seen.marks:
                meant = self._ids.get(mark["id"])
                if meant is None or mark != meant.mark or not meant.concerns(code, seen.lines):
                    self._findings.add("mark_mismatches", code=code, why="no event says so", got=mark)
            concerning = self._concerning(code, seen.lines)
            for place, told in enumerate(concerning):
                following = concerning[place + 1 : place + 2]
                soon = following and following[0].at - told.at < SUPERSEDED
                if told.mark not in seen.marks and not soon and seen.since <= told.at:
                    self._findings.add("mark_mismatches", code=code, why="never published", due=told.mark)

    def wrong(self, latest: Mapping[str, Json]) -> list[Json]:
        """Where the latest snapshots do not bear the mark that was told last of all that concern them."""
        found = []
        for code, snapshot in latest.items():
            concerning = self._concerning(code, {line["source"] for line in snapshot["lines"]})
            meant = concerning[-1].mark if concerning else None
            if snapshot.get("gap", "absent") != meant:
                found.append({"code": code, "due": meant, "got": snapshot.get("gap", "absent")})
        return found

    def check(self, latest: Mapping[str, Json], place: str) -> None:
        """Enter those as findings."""
        for example in self.wrong(latest):
            self._findings.add("mark_mismatches", place=place, **example)

    def _concerning(self, code: str, lines: Collection[str]) -> list[Due]:
        """In the order in which they were told."""
        numbers = sorted([*self._by_code.get(code, ()), *self._everybody])
        return [mark for number in numbers if (mark := self._marks[number]).concerns(code, lines)]


@dataclass
class _Seen:
    """What the snapshots of one code showed: when its first tick was received, its lines, its different marks."""

    since: int
    lines: set[str] = field(default_factory=set)
    marks: list[Json] = field(default_factory=list)
