"""A watchlist that changes in the middle of a run: what stays is whole, what leaves ends, what comes begins.

The market's own page of the ledger says what there was of a code, the connections' pages what was sent of it; whether
what was sent came through is everybody's check. So a code that a producer drops and takes up again, or asks for
anew while it goes on, lacks ticks here, though the pipeline lost none of what it was given.

Where in the run a tick belongs is told by its place in the page, in bytes: how long the page was is looked at while the
list changes, and so no two clocks are compared.
"""

from __future__ import annotations

import json
from array import array
from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from schemas.errors import UsageError
from selfcheck.findings import Findings
from selfcheck.ledger import LedgerError, sent_ticks
from selfcheck.sequences import compare

Json = dict[str, Any]

MARKET_PAGE = "market.jsonl"
_BEGUN = 0.75
"""Of the time up to the first change: then the list that a run begins with has to be subscribed in full."""
_END = 1 << 62


@dataclass(frozen=True)
class Change:
    """What is to change, ``seconds`` after the market's first tick: so many codes leave, and so many come."""

    seconds: float
    leaving: int
    coming: int


@dataclass(frozen=True)
class Step:
    """The codes of one change."""

    seconds: float
    left: frozenset[str]
    came: frozenset[str]


@dataclass(frozen=True)
class Lists:
    """What is subscribed at first, and how it changes; no code changes twice."""

    first: Sequence[str]
    steps: Sequence[Step]

    @classmethod
    def deal(cls, market: Sequence[str], changes: Sequence[Change]) -> Lists:
        """Choose among the market's codes, from all over the list.

        Raises:
            UsageError: there are not as many codes as leave and come.
        """
        ordered = sorted(changes, key=lambda change: change.seconds)
        coming, leaving = sum(one.coming for one in ordered), sum(one.leaving for one in ordered)
        if coming + leaving >= len(market):
            raise UsageError(
                f"--watchlist-at: of the market's {len(market):,} codes {leaving:,} would leave and {coming:,} come,"
                " and none would stay: change fewer, or give more --codes"
            )
        reserve = _spread(market, coming)
        spare = set(reserve)
        first = [code for code in market if code not in spare]
        leavers = _spread(first, leaving)
        steps = []
        for change in ordered:
            # Every so-manieth of those that are left, so that each change has all boards in it.
            left, came = _spread(leavers, change.leaving), _spread(reserve, change.coming)
            leavers, reserve = _without(leavers, left), _without(reserve, came)
            steps.append(Step(change.seconds, frozenset(left), frozenset(came)))
        return cls(first, steps)

    @property
    def stayed(self) -> set[str]:
        """Codes that are subscribed from the first tick to the last."""
        return set(self.first).difference(*(step.left for step in self.steps))

    def after(self, number: int) -> list[str]:
        """The list when so many changes are made: what is new stands at its end."""
        codes = dict.fromkeys(self.first)
        for step in self.steps[:number]:
            for code in step.left:
                del codes[code]
            codes |= dict.fromkeys(sorted(step.came))
        return list(codes)


@dataclass
class Looks:
    """How long the market's page was (bytes) at some times (seconds of one clock), from just before a change on.

    With the last look the change has to be in effect.
    """

    times: list[float] = field(default_factory=list)
    sizes: list[int] = field(default_factory=list)

    def look(self, time: float, size: int) -> None:
        """Enter one."""
        self.times.append(time)
        self.sizes.append(size)

    @property
    def before(self) -> int:
        """What is below this place was pushed before the change."""
        return self.sizes[0]

    @property
    def settled(self) -> int:
        """What is from this place on was pushed when the change had to be in effect."""
        return self.sizes[-1]

    def after_ms(self, place: int) -> int:
        """How long after the change the tick at a place was pushed, to the accuracy of the looks."""
        look = min(bisect_right(self.sizes, place), len(self.times) - 1)
        return round((self.times[look] - self.times[0]) * 1000)


