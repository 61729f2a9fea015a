"""``ashare verify``."""

from __future__ import annotations

import re
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from schemas import UsageError

if TYPE_CHECKING:
    from producer.feeds.provider import Capabilities
    from selfcheck.run import Options
    from selfcheck.watchlist import Change


_LOAD, _PIPELINE, _FAULTS, _CHANGES = "Load", "Pipeline", "Faults", "Changes while it runs"


class Store(StrEnum):
    """The stores that a check can run with."""

    SQLITE = "sqlite"
    QUESTDB = "questdb"


def command(
    *,
    rate: Annotated[
        float,
        typer.Option("--rate", metavar="N", rich_help_panel=_LOAD, min=1, help="ticks a second that the market pushes"),
    ] = 400.0,
    seconds: Annotated[
        float, typer.Option("--seconds", metavar="SECONDS", rich_help_panel=_LOAD, min=1, help="how long it pushes")
    ] = 20.0,
    store: Annotated[
        Store, typer.Option("--store", rich_help_panel=_PIPELINE, help="where the ticks are stored")
    ] = Store.SQLITE,
    codes: Annotated[
        int | None,
        typer.Option(
            "--codes",
            metavar="N",
            rich_help_panel=_LOAD,
            min=1,
            help="stocks of the market; default: as many as the feed takes",
        ),
    ] = None,
    ticks_per_frame: Annotated[
        int | None,
        typer.Option(
            "--ticks-per-frame", metavar="N", rich_help_panel=_LOAD, min=1, help="most ticks of one WebSocket message"
        ),
    ] = None,
    threshold: Annotated[
        str,
        typer.Option("--threshold", metavar="THRESHOLD", rich_help_panel=_PIPELINE, help="0.05 (yuan), 2ticks or 50bp"),
    ] = "0.01",
    seed: Annotated[
        int | None,
        typer.Option("--seed", metavar="N", rich_help_panel=_LOAD, help="the same seed gives the same ticks"),
    ] = None,
    feed: Annotated[
        str,
        typer.Option(
            "--feed",
            metavar="NAME",
            rich_help_panel=_PIPELINE,
            help="protocol between market and producer; see `ashare feeds`",
        ),
    ] = "post",
    books: Annotated[
        bool,
        typer.Option(
            "--books",
            rich_help_panel=_LOAD,
            help="a book and the day's figures beside each tick, compared as well",
        ),
    ] = False,
    misbehave: Annotated[
        str | None,
        typer.Option(
            "--misbehave",
            metavar="KIND[,KIND...]|all",
            rich_help_panel=_FAULTS,
            help="what the market does now and then; see `ashare simulate`",
        ),
    ] = None,
    lines: Annotated[
        int,
        typer.Option(
            "--lines",
            metavar="N",
            rich_help_panel=_PIPELINE,
            min=1,
            max=2,
            help="2: the same ticks on two connections, made one stream",
        ),
    ] = 1,
    kill_line_every: Annotated[
        float | None,
        typer.Option(
            "--kill-line-every",
            metavar="SECONDS",
            rich_help_panel=_FAULTS,
            min=0.1,
            help="end a connection every so many seconds",
        ),
    ] = None,
    equal_ms: Annotated[
        float | None,
        typer.Option(
            "--equal-ms",
            metavar="SHARE",
            rich_help_panel=_LOAD,
            help="share of trades equal to the one before; 0.2 with --lines 2",
        ),
    ] = None,
    threshold_at: Annotated[
        list[str] | None,
        typer.Option(
            "--threshold-at",
            metavar="SECONDS=SCOPE=THRESHOLD",
            rich_help_panel=_CHANGES,
            help="set while ticks come: 5=board:STAR=50bp, 8=default=unset; repeatable",
        ),
    ] = None,
    watchlist_at: Annotated[
        list[str] | None,
        typer.Option(
            "--watchlist-at",
            metavar="SECONDS:OUT/IN",
            rich_help_panel=_CHANGES,
            help="10:500/400: after 10 s 500 codes leave and 400 come; repeatable",
        ),
    ] = None,
    kill_producer_every: Annotated[
        float | None,
        typer.Option(
            "--kill-producer-every",
            metavar="SECONDS",
            rich_help_panel=_FAULTS,
            min=1,
            help="kill -9 the producer every so many seconds, and start it",
        ),
    ] = None,
    clock_step: Annotated[
        float,
        typer.Option(
            "--clock-step",
            metavar="SECONDS",
            rich_help_panel=_FAULTS,
            help="seconds that each start's clock is further off; -3600: back an hour",
        ),
    ] = 0.0,
    workers: Annotated[
        int,
        typer.Option(
            "--workers",
            metavar="N",
            rich_help_panel=_PIPELINE,
            min=1,
            max=12,
            help="processes that share the partitions",
        ),
    ] = 1,
    kill_worker_every: Annotated[
        float | None,
        typer.Option(
            "--kill-worker-every",
            metavar="SECONDS",
            rich_help_panel=_FAULTS,
            min=1,
            help="kill -9 a worker every so many seconds, each in turn",
        ),
    ] = None,
    rebalance_every: Annotated[
        float | None,
        typer.Option(
            "--rebalance-every",
            metavar="SECONDS",
            rich_help_panel=_FAULTS,
            min=1,
            help="end a worker every so many seconds, each in turn, and start it",
        ),
    ] = None,
    freeze_worker: Annotated[
        float | None,
        typer.Option(
            "--freeze-worker",
            metavar="SECONDS",
            rich_help_panel=_FAULTS,
            min=1,
            help="stop a worker for so many seconds (SIGSTOP), then let it go on",
        ),
    ] = None,
    partitions: Annotated[
        int | None,
        typer.Option(
            "--partitions",
            metavar="N",
            rich_help_panel=_PIPELINE,
            min=1,
            max=512,
            help="of the topics that have several, to measure what they cost",
        ),
    ] = None,
    secure: Annotated[
        bool,
        typer.Option(
            "--secure",
            rich_help_panel=_PIPELINE,
            help="logins (SCRAM) over TLS, and a user for each part that may do what it needs",
        ),
    ] = False,
    gateway_clients: Annotated[
        int,
        typer.Option(
            "--gateway-clients",
            metavar="N",
            rich_help_panel=_PIPELINE,
            min=0,
            max=500,
            help="of the gateway, each held against its own random subscription and threshold",
        ),
    ] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="print one JSON object")] = False,
) -> None:
    """Push a load through a pipeline of its own, and compare.

    Compares everything that came out with what went in. Starts Kafka, the store, a simulated market, the producer and a
    worker on free ports in a temporary directory. Exit code 0 only if nothing was lost, duplicated, out of order or
    different; data and logs are kept otherwise.

    Example: ashare verify --rate 5000 --seconds 20
    Example: ashare verify --feed alltick --misbehave all --seconds 60
    Example: ashare verify --books --rate 5000 --seconds 60
    Example: ashare verify --threshold-at 5=default=3ticks --threshold-at 10=board:STAR=50bp
    Example: ashare verify --rate 5000 --codes 5000 --seconds 30 --watchlist-at 10:500/500
    Example: ashare verify --kill-producer-every 7 --clock-step -3600 --seconds 40
    Example: ashare verify --workers 3 --kill-worker-every 9 --rebalance-every 7 --rate 5000 --seconds 60
    Example: ashare verify --rate 2000 --gateway-clients 50
    Example: ashare verify --workers 2 --freeze-worker 90 --seconds 120
    """
    import signal
    import sys

    from cli.progress import Steps
    from cli.tables import hanging, width
    from producer.feeds import provider
    from selfcheck.run import Options, verify

    def leave(number: int, _frame: object) -> None:
        raise SystemExit(128 + number)

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
        watchlist_at=tuple(_change_at(text, seconds) for text in watchlist_at or ()),
        partitions=partitions,
        kill_producer_every=kill_producer_every,
        clock_step=clock_step,
        workers=workers,
        kill_worker_every=kill_worker_every,
        rebalance_every=rebalance_every,
        freeze_worker=freeze_worker,
        secure=secure,
        books=books,
        gateway_clients=gateway_clients,
    )
    if gateway_clients and (misbehave or kill_producer_every or watchlist_at):
        raise UsageError(
            "--gateway-clients counts every tick of a good day: leave out --misbehave, --kill-producer-every and"
            " --watchlist-at"
        )
    _check_freeze(options)
    _check_books(options, able)
    _check_kills(options, able)
    if watchlist_at:
        _check_changes(options, able)
    with Steps(quiet=as_json and not sys.stderr.isatty()) as steps:
        verdict = verify(options, steps, steps.lasting)
    if as_json:
        print(verdict.as_json())
    else:
        room = width()
        print("\n".join(part for line in verdict.as_text().splitlines() for part in hanging(line, room, 11)))
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


