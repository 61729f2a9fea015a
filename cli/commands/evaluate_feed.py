"""``ashare evaluate-feed``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cli.settings import default, option, secret
from schemas import UsageError

if TYPE_CHECKING:
    from producer.evaluation.figures import Report
    from producer.evaluation.run import Target


def command(
    urls: Annotated[
        list[str] | None, typer.Argument(metavar="URL [URL2]", help="where to dial; default: the provider's own")
    ] = None,
    *,
    feed: Annotated[str, option("feed")] = default("feed"),
    second_feed: Annotated[
        str | None, typer.Option("--second-feed", help="protocol of URL2, where it is another than --feed")
    ] = None,
    minutes: Annotated[float, typer.Option("--minutes", help="how long to measure")] = 5.0,
    token: Annotated[str | None, option("token")] = default("token"),
    second_token: Annotated[str | None, option("second_token")] = default("second_token"),
    symbols: Annotated[str, option("symbols")] = default("symbols"),
    watchlist: Annotated[str | None, option("watchlist")] = default("watchlist"),
    foreign: Annotated[bool, option("foreign")] = default("foreign"),
    own_clock: Annotated[bool, option("own_clock")] = default("own_clock"),
    forms: Annotated[
        bool,
        typer.Option("--forms/--no-forms", help="first try array, string and wildcard, on connections of their own"),
    ] = True,
    as_json: Annotated[bool, typer.Option("--json", help="print one JSON object")] = False,
    html: Annotated[Path | None, typer.Option("--html", help="write a page with plots into this file")] = None,
) -> None:
    """Measure a provider before paying for it: latency and its tail, batches, stability. Nothing goes to Kafka.

    Two addresses are measured over the same time, with who was first on the ticks that both brought. Ctrl-C ends it
    early, with the report of what was seen. docs/providers.md says how to read it.

    Example: ashare evaluate-feed --feed alltick --watchlist codes.txt --minutes 10 --html alltick.html
    Example: ashare evaluate-feed ws://127.0.0.1:8765 ws://127.0.0.1:8766 --own-clock --minutes 1
    """
    import logging
    import sys

    import msgspec
    import uvloop

    from producer.evaluation.page import page
    from producer.evaluation.run import run

    logging.basicConfig(
        level=logging.ERROR, format="%(asctime)s %(levelname)s %(name)s: %(message)s", stream=sys.stderr
    )
    logging.getLogger("websockets").setLevel(logging.ERROR)  # below, it prints the address with its token
    if not minutes > 0:
        raise UsageError("--minutes is a number above 0: 0.5 for half a minute")
    if html is not None and not html.absolute().parent.is_dir():
        raise UsageError(f"--html {html}: there is no such folder")
    named = list(urls or ())
    if len(named) > 2:
        raise UsageError("one address, or two to be compared")
    if second_feed is not None and len(named) < 2:
        raise UsageError("--second-feed speaks to a second address: give URL and URL2")
    first_token, other_token = secret("token", token), secret("second_token", second_token)
    targets = [_target(feed, named[0] if named else None, first_token, symbols, watchlist, foreign=foreign)]
    if len(named) == 2:
        other = second_feed or feed
        shared = first_token if other == feed else None  # a token is one provider's
        targets.append(_target(other, named[1], other_token or shared, symbols, watchlist, foreign=foreign))

    def say(text: str) -> None:
        print(f"{text} …", file=sys.stderr, flush=True)

    report = uvloop.run(run(targets, minutes * 60, own_clock=own_clock, forms=forms, say=say))
    if html is not None:
        html.write_text(page(report), "utf-8")
    if as_json:
        print(msgspec.json.encode(report).decode())
    else:
        _print(report)


def _target(
    feed: str, url: str | None, token: str | None, symbols: str, watchlist: str | None, *, foreign: bool
) -> Target:
    """A feed to judge, on one connection.

    Raises:
        UsageError: an option is wrong, or the codes are more than one connection carries.
    """
    from producer.evaluation.run import Target
    from producer.plan import ProducerOptions, plan

    given = f"@{watchlist}" if watchlist else symbols
    what = plan(ProducerOptions("", url=url, feed=feed, symbols=given, foreign=foreign))
    if len(what.sources) > 1:
        most = what.provider.capabilities.codes_per_connection
        raise UsageError(
            f"{len(what.codes or ()):,} codes, and {feed} takes {most:,} on a connection: an evaluation has one,"
            " so give fewer"
        )
    return Target(what.provider, what.options, what.urls[0], what.codes, token)


def _print(report: Report) -> None:
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from producer.evaluation.table import rows

    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    table.add_column(f"{report.began}, {report.seconds:,.0f} s")
    for line in report.lines:
        table.add_column(f"{line.name}: {line.feed}", overflow="fold")
    for label, cells in rows(report):
        table.add_row(label, *(Text(cell) for cell in cells))
    console = Console(highlight=False)
    console.print(table)
    for note in report.notes:
        console.print(Text(f"! {note}"))
