"""Loggers that are limited in rate.

aiokafka logs the same line at each attempt, hundreds of times a second. And whoever can write into a topic can make a
worker log a line for each record.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

FIRST = 3
"""Times that one line of code may say something in a period."""
PERIOD_SECONDS = 10.0
_LOGGERS = (
    *("aiokafka", "broker.chunk", "broker.fetching", "broker.producing"),
    *("processors.feed_events", "processors.run_time_thresholds", "processors.streaming.dead_letters"),
)


class Limit(logging.Filter):
    """Lets the first few records of each line of code through in each period, and counts the rest.

    The first one of the next period says how many were left out. Memory is bounded by the lines of code.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        """Nothing was said yet."""
        super().__init__()
        self._clock = clock
        self._said: dict[tuple[str, int], tuple[float, int]] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether the record is written."""
        place, now = (record.pathname, record.lineno), self._clock()
        since, count = self._said.get(place, (now, 0))
        if now - since >= PERIOD_SECONDS:
            if count > FIRST:
                record.msg = f"{record.getMessage()} ({count - FIRST:,} more of these were left out)"
                record.args = None
            since, count = now, 0
        self._said[place] = (since, count + 1)
        return count < FIRST


_limit = Limit()


def install() -> None:
    """Limit every logger of aiokafka that there is, and those of ours that say as much."""
    # A filter holds for the logger that it is on, and not for those below it.
    for name in list(logging.root.manager.loggerDict):
        if name.split(".")[0] == "aiokafka":
            logging.getLogger(name).addFilter(_limit)
    for name in _LOGGERS:
        logging.getLogger(name).addFilter(_limit)
