"""A producer, from its options to its clean end."""

from __future__ import annotations

import asyncio
import logging
import re
import signal
import time
from dataclasses import dataclass, field

from broker.publisher import Publisher
from producer import address, symbols
from producer.backoff import Backoff
from producer.feeds.post import PostDecoder
from producer.intake import Intake
from producer.line import Line
from producer.numbering import Numbering
from schemas import UsageError
from schemas.topics import DEAD_LETTERS, FEED_EVENTS, TICKS

log = logging.getLogger(__name__)

REPORT_SECONDS = 10.0
STOP_SECONDS = 10.0
"""How long frames in hand may take into the publisher after the word to stop; delivering them has its own limit."""
_SOURCE = re.compile(r"[A-Za-z0-9._-]{1,64}")


@dataclass(frozen=True)
class ProducerOptions:
    """What ``ashare produce`` is told; the settings of the same names say what each means."""

    bootstrap: str
    url: str
    symbols: str = "*"
    token: str | None = field(default=None, repr=False)
    source: str = "post-1"
    trades_only: bool = False
    foreign: bool = False
    heartbeat: float = 20.0
    heartbeat_message: str | None = None
    first_delay: float = 0.5
    longest_delay: float = 60.0


async def run(options: ProducerOptions) -> None:
    """Produce until SIGTERM or SIGINT; then everything in hand has been delivered. A second signal gives it up.

    Raises:
        UsageError: a setting is wrong, no broker answers, a topic is missing, or the feed refuses what it is asked.
        DeliveryError: the broker did not take what was in hand when it was time to stop.
    """
    where = address.read(options.url, options.token)
    codes = symbols.read(options.symbols)
    _check(options)
    publisher = Publisher(options.bootstrap, client_id=f"ashare-producer-{options.source}")
    numbering = Numbering(options.source, time.time_ns() // 1_000_000)
    intake = Intake(publisher, numbering, PostDecoder(foreign=options.foreign), trades_only=options.trades_only)
    line = Line(
        where,
        codes,
        intake,
        trades_only=options.trades_only,
        heartbeat=options.heartbeat,
        heartbeat_message=options.heartbeat_message,
        backoff=Backoff(options.first_delay, options.longest_delay),
    )
    await publisher.start(TICKS, FEED_EVENTS, DEAD_LETTERS)
    log.info("line %s, run %d: %s to %s", options.source, numbering.run, where.shown, options.bootstrap)
    try:
        await _until_told(line, intake, publisher)
    finally:
        await publisher.stop()
        log.info("stopped: %s; %s records delivered", intake.counters, f"{publisher.acknowledged:,}")


async def _until_told(line: Line, intake: Intake, publisher: Publisher) -> None:
    """Run the line until a signal; a second one, or ``STOP_SECONDS``, cuts short what it still reads."""
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    running = asyncio.create_task(line.run(stop))

    def told() -> None:
        if stop.is_set():
            log.warning("told twice: what is still on the socket is given up")
            running.cancel()
        else:
            log.info("stopping: what is in hand is delivered first")
            stop.set()
            loop.call_later(STOP_SECONDS, running.cancel)

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, told)
    reporting = asyncio.create_task(_report(intake, publisher))
    try:
        await running
    except asyncio.CancelledError:
        if not stop.is_set():
            raise
    finally:
        reporting.cancel()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.remove_signal_handler(number)


async def _report(intake: Intake, publisher: Publisher) -> None:
    ticks, acknowledged = 0, 0
    while True:
        await asyncio.sleep(REPORT_SECONDS)
        rate = (intake.counters.ticks - ticks) / REPORT_SECONDS
        log.info("%.0f ticks/s; so far %s", rate, intake.counters)
        if publisher.unacknowledged_bytes and publisher.acknowledged == acknowledged:
            waiting = publisher.unacknowledged_bytes / 2**20
            log.warning("Kafka acknowledged nothing in %.0f s; %.1f MiB wait in memory", REPORT_SECONDS, waiting)
        ticks, acknowledged = intake.counters.ticks, publisher.acknowledged


def _check(options: ProducerOptions) -> None:
    if not _SOURCE.fullmatch(options.source):
        raise UsageError(f"--source {options.source!r}: 1 to 64 of letters, digits, dot, dash and underscore")
    if options.heartbeat < 0:
        raise UsageError("--heartbeat is a number of seconds, or 0 for none")
