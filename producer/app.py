"""A producer, from its options to its clean end."""

from __future__ import annotations

import asyncio
import gc
import logging
import signal
from collections.abc import Mapping, Sequence
from datetime import datetime

from broker.exposition import Exposition
from broker.publisher import Publisher
from instruments.following import Following
from market.calendar import is_trading_day
from market.times import SHANGHAI
from producer import clock
from producer.gaps.previous_run import PreviousRun, look, run_after
from producer.http import LocalServer
from producer.line.tasks import fault_of
from producer.metrics import METRICS, ProducerMetrics, counted
from producer.options import Plan, ProducerOptions, plan, require_tokens
from producer.pipeline.quality import Gate
from producer.streams import Buckets, Stream
from producer.supervisor import Supervisor
from producer.watchlist.dealing import Dealer
from producer.watchlist.watch import Watch
from schemas.topics import DEAD_LETTERS, FEED_EVENTS, TICKS

log = logging.getLogger(__name__)

REPORT_SECONDS = 10.0
STOP_SECONDS = 10.0
"""How long frames in flight may take into the publisher after a stop; delivering them has its own limit."""

LOOK_SECONDS = 1.0

INTERRUPTED_SECONDS = 4.0
"""How long Ctrl-C waits for a Kafka that acknowledges nothing; SIGTERM waits longer."""
LEAVING_SECONDS = 30.0
"""How long ticks of a code that was taken off the list may still come: a request can wait for its bucket."""

__all__ = ["Producer", "ProducerOptions", "run"]


async def run(options: ProducerOptions) -> None:
    """Produce until SIGTERM, SIGINT or SIGHUP; then what is in flight has been delivered. A second signal gives it up.

    Raises:
        UsageError: a setting is wrong, no broker answers, a topic is missing, or the feed refuses what it is asked.
        DeliveryError: the broker did not take what was in flight when it was time to stop, or the publisher failed.
        Exception: a task of the producer failed or ended; the lines were stopped first.
    """
    what = plan(options)
    require_tokens(what.feeds)
    publisher = Publisher(options.bootstrap, client_id=f"ashare-producer-{what.sources[0]}")
    producer = Producer(what, options, publisher)
    await publisher.start(TICKS, FEED_EVENTS, DEAD_LETTERS)
    try:
        producer.follow(await look(options.bootstrap, what.sources))
        if producer.following is not None:
            await producer.following.start()
        await asyncio.to_thread(is_trading_day, datetime.now(SHANGHAI).date())  # the calendar takes a second to come
        # Next to nothing here is garbage in cycles, and what waits for Kafka is long to look through.
        gc.freeze()
        gc.set_threshold(200_000, 20, 20)
        if producer.server is not None:
            await producer.server.start()
            log.info("local HTTP on http://127.0.0.1:%d", producer.server.port)
        log.info("%s, run %d, to %s", ", ".join(what.sources), producer.run_id, options.bootstrap)
        await producer.run_until_signalled()
    finally:
        if producer.following is not None:
            await producer.following.stop()
        if producer.server is not None:
            await producer.server.stop()
        await publisher.stop(stalled=INTERRUPTED_SECONDS if producer.interrupted else None)
        for stream in producer.streams:
            if stream.redundant is not None and stream.arbiter is not None:
                log.info("%s", stream.redundant.described(stream.arbiter))
        log.info("stopped: %s; %s records delivered", counted(producer.streams), f"{publisher.acknowledged:,}")


