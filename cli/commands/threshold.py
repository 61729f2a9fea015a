"""``ashare threshold …``."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Coroutine
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli.help import App
from cli.settings import default, option
from market.times import TimeError, shanghai_time
from schemas import UsageError

if TYPE_CHECKING:
    from cli.thresholds import Kept

app = App(
    no_args_is_help=True, help="Set, show or unset thresholds at run time.\n\nWorkers apply them within a second."
)

Bootstrap = Annotated[str, option("bootstrap")]


@app.command("set")
def set_(
    words: Annotated[
        list[str], typer.Argument(metavar="SCOPE THRESHOLD", help="600519 0.5, board STAR 20bp, default 2ticks")
    ],
    bootstrap: Bootstrap = default("bootstrap"),
) -> None:
    """Set a threshold: of a code, of a board, or the default.

    Code beats board beats default; for the same scope what is set here beats the worker's settings. Moves larger than
    the threshold are emitted: 0.5 (yuan), 2ticks or 20bp. It stays until it is unset, over restarts too.

    Example: ashare threshold set board STAR 20bp
    """
    from jobs.thresholds import parse, read_scope

    if len(words) < 2:
        raise UsageError("name what it is for and the threshold: ashare threshold set 600519 0.5")
    *named, text = words
    scope, threshold = read_scope(" ".join(named)), str(parse(text))
    _run(_write(bootstrap, scope, threshold))
    print(f"{scope} {threshold}: workers with the changes agent apply it within a second")


@app.command()
def unset(
    words: Annotated[list[str], typer.Argument(metavar="SCOPE", help="600519, board STAR, default")],
    bootstrap: Bootstrap = default("bootstrap"),
) -> None:
    """Take back what was set at run time.

    The worker's settings are in force again.

    Example: ashare threshold unset board STAR
    """
    from jobs.thresholds import read_scope

    scope = read_scope(" ".join(words))
    if scope not in {kept.scope for kept in _run(_read(bootstrap))}:
        print(f"{scope} was not set at run time: nothing to do")
        return
    _run(_write(bootstrap, scope, None))
    print(f"{scope} is unset: the workers' settings are in force again within a second")


@app.command()
def show(
    bootstrap: Bootstrap = default("bootstrap"),
    *,
    as_json: Annotated[bool, typer.Option("--json", help="one JSON object, by scope")] = False,
) -> None:
    """Show what is set at run time. Settings are each worker's own: its /status shows what is in force there.

    Example: ashare threshold show --json
    """
    kept = _run(_read(bootstrap))
    if as_json:
        print(json.dumps({one.scope: {"threshold": one.threshold, "set": one.at} for one in kept}, indent=2))
        return
    if not kept:
        print("nothing is set at run time: the workers' settings are in force (GET /status of a worker shows them)")
        return
    from cli.tables import Column, say
    from cli.tables import show as table

    table(
        [Column("scope"), Column("threshold"), Column("set (Shanghai time)")],
        [(one.scope, one.threshold, _clock(one.at)) for one in kept],
    )
    say("the workers' settings are in force for everything else (GET /status of a worker shows them)")


def _clock(milliseconds: int) -> str:
    try:
        return shanghai_time(milliseconds)[: len("YYYY-MM-DD HH:MM:SS")]
    except TimeError:  # a stranger's timestamp
        return str(milliseconds)


async def _read(bootstrap: str) -> list[Kept]:
    from cli.thresholds import read

    return await read(bootstrap)


async def _write(bootstrap: str, scope: str, threshold: str | None) -> None:
    from cli.thresholds import write

    await write(bootstrap, scope, threshold)


def _run(work: Coroutine[Any, Any, Any]) -> Any:
    """Run it; the client would log every attempt to reach a broker, and the one line at the end says it all."""
    import logging

    from broker.errors import RefusedError
    from broker.publisher import DeliveryError
    from broker.reader import ReadError

    for chatty in ("aiokafka", "broker"):
        logging.getLogger(chatty).setLevel(logging.CRITICAL)
    try:
        return asyncio.run(work)
    except RefusedError as error:
        raise UsageError(str(error)) from error
    except (ReadError, DeliveryError) as error:
        raise UsageError(f"{error}: is the broker well (--bootstrap)?") from error
