"""``ashare topics …``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from cli.settings import default, option
from cli.terminal import cell, console

if TYPE_CHECKING:
    from broker.admin import TopicState

app = typer.Typer(no_args_is_help=True, help="Make the broker's topics agree with topics.yaml, or show them.")


@app.command()
def apply(
    bootstrap: Annotated[str, option("bootstrap")] = default("bootstrap"),
    agents: Annotated[str | None, typer.Option(help="agents of your own, MODULE:CLASS,…: their topics too")] = None,
    wait: Annotated[float, typer.Option(help="seconds to wait for a broker that is starting", min=0.0)] = 3.0,
) -> None:
    """Make the broker's topics agree with topics.yaml; what agrees already is left alone.

    Example: ashare topics apply --bootstrap 127.0.0.1:9092
    """
    import asyncio
    import sys

    from broker import admin
    from schemas.topics import topics

    _hush()
    wanted = dict(topics())
    if agents:
        from processors.options import AGENTS, load, parse_agents

        for place in parse_agents(agents):
            wanted |= {} if place in AGENTS else {topic.name: topic for topic in load(place).declares}
    if wait > admin.PATIENCE:
        sys.stderr.write(f"waiting up to {wait:g} s for a broker at {bootstrap} …\n")
    done = asyncio.run(admin.apply(bootstrap, wanted, patience=wait))
    print("\n".join(done) if done else "nothing to do: every topic is as declared")


@app.command()
def describe(bootstrap: Annotated[str, option("bootstrap")] = default("bootstrap")) -> None:
    """Show the topics as the broker has them; records are counted from the first offset to the last.

    Example: ashare topics describe --bootstrap 127.0.0.1:9092
    """
    import asyncio
    import sys

    from rich import box
    from rich.table import Table

    from broker import admin
    from schemas.topics import topics

    _hush()
    found = asyncio.run(admin.describe(bootstrap, patience=0))
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False)
    table.add_column("topic", no_wrap=True)
    table.add_column("partitions", justify="right")
    table.add_column("policy", no_wrap=True)
    table.add_column("retention", no_wrap=True)
    table.add_column("records", justify="right")
    table.add_column("about")
    for name, declared in topics().items():
        row = _row(found[name]) if name in found else ("–", "missing", "ashare topics apply", "–")
        table.add_row(name, *map(cell, row), declared.about)
    # Into a pipe or a file a topic is one line, however long.
    console(width=None if sys.stdout.isatty() else 200).print(table)


def _hush() -> None:
    """The client logs every attempt to reach a broker; the one line at the end says it all."""
    import logging

    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)


def _row(topic: TopicState) -> tuple[str, str, str, str]:
    compacted = topic.config["cleanup.policy"] == "compact"
    retention = "latest per key" if compacted else _duration(int(topic.config["retention.ms"]))
    return str(topic.partitions), topic.config["cleanup.policy"], retention, f"{topic.records:,}"


def _duration(milliseconds: int) -> str:
    if milliseconds < 0:
        return "for ever"
    for unit, size in (("day", 86_400_000), ("hour", 3_600_000), ("minute", 60_000)):
        if milliseconds % size == 0:
            count = milliseconds // size
            return f"{count} {unit}{'' if count == 1 else 's'}"
    return f"{milliseconds:,} ms"
