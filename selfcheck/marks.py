"""Gap marks of snapshots, against the events that tell of gaps: a mark covers all that concern its code, and no other.

From ``docs/decisions.md``: ``start`` is the earliest start of the gaps, ``end`` the latest end (null while one lasts),
``count`` how many they are, ``id`` the event that told of the latest. A check lies within one session.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from selfcheck.findings import Findings

Json = dict[str, Any]

SUPERSEDED = 2_000_000
"""µs. A mark that another follows so soon may never be published: snapshots go out a few times a second."""


@dataclass(frozen=True)
class Due:
    """A gap that snapshots of some codes are to bear from a time on; ``codes`` is ``None`` for all of the line's.

    Attributes:
        end: ``None`` while it lasts.
        ends: the gap that lasted until this was told, which is not a gap beside it.
        vague: since when exactly a code lacks ticks is told by its own last one: between ``start`` and ``at``.
        restart: what a producer tells of the one before, which was killed.
        over: it says only that ``ends`` is over, and since when.
        run: of the producer that told of it: times of two runs don't compare, as a clock may be put back between them.
    """

    id: str
    start: int
    end: int | None
    at: int
    source: str
    codes: frozenset[str] | None
    ends: str | None = None
    vague: bool = False
    restart: bool = False
    over: bool = False
    run: int = -1

    def concerns(self, code: str, lines: Collection[str]) -> bool:
        """Whether a code that came by these lines bears it."""
        return self.source in lines if self.codes is None else code in self.codes


@dataclass
class _Line:
    run: int = -1
    subscribed: bool = False
    codes: frozenset[str] | None = None
    at: int = 0
    lasting: Due | None = None
    foreign: bool = False
    """What lasts was another producer's, and so unknown to this one."""


def due(events: Sequence[Json]) -> list[Due]:
    """The marks that feed events call for, in order.

    A line that is lost, stopped or killed begins a gap that lasts. A gap that its producer tells of takes its place;
    that of another producer is over when the line is subscribed.
    """
    marks: list[Due] = []
    lines: dict[str, _Line] = {}
    for event in events:
        source, at = str(event["source"]), int(event["at"])
        codes, start, end = event["codes"], event["start"], event["end"]
        line = lines.setdefault(source, _Line())
        named = frozenset(codes) if isinstance(codes, list) else None
        made: Due | None = None
        match event["event"]:
            case "started" if event["run"] > line.run:
                if line.subscribed and line.lasting is None:
                    made = line.lasting = Due(event["id"], line.at, None, at, source, line.codes, vague=True)
                    line.foreign = True
                line.run, line.subscribed = event["run"], False
            case "disconnected" | "stopped" | "overflow" if end is None and line.subscribed and line.lasting is None:
                since = start if start is not None else at if event["event"] != "disconnected" else None
                if since is not None:
                    made = line.lasting = Due(event["id"], since, None, at, source, line.codes)
                    line.foreign = event["event"] == "stopped"
            case "subscribed" | "resubscribed":
                lasting, line.lasting = line.lasting, None
                line.subscribed, line.codes = True, named
                if lasting is not None:
                    gone = not line.foreign
                    made = replace(lasting, end=max(at, lasting.start), at=at, ends=lasting.id, over=gone)
            case "gap" | "overflow" if start is not None and end is not None:
                restart = event.get("detected") == "killed"
                ends = line.lasting.id if line.lasting is not None else None
                made = Due(event["id"], start, end, at, source, named, ends=ends, restart=restart)
        if made is not None:
            marks.append(replace(made, run=event["run"]))
        line.at = max(line.at, at)
    return marks


@dataclass(frozen=True)
class Covering:
    """What a code's mark is after a telling: a range where that can't be told from the events alone."""

    at: int
    ids: tuple[str, ...]
    start: tuple[int, int]
    end: int | None
    count: int
    run: int = -1

    def fits(self, mark: Json | None) -> bool:
        """Whether a snapshot's mark is this."""
        if mark is None or not self.ids:
            return mark is None and not self.ids
        return (
            mark.get("id") in self.ids
            and self.start[0] <= mark["start"] <= self.start[1]
            and mark.get("end", "absent") == self.end
            and mark.get("count") == self.count
        )

    def shown(self) -> Json:
        """For a finding."""
        return {"id": self.ids, "start": self.start, "end": self.end, "count": self.count}


