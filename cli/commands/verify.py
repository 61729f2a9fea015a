"""``ashare verify``."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer

from schemas import UsageError


class Store(StrEnum):
    """The stores that a check can run with."""

    SQLITE = "sqlite"
    QUESTDB = "questdb"


def command(
    *,
    rate: Annotated[float, typer.Option("--rate", min=1, help="ticks a second that the market pushes")] = 400.0,
    seconds: Annotated[float, typer.Option("--seconds", min=1, help="how long it pushes")] = 20.0,
    store: Annotated[Store, typer.Option("--store", help="where the ticks are stored")] = Store.SQLITE,
    codes: Annotated[
        int | None, typer.Option("--codes", min=1, help="stocks of the market; default: as many as the feed takes")
    ] = None,
    ticks_per_frame: Annotated[
        int | None, typer.Option("--ticks-per-frame", min=1, help="most ticks of one WebSocket message")
    ] = None,
    threshold: Annotated[str, typer.Option("--threshold", help="0.05 (yuan), 2ticks or 50bp")] = "0.01",
    seed: Annotated[int | None, typer.Option("--seed", help="the same seed gives the same ticks")] = None,
    feed: Annotated[
        str, typer.Option("--feed", help="protocol between market and producer; see `ashare feeds`")
    ] = "post",
    misbehave: Annotated[
        str | None, typer.Option("--misbehave", help="what the market does now and then; see `ashare simulate`")
    ] = None,
    lines: Annotated[
        int, typer.Option("--lines", min=1, max=2, help="2: the same ticks on two connections, made one stream")
    ] = 1,
    kill_line_every: Annotated[
        float | None, typer.Option("--kill-line-every", min=0.1, help="end a connection every so many seconds")
    ] = None,
    equal_ms: Annotated[
        float | None, typer.Option("--equal-ms", help="share of trades equal to the one before; 0.2 with --lines 2")
    ] = None,
    threshold_at: Annotated[
        list[str] | None,
        typer.Option("--threshold-at", help="set while ticks come: 5=board:STAR=50bp, 8=default=unset; repeatable"),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="print one JSON object")] = False,
) -> None:
    """Push a load through an isolated pipeline and compare everything that came out with what went in.

    Starts Kafka, the store, a simulated market, the producer and a worker on free ports in a temporary directory. Exit
    code 0 only if nothing was lost, duplicated, out of order or different; data and logs are kept otherwise.

    Example: ashare verify --rate 5000 --seconds 20
    Example: ashare verify --feed alltick --misbehave all --seconds 60
    Example: ashare verify --threshold-at 5=default=3ticks --threshold-at 10=board:STAR=50bp
    """
    import signal
    import sys

    from producer.feeds import provider
    from selfcheck.run import Options, verify

    def leave(number: int, _frame: object) -> None:
        raise SystemExit(128 + number)

    def say(text: str) -> None:
        if not as_json or sys.stderr.isatty():
            print(f"{text} …", file=sys.stderr, flush=True)

    signal.signal(signal.SIGTERM, leave)
    if lines == 2 and equal_ms is None:
        equal_ms = 0.2
    able = provider(feed).capabilities
    if codes is None and able.second_login == "kicks the first" and able.codes_per_connection and able.connections:
        codes = able.codes_per_connection * able.connections
    options = Options(
        rate,
        seconds,
        store.value,
        codes,
        ticks_per_frame,
        threshold,
        seed,
        feed=feed,
        wildcard=able.wildcard,
        misbehave=misbehave,
        lines=lines,
        kill_line_every=kill_line_every,
        equal_ms=equal_ms,
        threshold_at=tuple(_set_at(text, seconds) for text in threshold_at or ()),
    )
    verdict = verify(options, say)
    print(verdict.as_json() if as_json else verdict.as_text())
    raise typer.Exit(0 if verdict.ok else 1)


def _set_at(text: str, seconds: float) -> tuple[float, str, str | None]:
    """When to set what: seconds after the first tick, scope, threshold or ``None``."""
    from jobs.thresholds import parse, read_scope

    at, _, rest = text.partition("=")
    scope, equals, threshold = rest.rpartition("=")
    try:
        when = float(at)
    except ValueError:
        when = -1.0
    if not equals or not 0 <= when < seconds:
        raise UsageError(
            f"--threshold-at {text!r}: give SECONDS=SCOPE=THRESHOLD, as 5=board:STAR=50bp, before --seconds {seconds:g}"
        )
    return when, read_scope(scope), None if threshold == "unset" else str(parse(threshold))