class Producer:
    """The lines of a plan with all that belongs to them."""

    def __init__(self, what: Plan, options: ProducerOptions, publisher: Publisher) -> None:
        """Nothing runs yet.

        Raises:
            UsageError: a line can't be dialled, or asked for its codes.
        """
        self.run_id = clock.now() // 1000
        self.interrupted = False
        """Whether Ctrl-C ends it."""
        self._expected = list(what.codes or ())
        self._publisher = publisher
        dealer = Dealer(len(what.sources), what.most)
        dealt = [None] * len(what.sources) if what.codes is None else dealer.deal(what.codes)
        buckets = Buckets(what)
        self.following = None if options.quality == "off" else Following(options.bootstrap, self._informed)
        known = None if self.following is None else self.following.known
        self.streams = [
            Stream(
                source,
                self.run_id,
                codes,
                plan=what,
                options=options,
                publisher=publisher,
                buckets=buckets,
                known=known,
            )
            for source, codes in zip(what.sources, dealt, strict=True)
        ]
        self.supervisor = Supervisor([stream.lines for stream in self.streams], dealer, changed=self._expect)
        self.watch = Watch(what.file, what.codes, self.supervisor.want, None if options.foreign else what.kinds)
        self.server = (
            None
            if options.http_port is None
            else LocalServer(
                self.supervisor,
                self.watch,
                Exposition(METRICS, ProducerMetrics(lambda: self.streams, publisher).read),
                options.http_port,
                token=options.http_token,
            )
        )

    def follow(self, previous: Mapping[str, PreviousRun]) -> None:
        """Number on above the runs before this one, and have each stream announce what is missing since.

        Raises:
            UsageError: one of them is ahead of the clock by more than a clock can be wrong.
        """
        self.run_id = run_after(previous, clock.now() // 1000)
        for stream in self.streams:
            stream.numbering.run = self.run_id
            stream.events.previous = previous.get(stream.numbering.source)

    async def run_until_signalled(self) -> None:
        """Run the lines until a signal; a second one, or ``STOP_SECONDS``, cuts short what they still read.

        Raises:
            UsageError: the feeds refuse for good what every line asks.
            Exception: a line, or a task beside the lines, failed or ended.
        """
        loop = asyncio.get_running_loop()
        stop = asyncio.Event()
        running = asyncio.create_task(self.supervisor.run(stop))

        def interrupted() -> None:
            self.interrupted = True
            signalled()

        def signalled() -> None:
            if stop.is_set():
                log.warning("second signal: what is still on the socket is given up")
                running.cancel()
            else:
                log.info("stopping: what is in flight is delivered first")
                stop.set()
                loop.call_later(STOP_SECONDS, running.cancel)

        beside = {"report": self._report(), "publishing": self._published()}
        if self.watch.path is not None:
            beside["watchlist"] = self.watch.run()
        helpers = [asyncio.create_task(work, name=name) for name, work in beside.items()]
        loop.add_signal_handler(signal.SIGTERM, signalled)
        loop.add_signal_handler(signal.SIGINT, interrupted)
        try:
            done, _ = await asyncio.wait({running, *helpers}, return_when=asyncio.FIRST_COMPLETED)
            fault = None if running in done else fault_of(done.pop())  # none but the lines may end by itself
            if fault is not None:
                log.critical("the producer ends: %s", fault)
                signalled()
            _ = await asyncio.wait({running})
            if fault is not None:
                raise fault
            if not (running.cancelled() and stop.is_set()):
                await running
        finally:
            for task in (running, *helpers):
                task.cancel()
            await asyncio.gather(running, *helpers, return_exceptions=True)
            for number in (signal.SIGTERM, signal.SIGINT):
                loop.remove_signal_handler(number)

    async def _published(self) -> None:
        """Look whether the publisher still publishes.

        Raises:
            DeliveryError: it does not.
        """
        while True:
            self._publisher.check()
            await asyncio.sleep(LOOK_SECONDS)

    @property
    def _gates(self) -> list[Gate]:
        return [stream.gate for stream in self.streams if stream.gate is not None]

    def _informed(self, codes: Sequence[str]) -> None:
        """Have the gates judge by what is new of instruments."""
        for gate in self._gates:
            gate.informed(codes)

    def _expect(self, codes: Sequence[str]) -> None:
        """Have the gates expect another list. Ticks of codes that were taken off it still come for a moment."""
        before, self._expected = self._expected, list(codes)
        for gate in self._gates:
            gate.expect([*before, *codes])
        asyncio.get_running_loop().call_later(LEAVING_SECONDS, self._expect_no_others, self._expected)

    def _expect_no_others(self, codes: list[str]) -> None:
        if codes is self._expected:
            for gate in self._gates:
                gate.expect(codes)

    async def _report(self) -> None:
        ticks, acknowledged, publisher = 0, 0, self._publisher
        while True:
            await asyncio.sleep(REPORT_SECONDS)
            summed = counted(self.streams)
            log.info("%.0f ticks/s; so far %s", (summed.ticks - ticks) / REPORT_SECONDS, summed)
            if publisher.unacknowledged_bytes and publisher.acknowledged == acknowledged:
                waiting = publisher.unacknowledged_bytes / 2**20
                log.warning("Kafka acknowledged nothing in %.0f s; %.1f MiB wait in memory", REPORT_SECONDS, waiting)
            ticks, acknowledged = summed.ticks, publisher.acknowledged
