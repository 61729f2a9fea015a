"""What of a line's frames can't be read: counted by reason, kept within bounds, and judged. Pure; no I/O.

One guard a line, over all its connections. Frames that are read strictly do not pass it, and cost nothing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from producer.feeds.decoded import Decoded, FeedTick
from producer.feeds.limits import (
    ANSWERS_A_FRAME,
    BEYOND,
    FOREIGN_CODES,
    LETTER_BYTES_A_MINUTE,
    LETTERS_A_FRAME,
    LETTERS_A_MINUTE,
)

_CAUSES = 64
_LONGEST_CAUSE = 40
_OTHER = "other"
_MINUTE_US = 60_000_000
_SPAN_US = 30_000_000
_FEWEST = 3
"""Unreadable frames that are needed for a verdict: one alone can be anything."""
_RECENT = 20

POLICIES = {
    "documents": "JSON documents in one frame: those beyond the bound were not read",
    "parts": "a frame of too many parts, some of them unreadable: it is a dead letter whole",
    "ticks": f"unreadable ticks of one frame: beyond {LETTERS_A_FRAME:,} the frame is one dead letter",
    "answers": f"answers in one frame: those beyond {ANSWERS_A_FRAME:,} were dropped",
    "letters": (
        f"dead letters: beyond {LETTERS_A_MINUTE:,} and {LETTER_BYTES_A_MINUTE >> 20} MiB a minute they are dropped"
    ),
    "codes": f"codes that are not A shares: ticks of those beyond {FOREIGN_CODES:,} of a line are dead letters",
}
"""What was left out, by the name of the bound, in words."""


class Guard:
    """Takes each frame that could not be read at once.

    Attributes:
        unread: optional fields that could not be read, by field.
        limited: what was left out since the last feed event that said so, by the name of the bound (``POLICIES``).
        unreadable: frames of which more could not be read than could.
        beyond: ticks of codes that there is no room for.
        doubt: why the line's frames mostly can't be read, ``None`` while they can.
    """

    def __init__(self) -> None:
        """Nothing has come."""
        self.unread: Counter[str] = Counter()
        self.limited: Counter[str] = Counter()
        self.unreadable = self.beyond = 0
        self.doubt: str | None = None
        self._causes: Counter[str] = Counter()
        self._samples: dict[str, str] = {}
        self._frequent = "not known"
        self._minute = self._letters = self._bytes = 0
        self._since = 0
        self._frames = self._bad = 0

    def keep(self, decoded: Decoded, received: int) -> Decoded:
        """Count what a frame's decoder could not read, and leave out what is more than a minute may bring."""
        if decoded.limited is not None:
            self.limited.update(decoded.limited)
        if decoded.letters:
            if len(decoded.letters) > len(decoded.ticks) + decoded.repeats + decoded.unpriced:
                self.unreadable += 1
            for letter in decoded.letters:
                self._enter(letter.reason)
            self._ration(decoded, received)
        return decoded

    def count(self, ticks: Iterable[FeedTick]) -> None:
        """Count the fields of ticks that could not be read."""
        for tick in ticks:
            if tick.unread is not None:
                self.unread.update(flaw.removeprefix("unread_") for flaw in tick.unread.split(","))

    def judge(self, frames: int, at: int) -> bool:
        """Look whether most of what came lately could be read; gives whether the verdict has just changed.

        Args:
            frames: how many have come on the line so far.
            at: local time, µs.
        """
        if not self._since:
            self._since = at
        bad, came = self.unreadable - self._bad, frames - self._frames
        before = self.doubt
        if bad >= _FEWEST and 2 * bad > came and (bad >= _RECENT or at - self._since >= _SPAN_US // 3):
            self.doubt = f"{bad:,} of the last {came:,} frames can't be read, most often: {self.most_frequent()}"
        elif before is not None and came > bad and 2 * bad <= came:
            self.doubt = None
        if at - self._since >= _SPAN_US:
            self._since, self._frames, self._bad = at, frames, self.unreadable
            self._frequent = self.most_frequent()
            self._causes.clear()
            self._samples.clear()
        return (before is None) is not (self.doubt is None)

    def most_frequent(self) -> str:
        """The last reason of the most frequent kind."""
        kind = max(self._causes, key=self._causes.__getitem__, default=None)
        return self._frequent if kind is None else self._samples[kind]

    def _enter(self, reason: str) -> None:
        cause = reason.partition(":")[0][:_LONGEST_CAUSE]
        if cause not in self._causes and len(self._causes) >= _CAUSES:
            cause = _OTHER
        self._causes[cause] += 1
        if reason.startswith(BEYOND):
            self.beyond += 1
            self.limited["codes"] += 1
        self._samples[cause] = reason

    def _ration(self, decoded: Decoded, received: int) -> None:
        minute = received // _MINUTE_US
        if minute != self._minute:
            self._minute, self._letters, self._bytes = minute, 0, 0
        kept = []
        for letter in decoded.letters:
            size = len(letter.payload)
            if self._letters >= LETTERS_A_MINUTE or self._bytes + size > LETTER_BYTES_A_MINUTE:
                self.limited["letters"] += 1
                continue
            self._letters += 1
            self._bytes += size
            kept.append(letter)
        decoded.letters = kept
