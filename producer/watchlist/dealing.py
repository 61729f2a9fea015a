"""Which code travels on which line: within what a connection carries, and where it was before."""

from __future__ import annotations

from collections.abc import Iterable

from schemas import UsageError


def lines_needed(codes: int, most: int | None) -> int:
    """How many connections so many codes take, where one carries ``most``; ``None`` for any number."""
    return 1 if most is None else max(1, -(-codes // most))


class Dealer:
    """Remembers each code's line. A code stays on it while it is asked for, whatever comes and goes around it."""

    def __init__(self, lines: int, most: int | None = None) -> None:
        """Nothing is dealt.

        Args:
            most: codes that one line carries; ``None`` for any number. A provider truncates a longer list silently.
        """
        self.lines = lines
        self.most = most
        self._places: dict[str, int] = {}

    def deal(self, codes: Iterable[str]) -> list[tuple[str, ...]]:
        """The codes of each line, in the order given. A code named twice counts once.

        Raises:
            UsageError: more codes than the lines carry; nothing has changed then.
        """
        wanted = list(dict.fromkeys(codes))
        if self.most is not None and len(wanted) > self.lines * self.most:
            raise UsageError(
                f"{len(wanted):,} codes are more than {self.lines} connection{'s' * (self.lines > 1)} of"
                f" {self.most:,} codes each: ask for fewer, or give --lines"
                f" {lines_needed(len(wanted), self.most)} if the plan allows as many"
            )
        places = {code: place for code in wanted if (place := self._places.get(code)) is not None}
        loads = [0] * self.lines
        for place in places.values():
            loads[place] += 1
        for code in wanted:
            if code not in places:
                lightest = min(range(self.lines), key=loads.__getitem__)
                places[code] = lightest
                loads[lightest] += 1
        self._places = places
        dealt: list[list[str]] = [[] for _ in range(self.lines)]
        for code in wanted:
            dealt[places[code]].append(code)
        return [tuple(some) for some in dealt]
