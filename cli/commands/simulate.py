"""``ashare simulate``."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cli.settings import default, option, secret
from cli.terminal import log_to_stderr
from schemas import UsageError

if TYPE_CHECKING:
    from simulator.playback import VolumeUnit


_MARKET, _SERVER, _RECORDING, _FAULTS = "Market", "Server", "Recording", "Faults"


class Protocol(StrEnum):
    """The providers whose protocols the market speaks."""

    POST = "post"
    ALLTICK = "alltick"
    XTICK = "xtick"
    ITICK = "itick"
    INFOWAY = "infoway"
    TICKFLOW = "tickflow"
    MASSIVE = "massive"
    BINANCE = "binance"


class Tier(StrEnum):
    """What a client's token is worth."""

    ALL = "all"
    BASIC = "basic"


class Unit(StrEnum):
    """What volumes of a recording count; a lot is 100 shares."""

    SHARES = "shares"
    LOTS = "lots"


def command(
    *,
    feed: Annotated[Protocol, typer.Option(rich_help_panel=_SERVER, help="whose protocol it speaks")] = Protocol.POST,
    host: Annotated[
        str,
        typer.Option(metavar="HOST", rich_help_panel=_SERVER, help="address to listen on; 0.0.0.0 for every interface"),
    ] = "127.0.0.1",
    port: Annotated[
        int,
        typer.Option(
            metavar="PORT", rich_help_panel=_SERVER, help="port to listen on, 0 for any free one", min=0, max=65535
        ),
    ] = 8765,
    rate: Annotated[
        str,
        typer.Option(
            metavar="N|opening|flat",
            rich_help_panel=_MARKET,
            help="ticks a second over all codes; 'opening': 300-400 that calm down; 'flat': no limit",
        ),
    ] = "opening",
    codes: Annotated[
        int, typer.Option(metavar="N", rich_help_panel=_MARKET, help="how many A shares the market has")
    ] = 5400,
    kinds: Annotated[str, option("kinds")] = default("kinds"),
    ticks_per_frame: Annotated[
        int, typer.Option(metavar="N", rich_help_panel=_SERVER, help="most ticks of one frame", min=1, max=10_000)
    ] = 50,
    seconds: Annotated[
        float | None,
        typer.Option(
            metavar="SECONDS", rich_help_panel=_MARKET, help="stop pushing after this long; connections stay open"
        ),
    ] = None,
    seed: Annotated[
        int, typer.Option(metavar="N", rich_help_panel=_MARKET, help="the market drawn: same seed, same ticks")
    ] = 0,
    books: Annotated[
        bool,
        typer.Option(
            "--books",
            rich_help_panel=_MARKET,
            help="a five-level book and the day's figures beside each tick; of --play: what the recording has of them",
        ),
    ] = False,
    start: Annotated[
        str | None,
        typer.Option(
            metavar="TIME",
            rich_help_panel=_MARKET,
            help="exchange time of the first tick; default: opening of the latest trading day",
        ),
    ] = None,
    token: Annotated[str | None, option("token")] = default("token"),
    tier: Annotated[
        Tier, typer.Option(rich_help_panel=_SERVER, help="'basic' may subscribe codes, but not *")
    ] = Tier.ALL,
    wait_for_client: Annotated[
        bool,
        typer.Option(
            "--wait-for-client", rich_help_panel=_MARKET, help="begin at the first subscription, as --play does"
        ),
    ] = False,
    ledger: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR", rich_help_panel="Files", help="write what is sent to each connection into this folder"
        ),
    ] = None,
    market_page: Annotated[
        bool,
        typer.Option(
            "--market-page",
            rich_help_panel="Files",
            help="with --ledger: write every tick of the market too, whoever is sent it",
        ),
    ] = False,
    write_codes: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            rich_help_panel="Files",
            help="write the market's codes into this file, a watchlist for --watchlist",
        ),
    ] = None,
    play: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            rich_help_panel=_RECORDING,
            help="play a recording, CSV or JSON lines: code,time,price[,volume,turnover,side,…]",
        ),
    ] = None,
    speed: Annotated[
        str,
        typer.Option(
            metavar="SPEED",
            rich_help_panel=_RECORDING,
            help="of --play: 'original', 'x10' for ten times, 'flat' for no limit",
        ),
    ] = "original",
    volume_unit: Annotated[
        Unit | None,
        typer.Option(
            rich_help_panel=_RECORDING,
            help="of --play: what the recording's volumes count; default: what the column's name says, or shares",
        ),
    ] = None,
    queue_mib: Annotated[
        int,
        typer.Option(
            metavar="MIB",
            rich_help_panel=_SERVER,
            help="unsent MiB at which a slow client is closed with 1013",
            min=1,
            max=4096,
        ),
    ] = 64,
    compression: Annotated[
        bool, typer.Option("--compression", rich_help_panel=_SERVER, help="offer permessage-deflate")
    ] = False,
    connections: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            rich_help_panel=_SERVER,
            help="connections that a token may have; default: as the provider documents it",
            min=1,
        ),
    ] = None,
    equal_ms: Annotated[
        float,
        typer.Option(
            metavar="SHARE",
            rich_help_panel=_FAULTS,
            help="share of trades with the ms, price and volume of the one before; Shanghai: 0.2",
        ),
    ] = 0.0,
    misbehave: Annotated[
        str | None,
        typer.Option(
            metavar="KIND[,KIND...]|all",
            rich_help_panel=_FAULTS,
            help="kinds of misbehaviour, comma-separated, or 'all' that a right client survives",
        ),
    ] = None,
    misbehave_every: Annotated[
        float,
        typer.Option(
            metavar="SECONDS", rich_help_panel=_FAULTS, help="seconds from one misbehaviour to the next", min=0.1
        ),
    ] = 1.0,
    kill_line_every: Annotated[
        float | None,
        typer.Option(
            metavar="SECONDS",
            rich_help_panel=_FAULTS,
            help="reset one connection after the other, one every so many seconds",
            min=0.1,
        ),
    ] = None,
) -> None:
    """Run a simulated A-share market on a WebSocket.

    Its ticks come from a seed or from a recording. It speaks the post's protocol,
    {"action":"subscribe","symbols":["600519","000001"]}, "600519,000001" or "*", or with --feed that of a provider,
    whose limits it holds: what a subscription looks like there, docs/providers.md tells. With --misbehave it does what
    providers do on bad days; each fault stands in the ledger's faults.jsonl.

    Example: ashare simulate --port 8765 --rate 5000 --start "2026-11-20 09:29:50"
    Example: ashare simulate --play ticks.csv --speed x10
    Example: ashare simulate --feed alltick --misbehave kill,silence --misbehave-every 5
    """
    import logging

    import uvloop

    from market.kinds import parse as parse_kinds
    from simulator.run import FLAT, check_kinds, equal_share, generated, recorded, simulate, with_equal_trades
    from simulator.run import write_codes as write
    from simulator.server import Settings

    log_to_stderr(logging.INFO)
    logging.getLogger("websockets").setLevel(logging.WARNING)
    unit: VolumeUnit | None = None if volume_unit is None else volume_unit.value
    if play is not None:
        source, pace = recorded(play, speed=speed, start=start, volume_unit=unit, books=books), speed
    else:
        named = parse_kinds(kinds)
        check_kinds(named, feed.value)
        if write_codes is not None:
            write(write_codes, codes=codes, seed=seed, feed=feed.value, kinds=named)
        source, pace = generated(rate=rate, codes=codes, seed=seed, start=start, books=books, kinds=named), rate
    if market_page and ledger is None:
        raise UsageError("--market-page is a page of the ledger: give --ledger DIR")
    faults = [] if misbehave is None else [name.strip() for name in misbehave.split(",")]
    source = with_equal_trades(source, equal_share(equal_ms, faults), seed)
    settings = Settings(
        host=host,
        port=port,
        token=secret("token", token),
        all_market=tier is Tier.ALL,
        ticks_per_frame=ticks_per_frame,
        paced=pace != FLAT,
        wait_for_client=wait_for_client or play is not None,
        seconds=seconds,
        queue_bytes=queue_mib << 20,
        compression=compression,
        ledger=ledger,
        feed=feed.value,
        connections=connections,
        misbehave=faults,
        misbehave_every=misbehave_every,
        seed=seed,
        kill_line_every=kill_line_every,
        market_page=market_page,
    )
    uvloop.run(simulate(source, settings, say=lambda line: print(line, flush=True)))
