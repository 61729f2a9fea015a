"""A producer, from its options to its clean end."""

from __future__ import annotations

import asyncio
import gc
import logging
import signal
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import fields
from datetime import datetime
from string import ascii_lowercase

from broker.publisher import Publisher
from market.calendar import is_trading_day
from market.times import SHANGHAI
from producer import clock
from producer.feeds.provider import Capabilities
from producer.gaps import previous_run as predecessor
from producer.gaps.previous_run import Predecessor
from producer.line.backoff import Backoff
from producer.line.driver import Line
from producer.line.heartbeat import Pace
from producer.line.pacing import TokenBucket
from producer.line.supervisor import Supervisor
from producer.line.tasks import fault_of
from producer.options import Endpoint, Plan, ProducerOptions, plan
from producer.pipeline.arbitration import Arbiter, Matching
from producer.pipeline.events import Outlet, Single
from producer.pipeline.numbering import Numbering
from producer.pipeline.publish import Counters, Intake
from producer.pipeline.quality import Gate
from producer.pipeline.redundancy import Pair
from producer.watchlist.dealing import Dealer
from producer.watchlist.http import LocalServer
from producer.watchlist.watch import Watch
from schemas.topics import DEAD_LETTERS, FEED_EVENTS, TICKS

log = logging.getLogger(__name__)

REPORT_SECONDS = 10.0
STOP_SECONDS = 10.0
"""How long frames in hand may take into the publisher after the word to stop; delivering them has its own limit."""

LOOK_SECONDS = 1.0

LEAVING_SECONDS = 30.0
"""How long ticks of a code that was taken off the list may still come: a request can wait for its bucket."""

__all__ = ["Producer", "ProducerOptions", "run"]


async def run(options: ProducerOptions) -> None:
    """Produce until SIGTERM, SIGINT or SIGHUP; then everything in hand has been delivered. A second signal gives it up.

    Raises:
        UsageError: a setting is wrong, no broker answers, a topic is missing, or the feed refuses what it is asked.
        DeliveryError: the broker did not take what was in hand when it was time to stop, or the publisher failed.
        Exception: a task of the producer failed or ended; the lines were stopped first.
    """
    what = plan(options)
    publisher = Publisher(options.bootstrap, client_id=f"ashare-producer-{what.sources[0]}")
    producer = Producer(what, options, publisher)
    await publisher.start(TICKS, FEED_EVENTS, DEAD_LETTERS)
    try:
        before = await predecessor.look(options.bootstrap, what.sources)
        producer.succeed(before)
        await asyncio.to_thread(is_trading_day, datetime.now(SHANGHAI).date())  # the calendar takes a second to come
        # Next to nothing here is garbage in cycles, and what waits for Kafka is long to look through.
        gc.freeze()
        gc.set_threshold(200_000, 20, 20)
        if producer.server is not None:
            await producer.server.start()
            log.info("local HTTP on http://127.0.0.1:%d", producer.server.port)
        log.info("%s, run %d, to %s", ", ".join(what.sources), producer.run_id, options.bootstrap)
        await producer.until_told()
    finally:
        if producer.server is not None:
            await producer.server.stop()
        await publisher.stop()
        for pair, arbiter in producer.pairs:
            log.info("%s", pair.told(arbiter))
        log.info("stopped: %s; %s records delivered", total(producer.counters), f"{publisher.acknowledged:,}")


