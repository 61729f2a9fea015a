"""Runs an evaluation: the forms of subscribing first, each on a short connection, then the lines for their time."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path

from evaluation.figures import Form, LineFigures, RaceFigures, Report
from evaluation.gauge import Dials, Gauge
from evaluation.meter import Meter, spread
from evaluation.notes import notes, notes_of_race
from evaluation.race import Race
from market.times import SHANGHAI
from producer.clock import now
from producer.feeds.provider import Options, Provider
from producer.line.driver import Line
from producer.line.endpoint import Endpoint
from producer.line.pacing import Pace, TokenBucket, bucket_of
from producer.pipeline.matching import Matching
from producer.pipeline.quality import Gate
from schemas import UsageError

FORM_SECONDS = 5.0
"""For one form of subscribing to show what comes of it."""
CLOSING_SECONDS = 5.0
_SILENT = "it does not answer"
_SAMPLE = 5
_SOME = ("600519", "000001", "300750")

Say = Callable[[str], None]


@dataclass(frozen=True)
class Target:
    """A feed to judge; ``codes`` is ``None`` for the whole market."""

    provider: Provider
    options: Options
    url: str
    codes: Sequence[str] | None
    token: str | None = field(default=None, repr=False)
    ca: Path | None = None

    def endpoint(self, options: Options) -> Endpoint:
        """The feed, for one line of its own."""
        return Endpoint(self.provider.make(options), self.url, self.token, self.ca)


@dataclass(frozen=True)
class _Apart:
    """What two lines of one token share, so that they neither dial nor ask too soon after one another."""

    dials: Sequence[TokenBucket] = ()
    requests: Sequence[TokenBucket] = ()

    @classmethod
    def of(cls, targets: Sequence[Target]) -> _Apart:
        """Buckets where it is one token's, and the provider wants so many seconds between them."""
        seconds = targets[0].provider.capabilities.reconnect_apart
        tokens = {(target.provider.name, target.token) for target in targets}
        if len(tokens) == len(targets) or not seconds:
            return cls()
        return cls([TokenBucket(apart=seconds)], [TokenBucket(apart=seconds)])


class _Measured:
    """A line and what measures it."""

    def __init__(
        self,
        target: Target,
        options: Options,
        codes: Sequence[str] | None,
        *,
        gate: Gate | None = None,
        race: Race | None = None,
        number: int = 0,
        apart: _Apart | None = None,
        on_progress: Callable[[], None] = lambda: None,
    ) -> None:
        """A line that has not begun."""
        endpoint = target.endpoint(options)
        able = target.provider.capabilities
        self.address = endpoint.address(codes)
        self.meter = Meter(now(), codes, gate)
        gauge = Gauge(endpoint.feed, self.meter, self.address, race=race, line=number, on_progress=on_progress)
        apart = apart or _Apart()
        dials = [*apart.dials, Dials(self.meter, able.reconnect_apart)]
        pace = Pace(buckets=[bucket_of(able)], request_buckets=apart.requests, dials=dials)
        self.line = Line(endpoint, codes, gauge, pace, name="AB"[number], decode=gauge.decode)


async def run(
    targets: Sequence[Target],
    seconds: float,
    *,
    own_clock: bool = False,
    forms: bool = True,
    say: Say,
    lasting: Callable[[str, float], None] | None = None,
) -> Report:
    """Evaluate one feed, or two side by side; SIGINT and SIGTERM end it early, with what was seen.

    Args:
        forms: whether to try every form of subscribing first.
        say: called with what is being done.
        lasting: called as ``say``, where it is known how many seconds it takes; default: ``say``.

    Raises:
        UsageError: no connection to any of them came about, or all refuse what they are asked.
    """
    loop, stop = asyncio.get_running_loop(), asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    try:
        tried: list[list[Form]] = []
        for target in targets:
            tried.append(await _forms(target, stop, say) if forms else [])
            if forms and not stop.is_set():
                await _pause(stop, target.provider.capabilities.reconnect_apart)
        gates = [Gate(codes=target.codes, clock_of_its_own=own_clock) for target in targets]
        (lasting or (lambda text, _: say(text)))(f"measuring for {seconds:g} s", seconds)
        return await _measure(targets, seconds, tried, gates, stop)
    finally:
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.remove_signal_handler(number)