def _change_at(text: str, seconds: float) -> Change:
    """When the watchlist changes, and by how many codes."""
    from selfcheck.watchlist import Change

    found = re.fullmatch(r"(\d+(?:\.\d+)?):(\d+)/(\d+)", text)
    change = Change(float(found[1]), int(found[2]), int(found[3])) if found else None
    if change is None or not 0 < change.seconds < seconds or not (change.leaving or change.coming):
        raise UsageError(
            f"--watchlist-at {text!r}: give SECONDS:OUT/IN, as 10:500/400 for 500 codes that leave and 400 that come,"
            f" before --seconds {seconds:g}"
        )
    return change


def _check_freeze(options: Options) -> None:
    """Refuse a frozen worker that nothing could be seen of.

    Raises:
        UsageError: says what, and what to do.
    """
    from selfcheck.disturbing import FREEZE_AT, least_seconds

    if options.freeze_worker is None:
        return
    if options.workers < 2:
        raise UsageError("--freeze-worker needs another worker that takes the partitions over: give --workers 2")
    least = least_seconds(options.freeze_worker)
    if options.seconds < least:
        raise UsageError(
            f"--freeze-worker {options.freeze_worker:g} begins after {FREEZE_AT:g} s, and ticks have to come when the"
            f" worker goes on: give --seconds {least:g} at least"
        )


