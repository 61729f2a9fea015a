"""``ashare replay``."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from cli.settings import default, option, secret

_RANGE, _OUTPUT, _SERVE, _JOB = "What to replay", "Where it goes", "As a WebSocket", "Price changes"


class Format(StrEnum):
    """How records are written."""

    JSON = "json"
    CSV = "csv"
    PARQUET = "parquet"
    ARROW = "arrow"


class Job(StrEnum):
    """What the ticks may go through."""

    CHANGES = "changes"
    SNAPSHOTS = "snapshots"
    BARS = "bars"


def command(
    topic: Annotated[
        str, typer.Argument(metavar="TOPIC", help="ticks, price-changes, …, or any topic's full name")
    ] = "ticks",
    *,
    bootstrap: Annotated[str, option("bootstrap")] = default("bootstrap"),
    start: Annotated[
        str,
        typer.Option(
            "--from",
            metavar="PLACE",
            rich_help_panel=_RANGE,
            help='earliest, offset:1234, 3:1234,4:99, "2026-11-20 09:30" (Shanghai), "last 2h"',
        ),
    ] = "earliest",
    end: Annotated[
        str,
        typer.Option(
            "--to", metavar="PLACE", rich_help_panel=_RANGE, help="as --from, itself excluded; end: what is there now"
        ),
    ] = "end",
    codes: Annotated[
        str, typer.Option(metavar="CODE[,CODE...]", rich_help_panel=_RANGE, help="only these, as 600519,000001")
    ] = "",
    boards: Annotated[
        str,
        typer.Option(
            metavar="BOARD[,BOARD...]", rich_help_panel=_RANGE, help="only these: MAIN, CHINEXT, STAR, BSE, OTHER"
        ),
    ] = "",
    pace: Annotated[
        str | None,
        typer.Option(
            metavar="PACE",
            rich_help_panel="Pace",
            help="original, x10, 5000/s or flat; default: flat, but original with --serve",
        ),
    ] = None,
    longest_pause: Annotated[
        str,
        typer.Option(
            metavar="DURATION",
            rich_help_panel="Pace",
            help="a longer pause, as lunch is, is not waited for: 30m, or none to wait for all",
        ),
    ] = "30m",
    to_file: Annotated[
        Path | None,
        typer.Option(metavar="FILE", rich_help_panel=_OUTPUT, help="a new file: .jsonl, .csv, .parquet or .arrow"),
    ] = None,
    form: Annotated[
        Format | None, typer.Option("--format", rich_help_panel=_OUTPUT, help="of --to-file or standard output")
    ] = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", rich_help_panel=_OUTPUT, help="--to-file may replace a file")
    ] = False,
    to_topic: Annotated[
        str | None,
        typer.Option(
            metavar="TOPIC", rich_help_panel=_OUTPUT, help="a topic of your own, made if missing; never a live one"
        ),
    ] = None,
    replay_id: Annotated[
        str | None,
        typer.Option(
            metavar="NAME", rich_help_panel=_OUTPUT, help="name of this replay, in headers and in the last message"
        ),
    ] = None,
    serve: Annotated[
        int | None,
        typer.Option(
            metavar="PORT",
            rich_help_panel=_SERVE,
            help="port of a WebSocket that speaks the feed's protocol, 0 for any",
            min=0,
            max=65535,
        ),
    ] = None,
    host: Annotated[
        str,
        typer.Option(metavar="HOST", rich_help_panel=_SERVE, help="address of --serve; 0.0.0.0 for every interface"),
    ] = "127.0.0.1",
    token: Annotated[str | None, option("token")] = default("token"),
    ticks_per_frame: Annotated[
        int, typer.Option(metavar="N", rich_help_panel=_SERVE, help="of --serve, at most", min=1, max=10_000)
    ] = 50,
    through: Annotated[
        Job | None, typer.Option(rich_help_panel=_JOB, help="what this job makes of the ticks, instead of the ticks")
    ] = None,
    threshold: Annotated[str, option("threshold")] = default("threshold"),
    thresholds: Annotated[str, option("thresholds")] = default("thresholds"),
    archive: Annotated[Path | None, option("archive")] = default("archive"),
    partial: Annotated[
        bool, typer.Option("--partial", rich_help_panel=_RANGE, help="leave out what neither log nor archive holds")
    ] = False,
    scan: Annotated[
        bool,
        typer.Option(
            "--scan",
            rich_help_panel=_RANGE,
            help="look for --from in all of the log: times may be days ahead of their receipt",
        ),
    ] = False,
    lateness: Annotated[
        str | None,
        typer.Option(
            metavar="DURATION",
            rich_help_panel=_RANGE,
            help="read this far behind --to for late records; default: to the end of the log",
        ),
    ] = None,
) -> None:
    """Give out a range of a topic again, in time order.

    To standard output, to a file, to a topic of its own, or to a WebSocket as the feed itself would. --through changes
    writes what the changes topic would have been with another threshold. At a terminal, space pauses and the arrows
    jump. Live readers never see replayed records. Exit code 1 where the range holds nothing.

    Example: ashare replay ticks --from "2026-11-20 09:30" --to "2026-11-20 10:00" --to-file opening.parquet
    Example: ashare replay --from "last 2h" --pace x10 --serve 8765
    Example: ashare replay --through changes --threshold 0.05 --from "last 1d" --to-topic replay.changes
    """
    import asyncio
    import logging
    import os
    import sys

    from broker.publisher import DeliveryError
    from broker.reader import ReadError
    from cli.replaying import Wanted, run, said
    from cli.without import Without

    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)
    logging.getLogger("websockets").setLevel(logging.CRITICAL)
    wanted = Wanted(
        bootstrap=bootstrap,
        topic=topic,
        start=start,
        end=end,
        codes=codes,
        boards=boards,
        pace=pace,
        longest_pause=longest_pause,
        to_file=to_file,
        form=None if form is None else form.value,
        overwrite=overwrite,
        to_topic=to_topic,
        replay_id=replay_id,
        serve=serve,
        host=host,
        token=secret("token", token) if serve is not None else None,
        ticks_per_frame=ticks_per_frame,
        through=None if through is None else through.value,
        threshold=threshold,
        thresholds=thresholds,
        archive=archive,
        partial=partial,
        scan=scan,
        lateness=lateness,
    )
    # pyarrow would import it, 55 MB, to ask whether what it is given is one of its frames.
    Without("pandas").install()
    try:
        if not asyncio.run(run(wanted)):
            sys.exit(1)
    except BrokenPipeError:
        # Whoever read has enough (`| head`): nothing is left to flush into.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except asyncio.CancelledError:
        said("ended before its end")
        sys.exit(143)
    except (ReadError, DeliveryError) as error:
        said(str(error))
        sys.exit(1)
