"""Stuck is worse than dead: complaints are shown first, and end the process when they last."""

from __future__ import annotations

import subprocess
import sys
import time

from processors.streaming.watchdog import EXIT_STUCK, Watchdog


class Ends:
    """Notes why the process would have been ended."""

    def __init__(self) -> None:
        """Nothing was ended yet."""
        self.reasons: list[str] = []

    def __call__(self, reason: str) -> None:
        """Instead of ending."""
        self.reasons.append(reason)


def test_a_complaint_shows_at_once_and_ends_the_process_after_its_patience() -> None:
    """Health turns red with the first complaint; the process ends when it has lasted longer than it may."""
    ends = Ends()
    dog = Watchdog({"progress": (lambda _: "no progress", 10.0)}, end=ends)
    dog.look(100.0)
    dog.look(110.0)
    assert dog.complaints == {"progress": "no progress"}
    assert ends.reasons == []
    dog.look(110.5)
    assert ends.reasons == ["progress: no progress, for 10 s"]


def test_a_complaint_that_ends_in_time_is_forgotten() -> None:
    """Patience counts without a break: what recovered starts anew."""
    ends, wrong = Ends(), ["stuck"]
    dog = Watchdog({"commit": (lambda _: wrong[0] if wrong else None, 10.0)}, end=ends)
    dog.look(0.0)
    wrong.clear()
    dog.look(9.0)
    assert dog.complaints == {}
    wrong.append("stuck")
    dog.look(11.0)
    dog.look(20.0)
    assert ends.reasons == []


def test_each_check_has_its_own_patience() -> None:
    """One that may complain for long does not shield another."""
    ends = Ends()
    dog = Watchdog({"slow": (lambda _: "slow", 100.0), "fast": (lambda _: "fast", 1.0)}, end=ends)
    dog.look(0.0)
    dog.look(2.0)
    assert ends.reasons == ["fast: fast, for 2 s"]


BLOCKED = """
import logging, time
from processors.streaming.watchdog import Watchdog
logging.basicConfig()
beat = time.monotonic()
dog = Watchdog({"event loop": (lambda now: "blocked" if now - beat > 0.5 else None, 0.5)})
dog.start()
time.sleep(60)
"""


def test_a_blocked_process_ends_itself_with_the_reason() -> None:
    """The watchdog's own thread ends a process whose main thread does nothing any more: exit code 70, reason said."""
    began = time.monotonic()
    ended = subprocess.run([sys.executable, "-c", BLOCKED], capture_output=True, text=True, timeout=30, check=False)
    assert ended.returncode == EXIT_STUCK
    assert "event loop: blocked" in ended.stderr
    assert time.monotonic() - began < 30


def test_a_check_that_fails_complains_of_that_and_keeps_none_from_being_run() -> None:
    """A defect in one check blinds nobody to what the others see, and does not pass for health."""

    def broken(_now: float) -> str | None:
        raise RuntimeError("deque mutated during iteration")

    ends = Ends()
    dog = Watchdog({"broken": (broken, 5.0), "stuck": (lambda _: "stuck", 1.0)}, end=ends)
    dog.look(0.0)
    dog.look(2.0)
    assert dog.complaints["stuck"] == "stuck"
    assert "deque mutated" in dog.complaints["broken"]
    dog.look(6.0)
    assert [reason.split(":")[0] for reason in ends.reasons] == ["stuck", "broken", "stuck"]


STARVED = """
import logging
from processors.streaming.watchdog import Watchdog
logging.basicConfig()
dog = Watchdog({}, starved=2.0)
dog.start()
7 ** (7 ** 9)
"""


def test_one_call_that_keeps_the_interpreter_ends_the_process_and_is_shown() -> None:
    """The watchdog's thread can't run then; what is below Python ends the process and says which line it is in."""
    ended = subprocess.run([sys.executable, "-c", STARVED], capture_output=True, text=True, timeout=60, check=False)
    assert ended.returncode not in {0, None}
    assert "Timeout" in ended.stderr
    assert "line 6" in ended.stderr