async def _measure(
    targets: Sequence[Target], seconds: float, tried: Sequence[list[Form]], gates: Sequence[Gate], stop: asyncio.Event
) -> Report:
    able = [target.provider.capabilities for target in targets]
    race = Race(Matching.of(*able)) if len(able) == 2 else None
    began, wall = now(), datetime.now(SHANGHAI)
    apart = _Apart.of(targets)
    measured = [
        _Measured(target, target.options, target.codes, gate=gate, race=race, number=number, apart=apart)
        for number, (target, gate) in enumerate(zip(targets, gates, strict=True))
    ]
    ended = asyncio.Event()
    running = [asyncio.create_task(one.line.run(ended)) for one in measured]
    stopped = asyncio.create_task(stop.wait())
    all_ended = asyncio.gather(*running, return_exceptions=True)
    _ = await asyncio.wait({all_ended, stopped}, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
    stopped.cancel()
    at, interrupted = now(), stop.is_set()
    ended.set()
    if race is not None:
        race.finish(at)
    _ = await asyncio.wait(running, timeout=CLOSING_SECONDS)
    for task in running:
        task.cancel()
    errors = await asyncio.gather(*running, return_exceptions=True)
    for error in errors:
        if isinstance(error, Exception) and not isinstance(error, UsageError):
            raise error
    refused = [str(error) for error in errors if isinstance(error, UsageError)]
    if (not any(one.meter.connections for one in measured) and not (stop.is_set() and not _troubled(measured))) or (
        len(refused) == len(measured) and not any(one.meter.ticks for one in measured)
    ):
        why = [f"no connection to {one.address.shown}: {one.line.problem or _SILENT}" for one in measured]
        raise UsageError("; ".join(dict.fromkeys(refused or why)))
    lines = [
        _figures(one, target, at, forms, error)
        for one, target, forms, error in zip(measured, targets, tried, errors, strict=True)
    ]
    raced = None if race is None else _raced(race)
    said = [text for line in lines for text in notes(line)]
    if interrupted:
        said.insert(0, f"interrupted {(at - began) / 1e6:,.1f} s after the measuring began, of {seconds:g} s")
    return Report(
        wall.isoformat(timespec="seconds"),
        (at - began) / 1e6,
        lines,
        raced,
        said if raced is None else said + notes_of_race(raced),
    )


def _troubled(measured: Sequence[_Measured]) -> bool:
    """Whether any line has met trouble, or was only not given the time to connect."""
    return any(one.line.problem for one in measured)


def _figures(
    one: _Measured, target: Target, at: int, forms: Sequence[Form], error: BaseException | None
) -> LineFigures:
    return one.meter.figures(
        at,
        target.provider.capabilities,
        name=one.line.name,
        url=one.address.shown,
        feed=target.provider.name,
        forms=forms,
        ended=str(error) if isinstance(error, UsageError) else None,
    )


def _raced(race: Race) -> RaceFigures:
    first = [lead.count for lead in race.leads]
    return RaceFigures(sum(first), first, [spread(lead, 1000) for lead in race.leads], list(race.alone))


async def _forms(target: Target, stop: asyncio.Event, say: Say) -> list[Form]:
    """Try each form that the provider declares, with a few codes where it lists them.

    Raises:
        UsageError: no connection came about, or none of the forms was taken.
    """
    able = target.provider.capabilities
    names = [name for name in ("wildcard", "array", "string") if getattr(able, name)]
    some = list(target.codes or ())[:_SAMPLE]
    tried: list[Form] = []
    refused: list[UsageError] = []
    for name in names:
        if stop.is_set():
            break
        if tried:
            await _pause(stop, able.reconnect_apart)
        say(f"subscribing to {target.provider.name} by {name}")
        asked = None if name == "wildcard" else some or list(_SOME)
        try:
            form, codes = await _try(target, name, asked, stop)
        except _RefusedError as error:
            refused.append(error.args[0])
            tried.append(Form(name, None if asked is None else len(asked), taken=False, said=str(error.args[0])))
            continue
        tried.append(form)
        some = some or codes
    if refused and len(refused) == len(tried):
        raise refused[0]
    return tried


class _RefusedError(Exception):
    """A form was refused in a way that ends the line; holds the ``UsageError``."""


async def _try(target: Target, name: str, codes: Sequence[str] | None, stop: asyncio.Event) -> tuple[Form, list[str]]:
    """Subscribe in one form until its first tick, a refusal, or ``FORM_SECONDS``; gives codes that came, too."""
    came, ended = asyncio.Event(), asyncio.Event()
    options = replace(target.options, as_string=name == "string")
    try:
        one = _Measured(target, options, codes, on_progress=came.set)
    except UsageError as unaskable:
        raise _RefusedError(unaskable) from unaskable
    running = asyncio.create_task(one.line.run(ended))
    waiting = [asyncio.create_task(event.wait()) for event in (came, stop)]
    _ = await asyncio.wait({running, *waiting}, timeout=FORM_SECONDS, return_when=asyncio.FIRST_COMPLETED)
    for task in waiting:
        task.cancel()
    ended.set()
    _ = await asyncio.wait({running}, timeout=CLOSING_SECONDS)
    running.cancel()
    (error,) = await asyncio.gather(running, return_exceptions=True)
    meter = one.meter
    if isinstance(error, UsageError):
        if not meter.connections:
            raise error
        raise _RefusedError(error)
    if isinstance(error, Exception):
        raise error
    if not meter.connections and not stop.is_set():
        raise UsageError(f"no connection to {one.address.shown}: {one.line.problem or _SILENT}")
    figures = meter.figures(now(), target.provider.capabilities, name="", url="", feed="")
    taken = True if meter.ticks or meter.acknowledged else False if meter.refusals.total else None
    said = meter.said or next(iter(figures.refusals), None)
    return (
        Form(
            name,
            None if codes is None else len(codes),
            taken,
            said or ("ticks" if meter.ticks else "nothing came back"),
            figures.first.acknowledged,
            figures.first.first_tick,
        ),
        list(meter.seen)[:_SAMPLE],
    )


async def _pause(stop: asyncio.Event, seconds: float) -> None:
    if seconds:
        waiting = asyncio.create_task(stop.wait())
        _ = await asyncio.wait({waiting}, timeout=seconds)
        waiting.cancel()
