"""From what the user asked for to a market that runs until it is told to stop."""

from __future__ import annotations

import asyncio
import math
import signal
import time
from collections.abc import Callable, Sequence
from datetime import date
from pathlib import Path

from market.codes import Kind
from market.kinds import DEFAULT, written
from market.times import TimeError, parse_time, shanghai_date
from schemas import UsageError
from simulator.books import Booked
from simulator.clock import MarketClock, default_start
from simulator.exchange import Simulator
from simulator.feed import EqualTrades, GeneratedFeed, Source
from simulator.feeds import provider
from simulator.market import Market
from simulator.misbehaviour import ALL
from simulator.misbehaviour.trading import EqualMs
from simulator.other_kinds import MixedMarket, OtherMarket, Taken, others
from simulator.playback import PlayedFeed, VolumeUnit
from simulator.schedule import opening, steady
from simulator.server import Settings
from simulator.universe import universe

OPENING = "opening"
FLAT = "flat"
ORIGINAL = "original"
_LARGEST_SHARE = 0.9
_ABROAD = frozenset({"massive", "binance"})
_FLAT_RATE = 100_000.0
"""How fast the market's own clock runs when nothing holds the ticks back: ticks a second of exchange time."""


def generated(
    *,
    rate: str = OPENING,
    codes: int,
    seed: int,
    start: str | None = None,
    books: bool = False,
    kinds: frozenset[Kind] = DEFAULT,
) -> Source:
    """The market of a seed; ``rate`` is ticks a second, "opening" or "flat", ``start`` an exchange time.

    Args:
        codes: A shares; of other kinds as many as belong to a market of that size.
        books: each tick has a book and the day's figures beside it.
        kinds: what is listed.

    Raises:
        UsageError: an impossible rate, number of codes or start.
    """
    begin = moment(start)
    clock = MarketClock(begin)
    if rate == OPENING:
        schedule = opening(MarketClock(begin), seed)
    else:
        usage = f"--rate {rate} is none of: ticks a second, opening, flat"
        schedule = steady(_FLAT_RATE if rate == FLAT else _positive(rate, usage))
    market = _market(codes, seed, clock.window.day, kinds)
    source = GeneratedFeed(market, clock, schedule)
    return Booked(source, market.grid, seed) if books else source


def _market(codes: int, seed: int, day: date, kinds: frozenset[Kind]) -> Taken:
    shares = Market(universe(codes, seed), seed, day) if Kind.A_SHARE in kinds else None
    if shares is not None and kinds == DEFAULT:
        return shares
    rest = OtherMarket(others(codes, kinds, seed), seed, day)
    return rest if shares is None else MixedMarket(shares, rest, seed)


def listed(codes: int, seed: int, kinds: frozenset[Kind] = DEFAULT) -> list[str]:
    """The codes of the drawn market, A shares first."""
    shares = [listing.code for listing in universe(codes, seed)] if Kind.A_SHARE in kinds else []
    return [*shares, *(listing.code for listing in others(codes, kinds, seed))]


def check_kinds(kinds: frozenset[Kind], feed: str) -> None:
    """Refuse kinds that a provider does not have.

    Raises:
        UsageError: it is one of markets abroad, for which the drawn A shares stand in.
    """
    if kinds != DEFAULT and feed in _ABROAD:
        raise UsageError(f"--kinds {written(kinds)}: {feed} has none of these: leave --kinds out, or --feed")


def write_codes(path: Path, *, codes: int, seed: int, feed: str, kinds: frozenset[Kind] = DEFAULT) -> None:
    """Write the drawn market's codes, one a line, as the feed's ticks name them: a watchlist for a producer.

    Raises:
        UsageError: the file can't be written.
    """
    names = map(provider(feed).writes, listed(codes, seed, kinds))
    try:
        path.write_text("".join(f"{name}\n" for name in names), "utf-8")
    except OSError as error:
        raise UsageError(f"--write-codes {path}: {error.strerror}") from error


def recorded(
    path: Path,
    *,
    speed: str = ORIGINAL,
    start: str | None = None,
    volume_unit: VolumeUnit | None = None,
    books: bool = False,
) -> Source:
    """The recording in a file; ``speed`` is "original", "x10" or "flat"; bare times of day get the date of ``start``.

    With ``books`` the book and the day's figures are played too, where the recording has them.

    Raises:
        UsageError: an impossible speed, or a file that can't be played.
    """
    factor = 1.0
    if speed not in (ORIGINAL, FLAT):
        factor = _positive(speed.lstrip("x×"), f"--speed {speed} is none of: original, xN (as x10), flat")
    return PlayedFeed(path, speed=factor, today=shanghai_date(moment(start)), volume_unit=volume_unit, books=books)


def moment(start: str | None) -> int:
    """An exchange time as given, else the opening of the latest trading day, ms since the epoch.

    Raises:
        UsageError: not a time.
    """
    now = time.time_ns() // 1_000_000
    if start is None:
        return default_start(now)
    try:
        return parse_time(start, today=shanghai_date(default_start(now)))
    except TimeError as error:
        raise UsageError(f"--start: {error}") from error


def with_equal_trades(source: Source, share: float, seed: int) -> Source:
    """The source with a share of trades that share millisecond, price and volume with the one before.

    Raises:
        UsageError: the share is not one of 0 to 0.9.
    """
    if not 0.0 <= share <= _LARGEST_SHARE:
        raise UsageError(f"--equal-ms {share:g} is not a share: give 0 to {_LARGEST_SHARE}, as 0.2 for one fifth")
    return EqualTrades(source, share, seed) if share else source


def equal_share(asked: float, misbehave: Sequence[str]) -> float:
    """The share that is asked for, else that of real trades where the misbehaviour has them in it."""
    return EqualMs.share if not asked and {ALL, EqualMs.name}.intersection(misbehave) else asked


async def simulate(source: Source, settings: Settings, say: Callable[[str], None]) -> None:
    """Serve a source until SIGTERM or SIGINT; ``say`` gets a line when it listens and one when all is pushed.

    Raises:
        UsageError: the address is taken, the ledger can't be written, the recording has a bad line.
    """
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopped.set)
    simulator = Simulator(source, settings)
    async with simulator.listen() as port:
        say(f"listening on ws://{settings.host}:{port}")
        pushing = loop.create_task(simulator.run())
        stopping = loop.create_task(stopped.wait())
        await asyncio.wait({pushing, stopping}, return_when=asyncio.FIRST_COMPLETED)
        if not pushing.done():
            pushing.cancel()
        try:
            await pushing
        except asyncio.CancelledError:
            pass
        except UsageError:
            stopping.cancel()
            raise
        say(f"finished: {simulator.counts.ticks} ticks")
        await stopping


def _positive(text: str, usage: str) -> float:
    try:
        number = float(text)
    except ValueError:
        raise UsageError(usage) from None
    if not 0.0 < number < math.inf:
        raise UsageError(usage)
    return number
