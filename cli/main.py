"""The one command, ``ashare``."""

from __future__ import annotations

import os
import sys
from typing import Annotated

import typer
from typer._click.exceptions import ClickException, NoArgsIsHelpError

from cli import hangup, settings, terminal
from cli.commands import (
    acknowledge,
    acl,
    archive,
    bench,
    config,
    demo,
    evaluate_feed,
    feeds,
    gateway,
    instruments,
    kafka,
    process,
    produce,
    questdb,
    replay,
    simulate,
    size,
    snapshot,
    store,
    tail,
    threshold,
    topics,
    verify,
    watchlist,
)
from cli.help import App
from schemas import UsageError
from schemas.errors import reason_of
from schemas.outside import printable_lines

app = App(
    name="ashare",
    help="The whole A-share market off one WebSocket: a log of ticks, snapshots, a store, the moves that count."
    "\n\n`ashare COMMAND -h` describes a command. `ashare demo` shows all of it at work.",
    no_args_is_help=True,
    add_completion=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

_RUNNING, _READING, _CHANGING, _CHECKING = "Run", "Read", "Set up and change", "Check and measure"

for panel, modules in (
    (_RUNNING, (demo, simulate, produce, process, gateway, kafka, questdb)),
    (_READING, (tail, replay, snapshot, feeds, config)),
    (_CHANGING, (acknowledge,)),
    (_CHECKING, (verify, evaluate_feed, size, bench)),
):
    for module in modules:
        name = module.__name__.rpartition(".")[2].replace("_", "-")
        app.command(name, rich_help_panel=panel)(module.command)
app.add_typer(store.app, name="store", rich_help_panel=_READING)
app.add_typer(archive.app, name="archive", rich_help_panel=_READING)
app.add_typer(topics.app, name="topics", rich_help_panel=_CHANGING)
app.add_typer(acl.app, name="acl", rich_help_panel=_CHANGING)
app.add_typer(watchlist.app, name="watchlist", rich_help_panel=_CHANGING)
app.add_typer(threshold.app, name="threshold", rich_help_panel=_CHANGING)
app.add_typer(instruments.app, name="instruments", rich_help_panel=_CHANGING)


def _version(asked: bool) -> None:
    if asked:
        from importlib.metadata import version

        print(f"ashare {version('ashare-stream')}")
        raise typer.Exit


@app.callback()
def _before(
    kafka_client: Annotated[str, settings.option("kafka_client")] = settings.default("kafka_client"),
    *,
    _: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    settings.check_environment(os.environ)
    variable = settings.SETTINGS["kafka_client"].env
    if kafka_client != (os.environ.get(variable) or settings.default("kafka_client")):
        os.environ[variable] = kafka_client  # read by every client of this process and of those that it starts


def _of_options(error: ClickException) -> str:
    """What is wrong with flags and arguments, in one line, and where to look."""
    said = error.format_message().rstrip(".").replace(": Input should be ", ": it should be ")
    context = getattr(error, "ctx", None)
    command = context.command_path if context is not None else "ashare"
    return f"{said[:1].lower()}{said[1:]}: `{command} --help` shows what it takes"


def main() -> None:
    """Run the command; what the user can mend is said in one line on stderr, with exit code 2."""
    hangup.as_sigterm()
    before = os.umask(0o077)  # what is kept is ours: ticks are licensed, and dead letters are whatever came
    os.umask(before | 0o077)
    settings.keep_given(sys.argv[1:], os.environ)
    with terminal.guarded():
        try:
            sys.exit(app(prog_name="ashare", standalone_mode=False) or 0)
        except UsageError as error:
            sys.stderr.write(f"ashare: {printable_lines(reason_of(error))}\n")
            sys.exit(2)
        except NoArgsIsHelpError as error:
            error.show()
            sys.exit(2)
        except ClickException as error:
            sys.stderr.write(f"ashare: {printable_lines(_of_options(error))}\n")
            sys.exit(2)
        except KeyboardInterrupt:
            sys.exit(130)
        finally:
            os.umask(before)
