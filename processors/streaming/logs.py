"""Where the logs end and which they are, asked of the brokers by a thread and over connections of its own.

What fetching itself brings can't tell that it has stopped: the high watermark stands still with it.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterable, Mapping

from faust.types import TP

from broker.probe import Found, Probe, ProbeError

log = logging.getLogger(__name__)

PERIOD_SECONDS = 2.0
STALE_SECONDS = 15.0
"""Ends that are older say nothing."""
FETCH_SECONDS = 15.0
"""How long records may wait at the broker, of a partition that nothing holds back, until fetching counts as stuck."""


class LogWatch:
    """Asks again and again.

    Attributes:
        answered: monotonic time of the last answer, or of the start.
        asked: when it was asked for.
    """

    def __init__(
        self, probe: Probe, topics: Iterable[str], ends_of: Iterable[str], noticed: Callable[[Found], object]
    ) -> None:
        """Nothing is asked yet.

        Args:
            topics: whose logs are looked for.
            ends_of: those of them whose ends are asked for.
            noticed: given what was found, each time, in the thread; must not raise.
        """
        self._probe, self._topics, self._of, self._noticed = probe, list(topics), list(ends_of), noticed
        self._ends: dict[tuple[str, int], int] = {}
        self._failing = False
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="log-watch", daemon=True)
        self.answered = self.asked = time.monotonic()

    @property
    def away(self) -> bool:
        """Whether no broker answered when it was asked last."""
        return self._failing

    def start(self) -> None:
        """Begin to ask."""
        self._thread.start()

    def stop(self) -> None:
        """Ask no more."""
        self._stop.set()

    def ends(self, now: float) -> Mapping[tuple[str, int], int]:
        """The next offset of each partition, none if the last answer is too old to say."""
        return self._ends if now - self.answered < STALE_SECONDS else {}

    def silence(self, now: float) -> str | None:
        """What is wrong with the brokers, if they have not answered for a while."""
        silent = now - self.answered
        return f"no broker has told for {silent:.0f} s where the logs end" if silent >= STALE_SECONDS else None

    def _run(self) -> None:
        with self._probe:
            while not self._stop.wait(PERIOD_SECONDS):
                self.look()

    def look(self) -> None:
        """Ask once."""
        asked = time.monotonic()
        try:
            found = self._probe.find(self._topics)
            self._ends = self._probe.ends(found, self._of)
        except ProbeError as error:
            if not self._failing:
                log.warning("no broker tells where the logs end: %s", error)
            self._failing = True
            return
        except Exception:
            log.exception("asking where the logs end failed")
            return
        self._failing = False
        self.answered, self.asked = time.monotonic(), asked
        self._noticed(found)


class Unfetched:
    """Partitions whose next record waits at the broker, and since when."""

    def __init__(self) -> None:
        """Nothing waits."""
        self._since: dict[TP, tuple[int, float]] = {}
        self._again: set[tuple[TP, int]] = set()

    def look(self, places: Mapping[TP, int], ends: Mapping[tuple[str, int], int], now: float) -> str | None:
        """What is stuck, if anything is.

        Args:
            places: the next offset that each partition is fetched from; those that something holds back are left out.
        """
        for tp in self._since.keys() - places.keys():
            del self._since[tp]
        oldest: tuple[float, TP] | None = None
        for tp, place in places.items():
            if ends.get((tp.topic, tp.partition), 0) <= place:
                self._since.pop(tp, None)
                continue
            at, since = self._since.get(tp, (-1, now))
            if at != place:
                self._since[tp] = (place, now)
            elif oldest is None or since < oldest[0]:
                oldest = (since, tp)
        if oldest is None or now - oldest[0] < FETCH_SECONDS:
            return None
        since, tp = oldest
        place, end = places[tp], ends[tp.topic, tp.partition]
        return f"{tp.topic}/{tp.partition} ends at {end}, and nothing has come behind {place} for {now - since:.0f} s"

    def first_time(self) -> bool:
        """Whether none of what waits was told of before: then a new client may help, and later only a new process."""
        waiting = {(tp, place) for tp, (place, _) in self._since.items()}
        fresh = not waiting & self._again
        self._again = waiting
        return fresh
