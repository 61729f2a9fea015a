"""``ashare simulate``."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from cli.settings import default, option, secret


class Tier(StrEnum):
    """What a client's token is worth."""

    ALL = "all"
    BASIC = "basic"


def command(
    *,
    host: Annotated[str, typer.Option(help="address to listen on; 0.0.0.0 for every interface")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="port to listen on, 0 for any free one", min=0, max=65535)] = 8765,
    rate: Annotated[
        str, typer.Option(help="ticks a second over all codes; 'opening': 300-400 that calm down; 'flat': no limit")
    ] = "opening",
    codes: Annotated[int, typer.Option(help="how many stocks the market has")] = 5400,
    ticks_per_frame: Annotated[int, typer.Option(help="most ticks of one frame", min=1, max=10_000)] = 50,
    seconds: Annotated[float | None, typer.Option(help="stop pushing after this long; connections stay open")] = None,
    seed: Annotated[int, typer.Option(help="the market drawn: same seed, same ticks")] = 0,
    start: Annotated[
        str | None, typer.Option(help="exchange time of the first tick; default: opening of the latest trading day")
    ] = None,
    token: Annotated[str | None, option("token")] = default("token"),
    tier: Annotated[Tier, typer.Option(help="'basic' may subscribe codes, but not *")] = Tier.ALL,
    wait_for_client: Annotated[
        bool, typer.Option("--wait-for-client", help="begin at the first subscription, as --play does")
    ] = False,
    ledger: Annotated[Path | None, typer.Option(help="write what is sent to each connection into this folder")] = None,
    play: Annotated[
        Path | None, typer.Option(help="play a recording, CSV or JSON lines: code,time,price[,volume,turnover,side,…]")
    ] = None,
    speed: Annotated[
        str, typer.Option(help="of --play: 'original', 'x10' for ten times, 'flat' for no limit")
    ] = "original",
    queue_mib: Annotated[
        int, typer.Option(help="unsent MiB at which a slow client is closed with 1013", min=1, max=4096)
    ] = 64,
    compression: Annotated[bool, typer.Option("--compression", help="offer permessage-deflate")] = False,
) -> None:
    """A simulated A-share market on a WebSocket, from a seed or from a recording.

    It speaks the feed's protocol: {"action":"subscribe","symbols":["600519","000001"]}, "600519,000001" or "*".

    Example: ashare simulate --port 8765 --rate 5000 --start "2026-11-20 09:29:50"
    Example: ashare simulate --play ticks.csv --speed x10
    """
    import logging

    import uvloop

    from simulator.run import FLAT, generated, recorded, simulate
    from simulator.server import Settings

    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    logging.getLogger("websockets").setLevel(logging.WARNING)
    if play is not None:
        source, pace = recorded(play, speed=speed, start=start), speed
    else:
        source, pace = generated(rate=rate, codes=codes, seed=seed, start=start), rate
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
    )
    uvloop.run(simulate(source, settings, say=lambda line: print(line, flush=True)))