def _check_books(options: Options, able: Capabilities) -> None:
    """Refuse books of a feed that carries none.

    Raises:
        UsageError: says which feeds do.
    """
    from producer.feeds import feeds

    if not options.books or "day_volume" in able.carries:
        return
    names = [name for name, row in feeds().items() if "day_volume" in row.capabilities.carries]
    raise UsageError(
        f"--books: {options.feed} carries neither a book nor figures of the day: give --feed {', '.join(names[:-1])}"
        f" or {names[-1]}"
    )


def _check_kills(options: Options, able: Capabilities) -> None:
    """Refuse what a producer that is killed can't be checked with.

    Raises:
        UsageError: says what, and what to do.
    """
    if options.kill_producer_every is None:
        if options.clock_step:
            raise UsageError("--clock-step sets the clock of each start anew: give --kill-producer-every as well")
        return
    if not able.wildcard or options.feed != "post":
        raise UsageError("--kill-producer-every compares with all that the market had: leave out --feed, or give post")
    if options.misbehave or options.lines > 1 or options.kill_line_every or options.watchlist_at:
        raise UsageError(
            "--kill-producer-every wants a market and a list that stay: leave out --misbehave, --lines 2,"
            " --kill-line-every and --watchlist-at"
        )


def _check_changes(options: Options, able: Capabilities) -> None:
    """Refuse what a changing list can't be checked with.

    Raises:
        UsageError: says what, and what to do.
    """
    if able.changes == "reconnect":
        raise UsageError(
            f"--watchlist-at: {options.feed} takes another list with a new connection only, so what stays has a gap:"
            " choose another --feed"
        )
    if options.misbehave or options.lines > 1 or options.kill_line_every:
        raise UsageError(
            "--watchlist-at wants a good day, on which every tick that there was is due: leave out --misbehave,"
            " --lines 2 and --kill-line-every"
        )
