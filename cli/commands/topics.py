"""``ashare topics …``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from cli.help import App
from cli.settings import default, option

if TYPE_CHECKING:
    from broker.admin import TopicState

app = App(no_args_is_help=True, help="Make the broker's topics as declared, or show them.")


@app.command()
def apply(
    bootstrap: Annotated[str, option("bootstrap")] = default("bootstrap"),
    agents: Annotated[
        str | None, typer.Option(metavar="MODULE:CLASS[,...]", help="agents of your own: their topics too")
    ] = None,
    wait: Annotated[
        float, typer.Option(metavar="SECONDS", help="how long to wait for a broker that is starting", min=0.0)
    ] = 3.0,
    replicas: Annotated[
        int | None,
        typer.Option(
            metavar="N", min=1, max=9, help="copies of each partition; of 3, 2 must have a record (min.insync.replicas)"
        ),
    ] = None,
) -> None:
    """Make the broker's topics agree with topics.yaml.

    What agrees already is left alone.

    Example: ashare topics apply --bootstrap 127.0.0.1:9092
    Example: ashare topics apply --replicas 3
    """
    import asyncio
    import sys

    from broker import admin
    from schemas.topics import replicated, topics

    _hush()
    wanted = dict(topics())
    if agents:
        from processors.options import OWN, load, parse_agents

        for place in parse_agents(agents):
            wanted |= {} if place in OWN else {topic.name: topic for topic in load(place).declares}
    if wait > admin.PATIENCE:
        sys.stderr.write(f"waiting up to {wait:g} s for a broker at {bootstrap} …\n")
    if replicas is not None:
        wanted = {name: replicated(topic, replicas) for name, topic in wanted.items()}
    done = asyncio.run(admin.apply(bootstrap, wanted, patience=wait, copies=replicas))
    print("\n".join(done) if done else "nothing to do: every topic is as declared")


@app.command()
def delete(
    topic: Annotated[str, typer.Argument(metavar="TOPIC", help="full name, as replay.changes")],
    bootstrap: Annotated[str, option("bootstrap")] = default("bootstrap"),
) -> None:
    """Delete a replay's topic, or another of your own.

    The pipeline's own topics are refused.

    Example: ashare topics delete replay.changes
    """
    import asyncio

    from broker import admin

    _hush()
    count = asyncio.run(admin.delete(bootstrap, topic))
    print(f"{topic} is deleted, with {count:,} records")


@app.command()
def describe(bootstrap: Annotated[str, option("bootstrap")] = default("bootstrap")) -> None:
    """Show the topics as the broker has them.

    Records are counted from the first offset to the last.

    Example: ashare topics describe --bootstrap 127.0.0.1:9092
    """
    import asyncio

    from broker import admin
    from broker.probe import hidden
    from cli.tables import Column, show
    from schemas.topics import topics

    _hush()
    found = asyncio.run(admin.describe(bootstrap, patience=0))
    columns = [Column("topic"), Column("partitions", right=True), Column("retention")]
    columns += [Column("records", right=True), Column("policy", below=True), Column("about", below=True)]
    rows = []
    unseen = hidden(bootstrap, [name for name in topics() if name not in found])
    for name, declared in topics().items():
        absent = ("–", "missing", "–", "`ashare topics apply` makes it:")
        if name in unseen:
            absent = ("–", "hidden", "–", "this user may not see it:")
        row = _row(found[name]) if name in found else absent
        rows.append((name, *row, declared.about))
    show(columns, rows)


def _hush() -> None:
    """The client logs every attempt to reach a broker; the one line at the end says it all."""
    import logging

    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)


def _row(topic: TopicState) -> tuple[str, str, str, str]:
    compacted = topic.config["cleanup.policy"] == "compact"
    retention = "latest per key" if compacted else _duration(int(topic.config["retention.ms"]))
    return str(topic.partitions), retention, f"{topic.records:,}", topic.config["cleanup.policy"]


def _duration(milliseconds: int) -> str:
    if milliseconds < 0:
        return "for ever"
    for unit, size in (("day", 86_400_000), ("hour", 3_600_000), ("minute", 60_000)):
        if milliseconds % size == 0:
            count = milliseconds // size
            return f"{count} {unit}{'' if count == 1 else 's'}"
    return f"{milliseconds:,} ms"
