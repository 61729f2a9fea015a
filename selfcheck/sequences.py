"""Two sequences that should be equal: what is missing in the second, what is there twice, what changed places."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import islice

from selfcheck.findings import Kind


@dataclass(frozen=True)
class Difference:
    """How ``got`` differs from ``sent``; the lists hold positions."""

    lost: list[int] = field(default_factory=list)
    """Positions in ``sent`` of what never came."""
    duplicated: list[int] = field(default_factory=list)
    """Positions in ``got`` of what had already come as often as it was sent."""
    unexpected: list[int] = field(default_factory=list)
    """Positions in ``got`` of what was never sent."""
    out_of_order: list[int] = field(default_factory=list)
    """Positions in ``got`` of what has to move, at the least, for the rest to be in order."""

    def in_got(self) -> dict[Kind, list[int]]:
        """The positions in ``got``, by the kind of finding that they are."""
        return {
            "duplicated": self.duplicated,
            "unexpected": self.unexpected,
            "out_of_order": self.out_of_order,
        }


def compare(sent: Sequence[int], got: Sequence[int]) -> Difference:
    """Compare two sequences of fingerprints. Linear when they are equal, n log n when not."""
    if sent == got:
        return Difference()
    places: defaultdict[int, list[int]] = defaultdict(list)
    for position, mark in enumerate(sent):
        places[mark].append(position)
    came: Counter[int] = Counter()
    duplicated, unexpected, kept, home = [], [], [], []
    for position, mark in enumerate(got):
        if mark not in places:
            unexpected.append(position)
        elif came[mark] == len(places[mark]):
            duplicated.append(position)
        else:
            kept.append(position)
            home.append(places[mark][came[mark]])
            came[mark] += 1
    lost = sorted(position for mark, where in places.items() for position in islice(where, came[mark], None))
    in_order = _longest_rise(home)
    moved = [position for index, position in enumerate(kept) if index not in in_order]
    return Difference(lost, duplicated, unexpected, moved)


def _longest_rise(numbers: Sequence[int]) -> set[int]:
    """Indices of a longest rising subsequence (patience sorting)."""
    tops: list[int] = []
    top_index: list[int] = []
    before: list[int] = []
    for index, number in enumerate(numbers):
        pile = bisect_left(tops, number)
        before.append(top_index[pile - 1] if pile else -1)
        if pile == len(tops):
            tops.append(number)
            top_index.append(index)
        else:
            tops[pile] = number
            top_index[pile] = index
    rise: set[int] = set()
    index = top_index[-1] if top_index else -1
    while index >= 0:
        rise.add(index)
        index = before[index]
    return rise