@dataclass
class Changed:
    """What became of one change.

    Attributes:
        at: seconds after the first tick.
        left_shown, came_shown: codes of which the market had a tick after the change, by which it can be seen.
        left_after_ms: from the change to the last tick that was still sent of a code that left.
        came_after_ms: from the change to the last tick that was not yet sent of a code that came.
    """

    at: float
    left: int
    came: int
    left_shown: int = 0
    came_shown: int = 0
    left_after_ms: int = 0
    came_after_ms: int = 0

    def add_left(self, was: Sent, look: Looks) -> None:
        """Enter a code that left."""
        self.left_shown += was.missing_after(look.before)
        if was.last >= look.before:
            self.left_after_ms = max(self.left_after_ms, look.after_ms(was.last))

    def add_came(self, was: Sent, look: Looks) -> None:
        """Enter a code that came."""
        self.came_shown += was.last >= 0
        if was.unsent_before_first >= look.before:
            self.came_after_ms = max(self.came_after_ms, look.after_ms(was.unsent_before_first))

    def __str__(self) -> str:
        """One line."""
        if not self.shown:
            return f"after {self.at:g} s: no tick shows the change: give it more --seconds"
        left = f"{self.left:,} codes left, the last tick {self.left_after_ms:,} ms after"
        came = f"{self.came:,} came, all of their ticks from {self.came_after_ms:,} ms after"
        return f"after {self.at:g} s: {left}; {came}"

    @property
    def shown(self) -> bool:
        """Whether the change can be seen in the ticks at all; a change that can't was not checked."""
        return bool(self.left_shown or not self.left) and bool(self.came_shown or not self.came)


@dataclass
class WatchlistCheck:
    """What was found; ``lost_of_stayed`` counts the market's ticks that are not in the topic."""

    changes: list[Changed]
    stayed: int
    left: int
    came: int
    lost_of_stayed: int = 0

    @property
    def shown(self) -> bool:
        """Whether every change can be seen in the ticks."""
        return all(change.shown for change in self.changes)

    def report(self) -> Json:
        """For programs."""
        return {
            "watchlist_changes": [asdict(change) for change in self.changes],
            "codes_stayed": self.stayed,
            "codes_left": self.left,
            "codes_came": self.came,
            "lost_of_stayed": self.lost_of_stayed,
        }

    def lines(self) -> list[str]:
        """For people."""
        return [f"watchlist  {change}" for change in self.changes] + [
            f"           {self.stayed:,} codes stayed, of which {self.lost_of_stayed:,} ticks were lost"
        ]


@dataclass(frozen=True)
class Due:
    """Places in the market's page: every tick from ``begun`` to ``ends`` is due, none before ``begins`` nor after.

    But what is sent first may be older: some feeds begin with what they last knew of a code.
    """

    begins: int = 0
    begun: int = 0
    ends: int = _END
    ended: int = _END


def check(
    directory: Path, lists: Lists, looks: Sequence[Looks], unpublished: Mapping[str, int], findings: Findings
) -> WatchlistCheck:
    """Compare what was sent with what there was.

    Args:
        directory: the ledger.
        looks: of each step.
        unpublished: by code, ticks that were sent and are not in the topic: findings already.

    Raises:
        LedgerError: a page can't be read, or the market's is missing.
    """
    stayed = lists.stayed
    outcome = WatchlistCheck(
        [Changed(step.seconds, len(step.left), len(step.came)) for step in lists.steps],
        len(stayed),
        sum(len(step.left) for step in lists.steps),
        sum(len(step.came) for step in lists.steps),
        sum(count for code, count in unpublished.items() if code in stayed),
    )
    pages = Pages.read(directory, findings)
    begun = int(looks[0].before * _BEGUN)
    for code in sorted(stayed):
        outcome.lost_of_stayed += pages.sent(code, Due(begun=begun), "it stays").lost
    for step, seen, look in zip(lists.steps, outcome.changes, looks, strict=True):
        for code in sorted(step.left):
            seen.add_left(pages.sent(code, Due(begun=begun, ends=look.before, ended=look.settled), "it left"), look)
        for code in sorted(step.came):
            seen.add_came(pages.sent(code, Due(begins=look.before, begun=look.settled), "it came"), look)
    return outcome


