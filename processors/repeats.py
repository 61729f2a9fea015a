"""What a job drops as repeated and what only looks like it, announced; and codes that are too many."""

from __future__ import annotations

import logging
import time

from jobs.marks import QUIET_SECONDS, Repeats
from jobs.room import Room
from processors.events import Teller

log = logging.getLogger(__name__)

_NAMED = 3
_announced: dict[str, float] = {}
"""Monotonic time by source, over all agents of the process: several of them drop the same ticks."""


class RepeatsTold:
    """Watches one job's repeats.

    Attributes:
        events: announces them in the topic of feed events.
    """

    def __init__(self, repeats: Repeats) -> None:
        """Nothing is announced yet."""
        self._repeats = repeats
        self.events: Teller | None = None

    def look(self) -> None:
        """Announce what is new, a source at most once a while."""
        for dropped in self._repeats.news():
            log.error("%s", dropped)
            now = time.monotonic()
            for source in [source for source, at in _announced.items() if now - at >= QUIET_SECONDS]:
                del _announced[source]
            if self.events is not None and dropped.source not in _announced:
                _announced[dropped.source] = now
                self.events.say("repeats", str(dropped), count=dropped.count)

    def complaints(self) -> dict[str, str]:
        """What health says while many are dropped."""
        many = self._repeats.many()
        return {"repeats": "; ".join(map(str, many[:_NAMED]))} if many else {}


def too_many_codes(room: Room) -> dict[str, str]:
    """What health says of ticks whose codes have no rows."""
    if not room.refused:
        return {}
    return {
        "codes": f"{room.refused:,} ticks are of codes that have no state here, as there are too many codes (now"
        f" {room.last[:64]!r}): look what writes them, and restart the worker"
    }
