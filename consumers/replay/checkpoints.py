"""Places of a running replay from which it can be taken up again, for jumps back. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from consumers.replay.clock import State

MOST = 512


class Point(NamedTuple):
    """An offset of a partition, and where its clock stands before it."""

    offset: int
    clock: State = State()


class Checkpoints:
    """A bounded number of places: when there are too many, every second is dropped, and they come half as often."""

    def __init__(self, start: Mapping[int, Point]) -> None:
        """The first place is where the range begins."""
        self._places: list[tuple[int, int, Mapping[int, Point]]] = [(-1, 0, dict(start))]
        self._every = 2_048

    def __len__(self) -> int:
        """Places that are kept."""
        return len(self._places)

    def add(self, key: int, points: Mapping[int, Point], given: int) -> None:
        """The record of this merge key, and all after it, can be read again from these points.

        Args:
            given: records that were given out so far; places come at some distance of each other.
        """
        last_key, last_given, _ = self._places[-1]
        if key <= last_key or given - last_given < self._every:
            return
        self._places.append((key, given, points))
        if len(self._places) > MOST:
            self._places = [self._places[0], *self._places[2::2]]
            self._every *= 2

    def before(self, key: int) -> Mapping[int, Point]:
        """The points of the last place that lies before a key; later places are dropped."""
        while len(self._places) > 1 and self._places[-1][0] >= key:
            self._places.pop()
        return self._places[-1][2]
