"""What each flaw that ``quality`` names means to the jobs: the table of ``docs/decisions.md``, in code.

One wrong tick never keeps a later right one out: no flaw hides a tick from a job, and none of them moves what later
ticks are held against.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import NamedTuple

from market.times import DAY_MS, SHANGHAI_MS

AHEAD_US = 60_000_000
"""µs by which an exchange time may be ahead of its receipt: no feed is, but local clocks are wrong."""


class Meaning(NamedTuple):
    """What a flaw changes; one that changes nothing leaves a tick as one without any.

    Attributes:
        played: the tick's session is that of its code, where its time is not after its receipt.
        doubtful: its price counts in ``doubtful``, and moves neither open, high nor low of a session with a better one.
    """

    played: bool = False
    doubtful: bool = False


NOTHING = Meaning()
MEANINGS: Mapping[str, Meaning] = {
    **dict.fromkeys(("unknown_code", "backwards", "off_session", "stale"), NOTHING),
    "future": Meaning(played=True),
    **dict.fromkeys(("off_grid", "outside_limits"), Meaning(doubtful=True)),
    **dict.fromkeys(("crossed_book", "disordered_book", "day_figures"), NOTHING),
    **{f"unread_{field}": NOTHING for field in ("volume", "turnover", "side", "seq", "previous_close")},
    **{f"unread_{field}": NOTHING for field in ("bids", "asks", "day_open", "day_high", "day_low", "average")},
    **{f"unread_{field}": NOTHING for field in ("day_volume", "day_turnover")},
}


@lru_cache(maxsize=1024)
def meaning(quality: str) -> Meaning:
    """What the flaws of a tick change together; one that is not known changes nothing."""
    found = [MEANINGS.get(flaw, NOTHING) for flaw in quality.split(",")]
    return Meaning(any(one.played for one in found), any(one.doubtful for one in found))


def session_day(time: int, received: int) -> int:
    """The session of a tick, as days since 1970-01-01 in Shanghai: nothing was traded after it was received."""
    if time * 1000 <= received + AHEAD_US:
        return (time + SHANGHAI_MS) // DAY_MS
    return min((time + SHANGHAI_MS) // DAY_MS, ((received + AHEAD_US) // 1000 + SHANGHAI_MS) // DAY_MS)
