"""``ashare tail``."""

from __future__ import annotations

import os
import sys
from enum import StrEnum
from typing import Annotated, Any

import typer

from cli.settings import default, option


class From(StrEnum):
    """Where to begin."""

    EARLIEST = "earliest"
    LATEST = "latest"


def command(
    topic: Annotated[str, typer.Argument(metavar="TOPIC", help="price-changes, ticks, …, or a topic's full name")],
    *,
    bootstrap: Annotated[str, option("bootstrap")] = default("bootstrap"),
    start: Annotated[From, typer.Option("--from", help="the oldest record kept, or only what comes now")] = From.LATEST,
    limit: Annotated[int | None, typer.Option("--limit", min=1, metavar="N", help="end after so many records")] = None,
    codes: Annotated[str, typer.Option("--codes", metavar="CODE[,CODE...]", help="only these, as 600519,000001")] = "",
    as_json: Annotated[bool, typer.Option("--json", help="the records as they are, one a line")] = False,
) -> None:
    """Print the records of a topic as they come, until Ctrl-C.

    Times are Shanghai's. Order is kept per code: a code's records are in one partition. Prices that rose are red and
    those that fell green, as in China, with + and -; NO_COLOR=1 leaves the colours out. Names stand behind the figures
    where they are known (`ashare instruments apply`) and there is room. Dead letters are printed with
    their reason; --json wraps what they hold as text.

    Example: ashare tail price-changes --codes 600519,000001
    """
    import asyncio
    import contextlib
    import logging

    from cli.following import follow, topic_name
    from cli.lines import WIDE, as_line, as_text, head, moved, with_name
    from cli.names import Names
    from cli.tables import hanging, width
    from cli.terminal import Colour, coloured, write
    from market.kinds import resolved

    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)
    name = topic_name(topic)
    wanted = frozenset(filter(None, (resolved(code.strip()) for code in codes.split(","))))
    room, colours = width(), coloured()
    wide = room is None or room >= WIDE
    names = Names(bootstrap, "" if as_json else name)

    def show(record: Any) -> None:
        if as_json:
            write(as_text(name, record))
            return
        line, way = as_line(name, record, wide=wide), moved(name, record) if colours else 0.0
        line = with_name(line, names.of(record.key), name, wide=wide, room=room)
        colour = Colour.RED if way > 0 else Colour.GREEN if way < 0 else None
        for part in hanging(line, room):
            write(part, colour)

    async def run() -> None:
        async with contextlib.aclosing(
            follow(bootstrap, name, earliest=start is From.EARLIEST, limit=limit, codes=wanted)
        ) as records:
            titles = "" if as_json else head(name, wide=wide)
            names.start()
            async for some in records:
                await names.ready()
                if titles:
                    write(titles)
                    titles = ""
                for record in some:
                    show(record)
                sys.stdout.flush()

    try:
        asyncio.run(run())
    except BrokenPipeError:
        # Whoever read has enough (`| head`): nothing is left to flush into.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
