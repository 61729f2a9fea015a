"""One check from end to end: an isolated pipeline, a load, its end, the comparison."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import tempfile
import time
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Literal

from deploy.local.stack import ALL_AGENTS, PartError, Plan, Stack
from selfcheck.comparison import CHANGES, TICKS, compare
from selfcheck.disturbing import Disturbing
from selfcheck.drain import Drain, NotDrainedError
from selfcheck.exact import Rule
from selfcheck.gateway import Clients
from selfcheck.killing import BrokerKilling
from selfcheck.latency import LatencyWatch, summary, watched
from selfcheck.ledger import LedgerError, Tape
from selfcheck.log import LogError, LogReader
from selfcheck.pauses import PauseWatch
from selfcheck.relisting import Relisting
from selfcheck.restarting import Restarting
from selfcheck.served import ServedCheck
from selfcheck.verdict import Verdict
from selfcheck.watchlist import Change

_PAIR = 2
_AWAY = timedelta(days=14)
"""How old the market is where clocks are put back: no step comes near its hours, as if it were played live."""
_TOKEN = "verify"  # noqa: S105 - of a market that is gone with the check


@dataclass(frozen=True)
class Options:
    """What to check; rate in ticks/s over all codes.

    Attributes:
        feed: the protocol between market and producer.
        wildcard: whether that feed takes one; the producer is given the market's codes where it does not.
        misbehave: what the market does now and then, as ``ashare simulate --misbehave`` takes it.
        lines: 2 has the same codes pushed to two connections, which the producer makes one stream of.
        kill_line_every: seconds from the end of one connection to that of another.
        threshold_at: what is set while ticks come: seconds after the first, scope, threshold or ``None`` to unset.
        partitions: of the topics that have several; ``None`` as declared.
        watchlist_at: how the watchlist changes while ticks come. ``codes`` are then those that it has at first.
        kill_producer_every: seconds from one kill -9 of the producer to the next; it is started anew at once.
        clock_step: seconds by which the clock of each start is further off than that of the one before.
        workers: that share the partitions.
        kill_worker_every: seconds from one kill -9 of a worker, each in turn, to the next; it is started anew at once.
        rebalance_every: seconds from one SIGTERM of a worker, each in turn, to the next; it ends and is started anew.
        gateway_clients: of the gateway, with subscriptions and thresholds of their own.
        books: the market has a book and the day's figures beside each tick, and they are compared.
        brokers: of Kafka.
        kill_broker: a broker is killed (kill -9) and started anew while ticks come, one after the other.
        freeze_worker: seconds for which one worker is stopped (SIGSTOP), ``disturbing.FREEZE_AT`` s after the start.
    """

    rate: float = 400.0
    seconds: float = 20.0
    store: Literal["sqlite", "questdb"] = "sqlite"
    codes: int | None = None
    ticks_per_frame: int | None = None
    threshold: str = "0.01"
    seed: int | None = None
    feed: str = "post"
    wildcard: bool = True
    misbehave: str | None = None
    lines: int = 1
    kill_line_every: float | None = None
    equal_ms: float | None = None
    threshold_at: tuple[tuple[float, str, str | None], ...] = ()
    watchlist_at: tuple[Change, ...] = ()
    partitions: int | None = None
    kill_producer_every: float | None = None
    clock_step: float = 0.0
    workers: int = 1
    kill_worker_every: float | None = None
    rebalance_every: float | None = None
    freeze_worker: float | None = None
    secure: bool = False
    books: bool = False
    brokers: int = 1
    kill_broker: bool = False
    gateway_clients: int = 0

    @property
    def doubled(self) -> bool:
        """Whether every tick is pushed twice, to two lines."""
        return self.lines == _PAIR

    @property
    def tape(self) -> Tape:
        """What of the ledger is due."""
        return "doubled" if self.doubled else "market" if self.kill_producer_every is not None else "sent"

    def market(self, ledger: Path, codes: Path) -> list[str]:
        """The options of ``ashare simulate``; it writes its codes into ``codes``."""
        coming = sum(change.coming for change in self.watchlist_at)
        given = {
            "--codes": None if self.codes is None else self.codes + coming,
            "--ticks-per-frame": self.ticks_per_frame,
            "--seed": self.seed,
            "--misbehave": self.misbehave,
            "--kill-line-every": self.kill_line_every,
            "--equal-ms": self.equal_ms,
            "--start": f"{datetime.now(UTC).date() - _AWAY} 09:30" if self.clock_step else None,
        }
        more = [text for flag, value in given.items() if value is not None for text in (flag, str(value))]
        asked = ["--rate", f"{self.rate:g}", "--seconds", f"{self.seconds:g}"]
        served = [
            "--feed",
            self.feed,
            "--token",
            _TOKEN,
            "--write-codes",
            str(codes),
            "--ledger",
            str(ledger),
            "--wait-for-client",
            *(["--books"] if self.books else []),
            *(["--market-page"] if self.watchlist_at or self.tape == "market" else []),
        ]
        return [*asked, *more, *served]

    def producer(self, codes: Path, relisting: Relisting | None) -> list[str]:
        """The options of ``ashare produce``; ``codes`` is the market's file."""
        asked = ["--symbols", "*"] if self.wildcard else ["--watchlist", str(codes)]
        if relisting is not None:
            asked = ["--watchlist", str(relisting.file), "--http-port", str(relisting.port)]
        return ["--feed", self.feed, "--token", _TOKEN, *asked, *(["--arbitrate"] if self.doubled else [])]


