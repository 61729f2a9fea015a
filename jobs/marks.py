"""Which ticks have taken effect on a row: per line, the run and number of the last one. For one code they only rise."""

from __future__ import annotations

from collections.abc import Iterable

from schemas import LineMark


class Marked:
    """A row's marks. The line that was applied last lies in attributes of its own: it is nearly always the next, too.

    Attributes:
        source, run, n: the last tick applied; ``n`` is -1 before the first.
    """

    __slots__ = ("_others", "n", "run", "source")

    def __init__(self) -> None:
        """No tick was applied yet."""
        self.source = ""
        self.run = self.n = -1
        self._others: dict[str, tuple[int, int]] = {}

    def renew(self, source: str, run: int, n: int) -> bool:
        """Move the marks to a tick of another line or run than the last one; false if it has taken effect before."""
        if source == self.source:
            if (run, n) <= (self.run, self.n):
                return False
        else:
            if (run, n) <= self._others.get(source, (-1, -1)):
                return False
            if self.n >= 0:
                self._others[self.source] = (self.run, self.n)
            self._others.pop(source, None)
        self.source, self.run, self.n = source, run, n
        return True

    def came_by(self, source: str) -> bool:
        """Whether a tick of the line was applied."""
        return source == self.source or source in self._others

    @property
    def marks(self) -> dict[str, tuple[int, int]]:
        """Run and number by line."""
        return self._others | ({self.source: (self.run, self.n)} if self.n >= 0 else {})

    def lines(self) -> list[LineMark]:
        """The marks as records have them, by line."""
        if not self._others:
            return [LineMark(self.source, self.run, self.n)]
        return [LineMark(source, run, n) for source, (run, n) in sorted(self.marks.items())]

    def restore_lines(self, lines: Iterable[LineMark]) -> None:
        """Take over a record's marks."""
        for line in lines:
            self.renew(line.source, line.run, line.n)
