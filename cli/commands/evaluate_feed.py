"""``ashare evaluate-feed``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cli.settings import default, option, secret
from cli.terminal import cell, console, log_to_stderr
from schemas import UsageError
from schemas.outside import printable_json
from schemas.secrets import masked

if TYPE_CHECKING:
    from evaluation.figures import Report
    from evaluation.run import Target

_LONGEST = 10_000


def command(
    urls: Annotated[
        list[str] | None, typer.Argument(metavar="URL", help="where to dial; default: the provider's own")
    ] = None,
    *,
    feed: Annotated[str, option("feed")] = default("feed"),
    second_feed: Annotated[str | None, option("second_feed")] = default("second_feed"),
    minutes: Annotated[float, typer.Option("--minutes", metavar="MINUTES", help="how long to measure")] = 5.0,
    token: Annotated[str | None, option("token")] = default("token"),
    second_token: Annotated[str | None, option("second_token")] = default("second_token"),
    symbols: Annotated[str, option("symbols")] = default("symbols"),
    watchlist: Annotated[str | None, option("watchlist")] = default("watchlist"),
    foreign: Annotated[bool, option("foreign")] = default("foreign"),
    kinds: Annotated[str, option("kinds")] = default("kinds"),
    own_clock: Annotated[bool, option("own_clock")] = default("own_clock"),
    forms: Annotated[
        bool,
        typer.Option("--forms/--no-forms", help="first try array, string and wildcard, on connections of their own"),
    ] = True,
    as_json: Annotated[bool, typer.Option("--json", help="print one JSON object")] = False,
    html: Annotated[
        Path | None, typer.Option("--html", metavar="FILE", help="write a page with plots into this file")
    ] = None,
) -> None:
    """Measure a provider before paying for it.

    Latency and its tail, batches, stability. Nothing goes to Kafka. Two addresses are measured over the same time, with
    who was first on the ticks that both brought. Ctrl-C ends it early, with the report of what was seen.
    docs/providers.md says how to read it.

    Example: ashare evaluate-feed --feed alltick --watchlist codes.txt --minutes 10 --html alltick.html
    Example: ashare evaluate-feed ws://127.0.0.1:8765 ws://127.0.0.1:8766 --own-clock --minutes 1
    """
    import logging

    import msgspec
    import uvloop

    from cli.clear_text import warn_of_clear_text
    from cli.progress import Steps
    from evaluation.page import page
    from evaluation.run import run

    log_to_stderr(logging.ERROR)
    logging.getLogger("websockets").setLevel(logging.ERROR)  # below, it prints the address with its token
    if not 0 < minutes <= _LONGEST:
        raise UsageError(f"--minutes is a number above 0, up to {_LONGEST:,}: 0.5 for half a minute")
    if html is not None and not html.absolute().parent.is_dir():
        raise UsageError(f"--html {html}: there is no such folder")
    tokens = secret("token", token), secret("second_token", second_token)
    targets = _targets(
        urls or [],
        (feed, second_feed or None),
        tokens,
        symbols=_given(symbols, watchlist),
        foreign=foreign,
        kinds=kinds,
    )

    warn_of_clear_text(*((target.provider.name, target.url, target.token) for target in targets))

    with Steps() as steps:
        report = uvloop.run(
            run(targets, minutes * 60, own_clock=own_clock, forms=forms, say=steps, lasting=steps.lasting)
        )
    if as_json:
        print(printable_json(msgspec.json.encode(report).decode()))
    else:
        _print(report)
    if html is not None:
        try:
            html.write_text(masked(page(report)), "utf-8")
        except OSError as error:
            raise UsageError(f"--html {html}: {error.strerror}") from error


def _given(symbols: str, watchlist: str | None) -> str:
    return f"@{watchlist}" if watchlist else symbols


def _targets(
    urls: list[str],
    feeds: tuple[str, str | None],
    tokens: tuple[str | None, str | None],
    *,
    symbols: str,
    foreign: bool,
    kinds: str,
) -> list[Target]:
    """One feed, or two to be compared.

    Raises:
        UsageError: an option is wrong, or the two would end one another.
    """
    if len(urls) > 2:
        raise UsageError("one address, or two to be compared")
    if feeds[1] is not None and len(urls) < 2:
        raise UsageError("--second-feed speaks to a second address: give URL and URL2")
    first = _target(feeds[0], urls[0] if urls else None, tokens[0], symbols=symbols, foreign=foreign, kinds=kinds)
    if len(urls) < 2:
        return [first]
    other = feeds[1] or feeds[0]
    token = tokens[1] or (tokens[0] if other == feeds[0] else None)  # a token is one provider's
    second = _target(other, urls[1], token, symbols=symbols, foreign=foreign, kinds=kinds)
    same = (first.provider.name, first.url, first.token) == (other, second.url, second.token)
    if same and first.provider.capabilities.second_login == "kicks the first":
        raise UsageError(f"a second connection to {other} ends the first: give another server, or --second-token")
    return [first, second]


def _target(feed: str, url: str | None, token: str | None, *, symbols: str, foreign: bool, kinds: str) -> Target:
    """A feed to judge, on one connection.

    Raises:
        UsageError: an option is wrong, or the codes are more than one connection carries.
    """
    from evaluation.run import Target
    from producer.options import ProducerOptions, plan, require_tokens

    what = plan(ProducerOptions("", url=url, feed=feed, token=token, symbols=symbols, foreign=foreign, kinds=kinds))
    if len(what.sources) > 1:
        most = what.most
        raise UsageError(
            f"{len(what.codes or ()):,} codes, and {feed} takes {most:,} on a connection: an evaluation has one,"
            " so give fewer"
        )
    require_tokens(what.feeds)
    [endpoint] = what.feeds
    return Target(endpoint.provider, endpoint.options, endpoint.url, what.codes, token)


def _print(report: Report) -> None:
    from rich.table import Table

    from evaluation.table import rows

    table = Table(box=None, pad_edge=False)
    table.add_column(overflow="fold")
    for line in report.lines:
        table.add_column(cell(f"{line.name}: {line.feed}"), overflow="fold")
    for label, cells in rows(report):
        table.add_row(label, *map(cell, cells))
    out = console(highlight=False)
    out.print(cell(f"began {report.began[:19].replace('T', ' ')} Shanghai time, {report.seconds:,.0f} s"))
    out.print(table)
    for note in report.notes:
        out.print(cell(f"! {note}"))
