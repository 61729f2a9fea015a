"""What stands beside the published ticks, the book and the day's figures, against what the ledger says was pushed.

Of each tick 64 bits stand for all of it. A tick that is where the ledger has it is compared with that one; where ticks
are missing, doubled or moved, each is compared with all of its code that are equal to it in the fields of the trade.
"""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

Json = dict[str, Any]

PUSHED = ("bids", "asks", "open", "high", "low", "day_volume", "day_turnover", "average")
"""The fields of a pushed tick; what a tick leaves out is ``None``."""
PUBLISHED = ("bids", "asks", "day_open", "day_high", "day_low", "day_volume", "day_turnover", "average")
"""Those of a record, in the same order."""
FLAWS = frozenset(
    {"crossed_book", "disordered_book", "day_figures", *(f"unread_{field}" for field in PUBLISHED)}
)  # fmt: skip
"""What no published tick may be marked with: the market's books are in order, and every feed writes them readably."""

_NONE: array[int] = array("q")
_NOTHING = hash((None,) * len(PUSHED))


def mark(tick: Json, names: Sequence[str]) -> int:
    """64 bits that stand for these fields of a tick, within this process; equal numbers are equal however written."""
    return hash(tuple([_plain(tick.get(name)) for name in names]))


def _plain(value: Any) -> Any:
    if isinstance(value, list):
        return tuple([_plain(one) for one in value])
    return repr(value) if isinstance(value, dict) else value


class BookCheck:
    """Takes what was published, code by code in the order of the topic; then compares it with what was pushed.

    Attributes:
        pushed: by code, the marks of the ledger's ticks, in its order.
        compared: ticks with something beside them that were compared.
    """

    def __init__(self, pushed: Mapping[str, array[int]]) -> None:
        """Nothing was published yet."""
        self.pushed = pushed
        self.compared = 0
        self._published: dict[str, array[int]] = {}

    def add(self, tick: Json) -> str | None:
        """Take a published tick; gives the flaw that it may not be marked with, if it is."""
        code = tick["code"]
        marks = self._published.get(code)
        if marks is None:
            marks = self._published[code] = array("q")
        marks.append(mark(tick, PUBLISHED))
        quality = tick.get("quality")
        return next((flaw for flaw in quality.split(",") if flaw in FLAWS), None) if quality else None

    def wrong(self, sent: Mapping[str, array[int]], got: Mapping[str, array[int]]) -> Iterator[tuple[str, int]]:
        """Code and position of each published tick beside which something else stands than was pushed.

        Args:
            sent: by code, the marks of the trades that were pushed, as ``selfcheck.ledger.fingerprint`` makes them.
            got: of those that were published.
        """
        for code, trades in got.items():
            pushed, published = self.pushed.get(code, _NONE), self._published.get(code, _NONE)
            if sent.get(code, _NONE) == trades:
                self.compared += sum(1 for one in pushed if one != _NOTHING)
                if pushed != published:
                    pairs = enumerate(zip(pushed, published, strict=True))
                    yield from ((code, position) for position, (first, second) in pairs if first != second)
            else:
                yield from (
                    (code, position) for position in self._unlike(sent.get(code, _NONE), pushed, trades, published)
                )

    def _unlike(self, sent: array[int], pushed: array[int], got: array[int], published: array[int]) -> Iterator[int]:
        """Positions of those that are like none that was sent; what was not sent, or not so often, is not compared."""
        left, due = Counter(zip(sent, pushed, strict=True)), Counter(sent)
        others: list[tuple[int, int]] = []
        for position, pair in enumerate(zip(got, published, strict=True)):
            if left[pair]:
                left[pair] -= 1
                due[pair[0]] -= 1
                self.compared += pair[1] != _NOTHING
            else:
                others.append((position, pair[0]))
        for position, trade in others:
            if due[trade]:
                due[trade] -= 1
                self.compared += 1
                yield position