_NONE = Covering(0, (), (0, 0), None, 0)


def covering(told: Sequence[Due]) -> list[Covering]:
    """A code's mark after each telling of those that concern it."""
    gaps: dict[str, Due] = {}
    found: list[Covering] = []
    for one in told:
        if one.ends is not None:
            gaps.pop(one.ends, None)
        if one.restart:  # it takes the place of what ``started`` alone told of
            for known in [gap.id for gap in gaps.values() if gap.vague and gap.source == one.source]:
                del gaps[known]
        if not one.over:
            gaps.pop(one.id, None)  # so that the latest told is the last
            gaps[one.id] = one
        if not gaps:
            found.append(Covering(one.at, (), (0, 0), None, 0, one.run))
            continue
        starts = [min(gap.start, gap.at) if gap.vague else gap.start for gap in gaps.values()]
        latest = [max(gap.start, gap.at) if gap.vague else gap.start for gap in gaps.values()]
        ends = [gap.end for gap in gaps.values() if gap.end is not None]
        found.append(
            Covering(
                one.at,
                # The latest: told last, or last by its own clock, where that was put back.
                (next(reversed(gaps)), max(gaps.values(), key=lambda gap: gap.at).id),
                (min(starts), min(latest)),
                None if len(ends) < len(gaps) else max(ends),
                len(gaps),
                one.run,
            )
        )
    return found


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
        self._everybody = [number for number, mark in enumerate(marks) if mark.codes is None]
        self._by_code: defaultdict[str, list[int]] = defaultdict(list)
        for number, mark in enumerate(marks):
            for code in mark.codes or ():
                self._by_code[code].append(number)
        self._seen: dict[str, _Seen] = {}
        self._coverings: dict[tuple[int, ...], list[Covering]] = {}

    def add(self, snapshot: Json) -> None:
        """Take one published snapshot."""
        seen = self._seen.get(snapshot["code"])
        if seen is None:
            seen = self._seen[snapshot["code"]] = _Seen(
                max((line["run"] for line in snapshot["lines"]), default=-1), snapshot["received"]
            )
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
            coverings = self._covering(code, seen.lines)
            for mark in seen.marks:
                if not any(one.fits(mark) for one in coverings):
                    self._findings.add("mark_mismatches", code=code, why="no event says so", got=mark)
            for place, told in enumerate(coverings):
                following = coverings[place + 1 : place + 2]
                soon = following and abs(following[0].at - told.at) < SUPERSEDED
                if not told.ids or soon or (seen.run, seen.since) > (told.run, told.at):
                    continue
                if not any(told.fits(mark) for mark in seen.marks):
                    self._findings.add("mark_mismatches", code=code, why="never published", due=told.shown())

    def wrong(self, latest: Mapping[str, Json]) -> list[Json]:
        """Where the latest snapshots do not bear what was told last of all that concerns them."""
        found = []
        for code, snapshot in latest.items():
            coverings = self._covering(code, {line["source"] for line in snapshot["lines"]})
            meant = coverings[-1] if coverings else _NONE
            if "gap" not in snapshot or not meant.fits(snapshot["gap"]):
                found.append({"code": code, "due": meant.shown(), "got": snapshot.get("gap", "absent")})
        return found

    def check(self, latest: Mapping[str, Json], place: str) -> None:
        """Enter those as findings."""
        for example in self.wrong(latest):
            self._findings.add("mark_mismatches", place=place, **example)

    def _covering(self, code: str, lines: Collection[str]) -> list[Covering]:
        """The code's mark after each telling, in their order; most codes share theirs with others."""
        numbers = sorted([*self._by_code.get(code, ()), *self._everybody])
        concerning = tuple(number for number in numbers if self._marks[number].concerns(code, lines))
        if concerning not in self._coverings:
            self._coverings[concerning] = covering([self._marks[number] for number in concerning])
        return self._coverings[concerning]


@dataclass
class _Seen:
    """What the snapshots of one code showed: the run and receipt of its first tick, its lines, its different marks."""

    run: int
    since: int
    lines: set[str] = field(default_factory=set)
    marks: list[Json] = field(default_factory=list)