def verify(
    options: Options,
    say: Callable[[str], None] = lambda _: None,
    lasting: Callable[[str, float], None] | None = None,
) -> Verdict:
    """Run a check; the pipeline is gone when this returns, and its data too if everything was clean.

    Args:
        say: told what is being done.
        lasting: told as ``say``, where it is known how many seconds it takes; default: ``say``.

    Raises:
        UsageError: the threshold is not understood.
    """
    Rule.parse(options.threshold)
    timed = lasting or (lambda text, _: say(text))
    verdict = Verdict(asdict(options) | {"kafka_client": os.environ.get("ASHARE_KAFKA_CLIENT") or "direct"})
    directory = Path(tempfile.mkdtemp(prefix="ashare-verify-"))
    codes = directory / "codes.txt"
    relisting = Relisting(directory, options.watchlist_at, options.seconds) if options.watchlist_at else None
    plan = Plan(
        directory,
        options.market(directory / "ledger", codes),
        options.producer(codes, relisting),
        store=options.store,
        workers=(ALL_AGENTS,) * options.workers,
        threshold=options.threshold,
        partitions=options.partitions,
        secure=options.secure,
        brokers=options.brokers,
        gateway=bool(options.gateway_clients),
    )
    try:
        with Stack(plan) as stack:
            try:
                with _timed(verdict, "start"):
                    stack.start(say)
                asyncio.run(_check(options, stack, relisting, verdict, say=say, lasting=timed))
            except (PartError, LedgerError, LogError) as error:
                verdict.error = str(error)
    except BaseException:
        shutil.rmtree(directory, ignore_errors=True)
        raise
    if verdict.ok:
        shutil.rmtree(directory, ignore_errors=True)
    else:
        verdict.kept = str(directory)
    return verdict


@contextlib.contextmanager
def _timed(verdict: Verdict, phase: str) -> Iterator[None]:
    begun = time.monotonic()
    try:
        yield
    finally:
        verdict.seconds[phase] = round(time.monotonic() - begun, 1)


