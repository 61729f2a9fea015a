"""Ticks that nobody got, one by one: each lies inside a gap that was announced.

The ledger's pages say when each was pushed, by the machine's clock. A producer of the check may go by another clock
(``--clock-step``), and each of its runs by a clock of its own: what its events say is set back to the machine's first.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from selfcheck.findings import Findings
from selfcheck.gaps import SLACK, Codes, named_codes

Json = dict[str, Any]
RunKey = tuple[str, int]
"""Source and run."""


BEHIND = 3 * SLACK
"""µs by which a producer may be behind what is on its socket: a gap begins when it read its last tick."""


@dataclass(frozen=True)
class Launch:
    """A start of the producer: when (µs since the epoch), and how far off the machine's clock its own was (µs)."""

    at: int
    offset: int


@dataclass(frozen=True)
class Outage:
    """An announced gap in the machine's time, µs since the epoch."""

    start: int
    end: int
    codes: Codes


class Outages:
    """Announced gaps, to be asked whether they hold a tick."""

    def __init__(self, outages: Iterable[Outage]) -> None:
        """Of any lines."""
        self._outages = sorted(outages, key=lambda one: one.start)

    def hold(self, code: str, at: int) -> bool:
        """Whether a tick that was pushed then lies inside one of them."""
        return any(
            one.start - BEHIND <= at <= one.end + SLACK and (one.codes is None or code in one.codes)
            for one in self._outages
        )


def announced(events: Sequence[Json]) -> Outages:
    """The gaps that events tell of, by a producer whose clock is the machine's."""
    return Outages(
        Outage(event["start"], event["end"], named_codes(event.get("codes")))
        for event in events
        if event["event"] == "gap" and event.get("start") is not None and event.get("end") is not None
    )


def withheld(ledger: Path) -> Iterator[tuple[str, str, int]]:
    """Page, code and time of every tick that a connection was not sent."""
    for page in sorted(ledger.glob("withheld-*.jsonl")):
        with page.open("rb") as lines:
            for line in lines:
                entered = json.loads(line)
                for tick in entered["ticks"]:
                    yield page.stem, tick["code"], entered["at"]


def check_withheld(ledger: Path, outages: Outages, findings: Findings) -> None:
    """Every tick that was withheld lies inside an announced gap of its code."""
    untold: Counter[str] = Counter()
    example: dict[str, Json] = {}
    for page, code, at in withheld(ledger):
        if not outages.hold(code, at):
            untold[page] += 1
            example.setdefault(page, {"code": code, "at": at})
    for page, count in untold.items():
        findings.add("missing_untold", count=count, page=page, first=example[page])


@dataclass(frozen=True)
class Heard:
    """First and last receipt among the published ticks of a run, µs by the run's own clock."""

    first: int
    last: int


class Restarts:
    """The producer's launches, and what the runs announced of the time between them.

    Attributes:
        due: runs before which another was killed, and which have published a tick.
        announced: gaps that runs told of after a kill.
    """

    def __init__(self, launches: Sequence[Launch], events: Sequence[Json], heard: Mapping[RunKey, Heard]) -> None:
        """Match each run with its launch, by its first event."""
        self._launches = launches
        self._heard = heard
        self._number: dict[RunKey, int] = {}
        for event in events:
            run = event["source"], event["run"]
            if run not in self._number:
                self._number[run] = self._launch_of(event["at"])
        self.due = [run for run in heard if self._number.get(run, 0) > 0 and self._before(run) is not None]
        self._gaps = [event for event in events if event["event"] == "gap" and event.get("end") is not None]
        self.announced = sum(1 for event in self._gaps if event.get("detected") == "killed")

    def outages(self) -> Outages:
        """What was announced, by the machine's clock."""
        return Outages(Outage(*self._span(event), named_codes(event.get("codes"))) for event in self._gaps)

    def check(self, findings: Findings) -> None:
        """Each run that follows a killed one tells of that, and nothing else is told of."""
        telling: Counter[RunKey] = Counter()
        for event in self._gaps:
            run = event["source"], event["run"]
            if event.get("detected") != "killed":
                findings.add("gaps_unreal", what=event.get("reason"), id=event.get("id"))
                continue
            telling[run] += 1
            if telling[run] > 1 or self._number.get(run, 0) == 0:
                findings.add("gaps_unreal", what="no run was killed before", id=event.get("id"))
        for run in self.due:
            if not telling[run]:
                findings.add("gaps_untold", what="the run before was killed", source=run[0], run=run[1])

    def _span(self, event: Json) -> tuple[int, int]:
        run = event["source"], event["run"]
        own, start, end = self._offset(run), int(event["start"]), int(event["end"])
        before = self._before(run)
        if event.get("detected") != "killed" or before is None:
            return start - own, end - own
        # It begins by the clock of the run that was killed, and ends by its own, with its first tick at the latest.
        # Where that clock is behind, the two have changed places: a gap covers what lies between the two times.
        last = self._heard[before].last
        if abs(end - last) < abs(start - last):
            start, end = end, start
        heard = self._heard.get(run)
        return start - self._offset(before), (end if heard is None else min(end, heard.first)) - own

    def _before(self, run: RunKey) -> RunKey | None:
        """The last run of the source before this one that has published a tick."""
        number = self._number.get(run, 0)
        earlier = [one for one in self._heard if one[0] == run[0] and self._number.get(one, 0) < number]
        return max(earlier, key=lambda one: self._number.get(one, 0), default=None)

    def _offset(self, run: RunKey) -> int:
        return self._launches[self._number.get(run, 0)].offset

    def _launch_of(self, at: int) -> int:
        """The launch between which and the next one an event lies, when its time is set back."""
        ends = [launch.at for launch in self._launches[1:]] + [1 << 62]
        for number, (launch, end) in enumerate(zip(self._launches, ends, strict=True)):
            if launch.at - SLACK <= at - launch.offset <= end + SLACK:
                return number
        return 0