class Producer:
    """The lines of a plan with all that belongs to them."""

    def __init__(self, what: Plan, options: ProducerOptions, publisher: Publisher) -> None:
        """Nothing runs yet.

        Raises:
            UsageError: a line can't be dialled, or asked for its codes.
        """
        self.run_id = clock.now() // 1000
        self.intakes: list[Intake] = []
        self.pairs: list[tuple[Pair, Arbiter]] = []
        self._gates: list[Gate] = []
        self._voices: list[Single] = []
        self._expected = list(what.codes or ())
        self._what = what
        self._options = options
        self._publisher = publisher
        # Attempts to connect are apart per token, whichever line makes them. So are requests: AllTick wants 1 s between
        # two on a connection, and 3 s between two connections of a token.
        several = len(what.sources) * len(what.endpoints) > 1
        accounts = {_account(endpoint): endpoint.provider.capabilities.reconnect_apart for endpoint in what.endpoints}
        self._dials = {one: [TokenBucket(apart=apart)] if apart else [] for one, apart in accounts.items()}
        self._requests = {
            one: [TokenBucket(apart=apart)] if several and apart else [] for one, apart in accounts.items()
        }
        dealer = Dealer(len(what.sources), what.most)
        dealt = [None] * len(what.sources) if what.codes is None else dealer.deal(what.codes)
        groups = [self._group(source, codes) for source, codes in zip(what.sources, dealt, strict=True)]
        self.supervisor = Supervisor(groups, dealer, told=self._expect)
        self.watch = Watch(what.file, what.codes, self.supervisor.want)
        self.server = (
            None
            if options.http_port is None
            else LocalServer(self.supervisor, self.watch, self._measures, options.http_port, token=options.http_token)
        )

    def succeed(self, before: Mapping[str, Predecessor]) -> None:
        """Number on above the runs before this one, and have each stream tell of what is missing since.

        Raises:
            UsageError: one of them is ahead of the clock by more than a clock can be wrong.
        """
        self.run_id = predecessor.run_after(before, clock.now() // 1000)
        for intake in self.intakes:
            intake.numbering.run = self.run_id
        for voice in self._voices:
            voice.before = before.get(voice.intake.numbering.source)

    @property
    def counters(self) -> list[Counters]:
        """Of each line's intake."""
        return [intake.counters for intake in self.intakes]

    async def until_told(self) -> None:
        """Run the lines until a signal; a second one, or ``STOP_SECONDS``, cuts short what they still read.

        Raises:
            UsageError: the feeds refuse for good what every line asks.
            Exception: a line, or a task beside the lines, failed or ended.
        """
        loop = asyncio.get_running_loop()
        stop = asyncio.Event()
        running = asyncio.create_task(self.supervisor.run(stop))

        def told() -> None:
            if stop.is_set():
                log.warning("told twice: what is still on the socket is given up")
                running.cancel()
            else:
                log.info("stopping: what is in hand is delivered first")
                stop.set()
                loop.call_later(STOP_SECONDS, running.cancel)

        beside = {"report": self._report(), "publishing": self._published()}
        if self.watch.path is not None:
            beside["watchlist"] = self.watch.run()
        helpers = [asyncio.create_task(work, name=name) for name, work in beside.items()]
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, told)
        try:
            done, _ = await asyncio.wait({running, *helpers}, return_when=asyncio.FIRST_COMPLETED)
            fault = None if running in done else fault_of(done.pop())  # none but the lines may end by itself
            if fault is not None:
                log.critical("the producer ends: %s", fault)
                told()
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

    def _gate(self) -> Gate | None:
        """What judges the ticks of one stream, by setting."""
        if self._options.quality == "off":
            return None
        gate = Gate(
            quarantine=self._options.quality == "quarantine",
            codes=self._what.codes,
            clock_of_its_own=self._options.own_clock,
        )
        self._gates.append(gate)
        return gate

    def _expect(self, codes: Sequence[str]) -> None:
        """Tell the gates of another list. Ticks of codes that were taken off it are still under way for a moment."""
        before, self._expected = self._expected, list(codes)
        for gate in self._gates:
            gate.expect([*before, *codes])
        asyncio.get_running_loop().call_later(LEAVING_SECONDS, self._expect_no_others, self._expected)

    def _expect_no_others(self, codes: list[str]) -> None:
        if codes is self._expected:
            for gate in self._gates:
                gate.expect(codes)

    def _group(self, source: str, codes: Sequence[str] | None) -> list[Line]:
        """The lines that bring the same codes."""
        endpoints, options = self._what.endpoints, self._options
        numbering, gate = Numbering(source, self.run_id), self._gate()
        upstreams = [endpoint.upstream() for endpoint in endpoints]
        able = [upstream.capabilities for upstream in upstreams]
        arbiter = Arbiter(len(upstreams), Matching.of(able[0], able[1])) if len(upstreams) > 1 else None
        intakes = [
            Intake(
                self._publisher,
                numbering,
                upstream.feed,
                trades_only=options.trades_only,
                gate=gate,
                arbiter=arbiter,
                line=number,
            )
            for number, upstream in enumerate(upstreams)
        ]
        self.intakes += intakes
        names: list[str] = [source]
        single = Single(intakes[0])
        outlets: Sequence[Outlet] = [single]
        if arbiter is not None:
            names = [f"{source}/{letter}" for letter in ascii_lowercase[: len(upstreams)]]
            pair = Pair(names, intakes)
            self.pairs.append((pair, arbiter))
            outlets, single = pair.sides, pair.voice
        self._voices.append(single)
        return [
            Line(upstream, codes, outlet, self._pace(endpoint), name=name, own_clock=options.own_clock)
            for endpoint, upstream, outlet, name in zip(endpoints, upstreams, outlets, names, strict=True)
        ]

    def _pace(self, endpoint: Endpoint) -> Pace:
        options, account = self._options, _account(endpoint)
        return Pace(
            buckets=[bucket_of(endpoint.provider.capabilities)],
            request_buckets=self._requests[account],
            dials=self._dials[account],
            heartbeat=options.heartbeat,
            heartbeat_message=options.heartbeat_message,
            backoff=Backoff(options.first_delay, options.longest_delay),
        )

    def _measures(self) -> dict[str, int]:
        """What the local server shows as counters."""
        publisher, counted = self._publisher, total(self.counters)
        measures = {f"{name}_total": value for name, value in numbers(counted).items()}
        measures |= {
            "records_acknowledged_total": publisher.acknowledged,
            "records_resent_total": publisher.resent,
            "kafka_clients_rebuilt_total": publisher.rebuilt,
        }
        measures |= {f"dead_letters_total{{cause={_quoted(cause)}}}": value for cause, value in counted.causes.items()}
        measures |= {f"flaws_total{{flaw={_quoted(flaw)}}}": value for flaw, value in counted.flaws.items()}
        unread: Counter[str] = Counter()
        for line in self.supervisor.lines:
            unread.update(line.guard.unread)
        measures |= {f"unread_total{{field={_quoted(field)}}}": value for field, value in unread.items()}
        for pair, arbiter in self.pairs:
            measures[f'switches_total{{stream="{pair.voice.intake.numbering.source}"}}'] = pair.switches
            measures[f'losses_covered_total{{stream="{pair.voice.intake.numbering.source}"}}'] = pair.covered
            for side, brought in zip(pair.sides, arbiter.statistics, strict=True):
                measures[f'first_total{{line="{side.name}"}}'] = brought.first
                measures[f'second_total{{line="{side.name}"}}'] = brought.second
                for share in (0.5, 0.99):
                    behind = brought.behind.at(share)
                    if behind is not None:
                        measures[f'behind_us{{line="{side.name}",quantile="{share}"}}'] = behind
        return measures

    async def _report(self) -> None:
        ticks, acknowledged, publisher = 0, 0, self._publisher
        while True:
            await asyncio.sleep(REPORT_SECONDS)
            counted = total(self.counters)
            log.info("%.0f ticks/s; so far %s", (counted.ticks - ticks) / REPORT_SECONDS, counted)
            if publisher.unacknowledged_bytes and publisher.acknowledged == acknowledged:
                waiting = publisher.unacknowledged_bytes / 2**20
                log.warning("Kafka acknowledged nothing in %.0f s; %.1f MiB wait in memory", REPORT_SECONDS, waiting)
            ticks, acknowledged = counted.ticks, publisher.acknowledged


def _account(endpoint: Endpoint) -> tuple[str, str | None]:
    """What a provider counts connections by."""
    return endpoint.provider.name, endpoint.token


def bucket_of(able: Capabilities) -> TokenBucket:
    """What a provider lets one connection send."""
    return TokenBucket(able.messages, able.messages_seconds, apart=able.messages_apart)


def numbers(counters: Counters) -> dict[str, int]:
    """The counters that are plain numbers, by name."""
    return {one.name: value for one in fields(counters) if isinstance(value := getattr(counters, one.name), int)}


def _quoted(text: str) -> str:
    """A label's value as Prometheus' text form wants it."""
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", " ") + '"'


def total(counters: Sequence[Counters]) -> Counters:
    """The sum of all lines."""
    summed = Counters()
    for one in counters:
        for name, value in numbers(one).items():
            setattr(summed, name, getattr(summed, name) + value)
        summed.causes.update(one.causes)
        summed.flaws.update(one.flaws)
    return summed