async def _check(  # noqa: PLR0915 - the run from its beginning to its end
    options: Options,
    stack: Stack,
    relisting: Relisting | None,
    verdict: Verdict,
    *,
    say: Callable[[str], None],
    lasting: Callable[[str, float], None],
) -> None:
    async def published() -> int:
        return sum((await reader.ends(TICKS)).values())

    async with LogReader(stack.bootstrap, login := stack.client_options()) as reader:
        watch = LatencyWatch(stack.bootstrap, CHANGES, watched(await reader.partitions(CHANGES), options.rate), login)
        await watch.start()
        pausing = PauseWatch(stack.bootstrap, TICKS, stack.groups, options=login)
        watching = _together(watch.run(), pausing.run())
        drain = Drain(stack, reader, stack.plan.directory / "ledger", options.tape)
        served = ServedCheck(verdict.findings)
        disturbing = Disturbing(
            stack,
            options.seconds,
            options.kill_worker_every,
            options.rebalance_every,
            options.freeze_worker,
            served,
            pausing.lowest,
        )
        browsing = Clients(stack.page_url, options.gateway_clients, verdict.findings)
        killing = BrokerKilling(stack, options.seconds if options.kill_broker else None)
        restarting, began = Restarting(options.kill_producer_every, options.clock_step, options.seconds), 0
        try:
            lasting(f"pushing {options.rate:,g} ticks/s for {options.seconds:g} s", options.seconds)
            if relisting is not None:
                relisting.begin()
            if options.gateway_clients:
                browsing.begin(options.seconds)
            restarting.launch(stack)
            with _timed(verdict, "load"):
                changing = _together(
                    _set_thresholds(options, stack, published),
                    restarting.run(stack, published),
                    disturbing.run(published),
                    killing.run(published, reader.in_sync),
                    *(() if relisting is None else (relisting.run(stack),)),
                )
                try:
                    sent = await drain.market_stopped(options.seconds)
                    await changing
                finally:
                    changing.cancel()
            verdict.sent, began = sent.ticks, sent.started
            verdict.rate_sent = round(sent.ticks / sent.seconds, 1)
            say(f"sent {sent.ticks:,}; waiting until all is through")
            with _timed(verdict, "drain"):
                await drain.drained(sent)
                # One that was killed last need not be back to have left nothing behind; it is asked what it serves.
                await asyncio.to_thread(stack.await_workers)
                await browsing.stop()
        except NotDrainedError as error:
            verdict.error = str(error)
        finally:
            watching.cancel()
            await browsing.abandon()
            await asyncio.gather(watching, return_exceptions=True)
            await watch.stop()
            verdict.pauses = pausing.pauses.by_group
            verdict.disturbances, verdict.brokers = disturbing.done, killing.done
            verdict.slowest_stop = disturbing.slowest_stop
        if options.kill_producer_every is not None and len(restarting.launches) == 1:
            verdict.error = verdict.error or "the producer was not killed in time to be back: give it more --seconds"
        verdict.error = verdict.error or disturbing.lacking or killing.lacking
        # By a clock that is off, no age can be told.
        verdict.latency, verdict.ticks_a_chunk = summary(() if options.clock_step else watch.ages), drain.ticks_a_chunk
        if verdict.sent:
            say("comparing")
            with _timed(verdict, "compare"):
                await compare(
                    stack,
                    reader,
                    Rule.parse(options.threshold),
                    verdict,
                    tape=options.tape,
                    relisting=relisting,
                    launches=restarting.launches if options.kill_producer_every is not None else (),
                    served=served,
                    books=options.books,
                )
                if options.gateway_clients:
                    verdict.gateway = await browsing.compare(reader)
            if drain.stored_at > began:
                verdict.rate_stored = round(verdict.stored / (drain.stored_at - began) * 1e6, 1)


def _together(*work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
    """A task of all of it, which fails with the first that fails; to cancel it cancels all."""

    async def run() -> None:
        tasks = [asyncio.create_task(one) for one in work]
        try:
            await asyncio.gather(*tasks)
        finally:
            for task in tasks:
                task.cancel()

    return asyncio.create_task(run())


async def _set_thresholds(options: Options, stack: Stack, published: Callable[[], Awaitable[int]]) -> None:
    """Set what is to be set in the middle of the run, with the command that a user has."""
    if options.threshold_at:
        while not await published():  # noqa: ASYNC110 - looked at, not told
            await asyncio.sleep(0.05)
    begun = time.monotonic()
    for seconds, scope, threshold in sorted(options.threshold_at, key=lambda one: one[0]):
        await asyncio.sleep(begun + seconds - time.monotonic())
        asked = ("unset", scope) if threshold is None else ("set", scope, threshold)
        await asyncio.to_thread(stack.command, "threshold", *asked)
