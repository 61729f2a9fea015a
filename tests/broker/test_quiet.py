"""What is said hundreds of times a second is written a few times, and counted."""

from __future__ import annotations

import importlib.util
import logging
from collections.abc import Iterator

import pytest
from aiokafka import client, conn
from aiokafka.consumer import fetcher, group_coordinator
from aiokafka.producer import sender

from broker import quiet
from broker.quiet import FIRST, PERIOD_SECONDS, Limit


class Written(logging.Handler):
    """Keeps what is written."""

    def __init__(self) -> None:
        """Nothing yet."""
        super().__init__()
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Keep it."""
        self.lines.append(record.getMessage())


@pytest.fixture
def written() -> Iterator[Written]:
    """The logger "test.quiet", limited, on a clock that the test moves."""
    logger, handler = logging.getLogger("test.quiet"), Written()
    clock.now = 0.0
    limit = Limit(lambda: clock.now)
    logger.addHandler(handler)
    logger.addFilter(limit)
    yield handler
    logger.removeHandler(handler)
    logger.removeFilter(limit)


class clock:  # noqa: N801 - a place for the time
    """Seconds."""

    now = 0.0


def test_each_line_of_code_has_its_share_and_what_is_left_out_is_counted(written: Written) -> None:
    """Another line is not silenced with it; the next period says how many were left out; a minute stays short."""
    logger = logging.getLogger("test.quiet")
    for n in range(60_000):
        clock.now = n / 1000
        logger.warning("again %d", n)
        if n == 500:
            logger.warning("another")
    assert written.lines[:FIRST] == [f"again {n}" for n in range(FIRST)]
    assert "another" in written.lines
    periods = 60 / PERIOD_SECONDS
    assert len(written.lines) == FIRST * periods + 1
    said = [line for line in written.lines if "left out" in line]
    assert said[0] == f"again 10000 ({10_000 - FIRST:,} more of these were left out)"
    assert len(said) == periods - 1


def test_every_logger_of_aiokafka_is_limited() -> None:
    """A filter on a parent would not hold for them."""
    for module in (client, conn, fetcher, group_coordinator, sender):
        assert any(isinstance(one, Limit) for one in module.log.filters), module.__name__


@pytest.mark.parametrize("name", quiet._LOGGERS)
def test_what_is_limited_is_there(name: str) -> None:
    """A module that gets another name must not log a line for each record of a stranger's again."""
    assert importlib.util.find_spec(name) is not None


def test_what_a_stranger_can_cause_by_each_record_is_limited(written: Written) -> None:
    """Ticks that are not usable, ticks that a job fails on, events and thresholds that are neither."""
    limited = {"broker.chunk", "processors.feed_events", "processors.run_time_thresholds"}
    assert limited | {"processors.streaming.dead_letters"} <= set(quiet._LOGGERS)
    quiet.install()
    log = logging.getLogger("processors.streaming.dead_letters")
    log.addHandler(written)
    try:
        for n in range(100):
            log.error("a record can't be worked on: %d", n)
    finally:
        log.removeHandler(written)
    assert len(written.lines) <= FIRST
