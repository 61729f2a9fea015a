"""What was withheld from lines, against what they announced: each gap is told of, and each one told of was there."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from selfcheck.findings import Findings

Json = dict[str, Any]
Codes = frozenset[str] | None
"""``None`` for all codes of a line."""

_LATER = ("reason", "start", "end", "codes", "detected", "missed", "line", "count")
"""Fields that an event need not have."""

SLACK = 1_000_000
"""µs by which an announced gap may begin or end off the injected one: frames are read and losses noticed in between."""


@dataclass(frozen=True)
class Gap:
    """Times in µs since the epoch; ``end`` is ``None`` for one that nobody closed."""

    start: int
    end: int | None
    codes: Codes
    what: str

    def covers(self, other: Gap) -> bool:
        """Whether the other lies within this one, codes and all, or nearly."""
        if other.end is None or self.end is None or _differing(self, other):
            return False
        return self.start <= other.start + SLACK and other.end <= self.end + SLACK

    def meets(self, other: Gap) -> bool:
        """Whether the two overlap, or nearly."""
        return self.start <= (other.end or self.start) + SLACK and other.start <= (self.end or other.start) + SLACK


def injected(directory: Path) -> list[Gap]:
    """The faults of a ledger for which somebody was not sent a tick that there was."""
    try:
        lines = (directory / "faults.jsonl").read_text("utf-8").splitlines()
    except FileNotFoundError:
        return []
    faults = [json.loads(line) for line in lines]
    return [
        Gap(fault["at"], fault["ended"], named_codes(fault["codes"]), f"{fault['kind']} on {fault['connection']}")
        for fault in faults
        if fault["loses_ticks"] and fault["to"] > fault["from"]
    ]


def announced(events: Sequence[Json]) -> list[Gap]:
    """The gaps among feed events."""
    return [
        Gap(event["start"], event["end"], named_codes(event.get("codes")), f"{event.get('id')}: {event.get('reason')}")
        for event in events
        if event["event"] == "gap" and event.get("start") is not None
    ]


def named_codes(codes: Any) -> Codes:
    """The codes that an event or a fault names."""
    return None if codes in (None, "all") else frozenset(codes)


@dataclass(frozen=True)
class GapCheck:
    """How the two compare.

    Attributes:
        injected: those that follow one another and were told of together count as one.
        wrong_codes: codes of an injected gap that its announcement left out, and the other way round.
    """

    injected: int
    announced: int
    wrong_codes: int


def check(was: Sequence[Gap], told: Sequence[Gap], findings: Findings) -> GapCheck:
    """Pair every injected gap with an announced one, first come first served; what is left over is a finding."""
    left = sorted(told, key=lambda gap: gap.start)
    paired: list[Gap] = []
    wrong = together = 0
    for gap in sorted(was, key=lambda gap: gap.start):
        fitting = [one for one in left if gap.meets(one)]
        if not fitting and any(one.covers(gap) for one in paired):
            together += 1
            continue
        if not fitting:
            findings.add("gaps_untold", what=gap.what, start=gap.start, end=gap.end)
            continue
        # Of several that fit in time, the one about the same codes: two lines may be down at once.
        best = min(fitting, key=lambda one: (_differing(gap, one), one.start))
        left.remove(best)
        paired.append(best)
        differing = _differing(gap, best)
        wrong += differing
        if differing:
            findings.add("gap_codes_wrong", count=differing, what=gap.what, told=best.what)
    for gap in left:
        findings.add("gaps_unreal", what=gap.what, start=gap.start, end=gap.end)
    return GapCheck(len(was) - together, len(told), wrong)


def read_events(values: Iterable[bytes | None]) -> list[Json]:
    """The events among the records of their topic, of this version or an older one; others' records are passed over."""
    events = []
    for value in values:
        try:
            event = json.loads(value or b"")
        except (ValueError, RecursionError):
            continue
        if isinstance(event, dict) and all(name in event for name in ("event", "source", "run", "n", "at")):
            # The first version named no event; whoever read it did by its source, run and time.
            named = event.get("id") or f"{event['source']}/{event['run']}/{event['at']}"
            events.append(dict.fromkeys(_LATER) | event | {"id": named})
    return events


def _differing(one: Gap, other: Gap) -> int:
    if one.codes is None or other.codes is None:
        return 0 if one.codes == other.codes else 1
    return len(one.codes ^ other.codes)


def whole_tape(directory: Path) -> Iterator[Path]:
    """The files that make up, in order, all that the market pushed while one of two equal connections always lived.

    A connection that is ended is followed by what it then was not sent, and that by the connection which replaced it:
    one is ended at a time, so the replacements come in the order of the ends.
    """
    files = sorted(directory.glob("connection-*.jsonl"))
    ended = [json.loads(line) for line in _lines(directory / "faults.jsonl")]
    victims = [fault["connection"] for fault in sorted(ended, key=lambda f: f["at"]) if fault["loses_ticks"]]
    successors = dict(zip(victims, (file.stem for file in files[2:]), strict=False))
    name: str | None = files[0].stem if files else None
    while name is not None:
        for file in (directory / f"{name}.jsonl", directory / f"withheld-{name}.jsonl"):
            if file.exists():
                yield file
        name = successors.get(name)


def _lines(file: Path) -> list[str]:
    return file.read_text("utf-8").splitlines() if file.exists() else []
