"""What was found wrong: counts by kind, and the first few of each kind to look at."""

from __future__ import annotations

from collections import Counter
from typing import Any, Literal, get_args

Kind = Literal[
    "lost",  # sent, and not in the topic
    "duplicated",  # in the topic more often than sent
    "out_of_order",  # in the topic, and not in the order in which its code was sent
    "unexpected",  # in the topic, and equal to nothing that was sent: a field was altered
    "book_mismatches",  # beside a tick stands another book, or other figures of the day, than was sent
    "malformed",  # a record whose own fields contradict one another or the contract
    "numbers_fell",  # run and number of a source went back for a code, and it is not the same tick again
    "holes",  # numbers missing in a run's count of its ticks
    "snapshot_mismatches",
    "rows_went_back",  # a code's row in the snapshots topic is older than the one before it
    "served_old",  # a worker that stood still answered with rows older than what its group had committed
    "uncommitted",  # ticks that a consumer group has not committed at the end
    "store_mismatches",
    "change_mismatches",
    "ids_ambiguous",  # one ce_id with two contents
    "threshold_mismatches",  # set at run time, and not applied as it was set, or far too late
    "watchlist_mismatches",  # of a code that stays or came ticks were not asked for, of one that left they were
    "gaps_untold",  # ticks were withheld from a line, and no event says so
    "missing_untold",  # a tick that nobody got, outside of every announced gap
    "gaps_unreal",  # an event tells of a gap that there was not
    "mark_mismatches",  # a snapshot without the mark of a gap that concerns it, or with one that does not
    "gap_codes_wrong",  # codes that an announced gap leaves out, or has too many
    "gateway_mismatches",  # a client of the gateway was sent what its subscription does not say, or not what it says
    "gateway_lost_last",  # a client of the gateway lacks the last value of a code
]
KINDS: tuple[Kind, ...] = get_args(Kind)

EXAMPLES = 5
"""Examples kept of a kind; the counts are complete."""


class Findings:
    """Everything found wrong so far."""

    def __init__(self) -> None:
        """Nothing is wrong yet."""
        self.counts: Counter[Kind] = Counter()
        self.examples: dict[Kind, list[dict[str, Any]]] = {}

    def add(self, kind: Kind, /, **example: Any) -> None:
        """Count a finding; keep what describes it if it is among the first of its kind.

        Args:
            example: JSON-ready values that let a reader find the thing; ``count`` says how many it stands for.
        """
        self.counts[kind] += example.get("count", 1)
        kept = self.examples.setdefault(kind, [])
        if len(kept) < EXAMPLES:
            kept.append(example)

    @property
    def clean(self) -> bool:
        """Whether nothing is wrong."""
        return not self.counts.total()
