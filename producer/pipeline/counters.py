"""What came on a line and where it went, counted."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field, fields

_CAUSES = 64


@dataclass
class Counters:
    """What came and where it went, since the start.

    Attributes:
        ticks: those that went on to the topic.
        letters: dead letters, those that the gate kept out included.
        repeated: ticks that another line had brought before.
        marked: ticks that went on with flaws.
        kept_out: ticks that went to the dead letters for their flaws.
        causes: of dead letters, what was wrong, as the reason names it first.
        flaws: of marked and kept out ticks, what the gate found.
    """

    frames: int = 0
    ticks: int = 0
    letters: int = 0
    no_trade: int = 0
    held_back: int = 0
    reconnects: int = 0
    repeated: int = 0
    marked: int = 0
    kept_out: int = 0
    causes: Counter[str] = field(default_factory=Counter)
    flaws: Counter[str] = field(default_factory=Counter)

    def __str__(self) -> str:
        text = (
            f"{self.ticks:,} ticks, {self.frames:,} frames, {self.letters:,} dead letters{_listed(self.causes)},"
            f" {self.no_trade:,} dropped without a trade, {self.reconnects:,} reconnects"
        )
        if self.repeated:
            text += f", {self.repeated:,} that another line had brought"
        if self.flaws:
            text += f", {self.marked:,} marked and {self.kept_out:,} kept out{_listed(self.flaws)}"
        return text

    def cause(self, reason: str, count: int = 1) -> None:
        """Count a dead letter by the first words of its reason."""
        cause = reason.partition(":")[0]
        if len(cause) > 24 or (cause not in self.causes and len(self.causes) >= _CAUSES):
            cause = "other"
        self.causes[cause] += count


def _listed(counts: Counter[str]) -> str:
    return f" ({', '.join(f'{name} {count:,}' for name, count in counts.most_common(8))})" if counts else ""


def numbers(counters: Counters) -> dict[str, int]:
    """The counters that are plain numbers, by name."""
    return {one.name: value for one in fields(counters) if isinstance(value := getattr(counters, one.name), int)}


def total(counters: Iterable[Counters]) -> Counters:
    """The sum of several lines' counters."""
    summed = Counters()
    for one in counters:
        for name, value in numbers(one).items():
            setattr(summed, name, getattr(summed, name) + value)
        summed.causes.update(one.causes)
        summed.flaws.update(one.flaws)
    return summed