class Sent:
    """Which of a code's ticks were sent, and which of those that were due were not.

    Attributes:
        lost: how many were due and not sent.
        stray: how many were sent and not due, the market's or none of it.
        last: the place of the last that was sent, -1 if none was.
        unsent_before_first: the place of the last of those at the beginning that were not sent, -1 if there is none.
    """

    def __init__(self, market: array[int], places: Sequence[int], sent: array[int], due: Due) -> None:
        """Find what was sent in what there was: the marks of both, and the places of the latter."""
        missing, strange = _missing(market, sent)
        got = [position for position in range(len(market)) if position not in missing]
        first, last = (got[0], got[-1]) if got else (len(market), -1)
        self.last = places[last] if got else -1
        self.unsent_before_first = places[first - 1] if first else -1
        self._unsent = max((places[position] for position in missing), default=-1)
        self.lost = sum(first < p < last or due.begun <= places[p] < due.ends for p in missing)
        self.stray = strange + sum(places[p] < due.begins for p in got[1:]) + sum(places[p] >= due.ended for p in got)

    def missing_after(self, place: int) -> bool:
        """Whether a tick from there on was not sent."""
        return self._unsent >= place


def _missing(market: array[int], sent: array[int]) -> tuple[set[int], int]:
    """Positions in ``market`` that were not sent, and how many that were sent are not of it."""
    count = len(sent)
    for start in _starts(market, sent):
        if market[start : start + count] == sent:
            return {*range(start), *range(start + count, len(market))}, 0
    difference = compare(market, sent)
    strange = len(difference.unexpected) + len(difference.duplicated) + len(difference.out_of_order)
    return set(difference.lost), strange


def _starts(market: array[int], sent: array[int]) -> Iterator[int]:
    """Where in the market's ticks those that were sent may begin, the likeliest first."""
    rest = len(market) - len(sent)
    if rest >= 0:
        yield rest
    if rest > 0 and sent:
        yield from (start for start in range(rest) if market[start] == sent[0])


class Pages:
    """By code, what there was and what was sent of it, sixteen bytes a tick."""

    def __init__(self, findings: Findings) -> None:
        """Nothing is read."""
        self._findings = findings
        self._market: dict[str, array[int]] = {}
        self._places: dict[str, array[int]] = {}
        self._sent: dict[str, array[int]] = {}

    @classmethod
    def read(cls, directory: Path, findings: Findings) -> Pages:
        """Read the ledger.

        Raises:
            LedgerError: a page can't be read, or the market's is missing.
        """
        pages, place = cls(findings), 0
        try:
            with (directory / MARKET_PAGE).open("rb") as lines:
                for line in lines:
                    for tick in json.loads(line)["ticks"]:
                        pages._market.setdefault(tick["code"], array("q")).append(_mark(tick))
                        pages._places.setdefault(tick["code"], array("q")).append(place)
                    place += len(line)
        except (OSError, ValueError, KeyError) as error:
            raise LedgerError(f"{directory / MARKET_PAGE}: {error!r}") from error
        for tick in sent_ticks(directory):
            pages._sent.setdefault(tick["code"], array("q")).append(_mark(tick))
        return pages

    def sent(self, code: str, due: Due, why: str) -> Sent:
        """Compare one code's ticks; ``why`` they were due or not, for people."""
        none: array[int] = array("q")
        found = Sent(self._market.get(code, none), self._places.get(code, none), self._sent.get(code, none), due)
        for count, what in ((found.lost, "were not sent"), (found.stray, "were sent all the same")):
            if count:
                self._findings.add("watchlist_mismatches", count=count, code=code, why=f"{why}, and ticks {what}")
        return found


def _mark(tick: Json) -> int:
    """64 bits that stand for a tick, without its volume: of feeds with the day's sums that depends on what was sent."""
    return hash((tick["price"], tick["time"]))


def _spread(codes: Sequence[str], count: int) -> list[str]:
    """So many of the codes, from all over the list."""
    return [codes[number * len(codes) // count] for number in range(count)]


def _without(codes: Sequence[str], taken: Sequence[str]) -> list[str]:
    gone = set(taken)
    return [code for code in codes if code not in gone]
