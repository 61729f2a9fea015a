"""``ashare kafka``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def command(
    data: Annotated[Path, typer.Option("--data", metavar="DIR", help="data directory, made if it is missing")] = Path(
        "data/kafka"
    ),
    port: Annotated[
        int, typer.Option("--port", metavar="PORT", min=0, max=65535, help="port on 127.0.0.1; 0 takes a free one")
    ] = 9092,
    heap: Annotated[
        str | None,
        typer.Option("--heap", metavar="SIZE", help="the JVM's heap, as -Xmx takes it; default: 512m, 256m of several"),
    ] = None,
    brokers: Annotated[
        int,
        typer.Option(
            "--brokers", metavar="N", min=1, max=5, help="a cluster of so many; the ports of the others follow --port"
        ),
    ] = 1,
    node: Annotated[
        int | None,
        typer.Option("--node", metavar="N", min=1, max=5, help="of --brokers only this one, in a process of its own"),
    ] = None,
    secure: Annotated[
        bool, typer.Option("--secure", help="logins (SCRAM) over TLS, and ACLs; secrets lie in DIR/secure")
    ] = False,
    user: Annotated[
        list[str] | None,
        typer.Option("--user", metavar="NAME", help="with --secure: a user beside admin; of a new directory"),
    ] = None,
) -> None:
    """Run a Kafka broker in the foreground, until Ctrl-C.

    Prints `kafka ready on 127.0.0.1:PORT` when it answers; its log is in the data directory.

    Example: ashare kafka --data data/kafka --port 9092
    Example: ashare kafka --brokers 3 --data data/cluster
    """
    from deploy.embedded import KafkaBroker, KafkaCluster
    from deploy.embedded.cluster import HEAP, members, node_of
    from deploy.embedded.foreground import run
    from schemas import UsageError

    users = user or ()
    if brokers == 1:
        if node is not None:
            raise UsageError("--node names one broker of a cluster: give --brokers 3 as well")
        run(KafkaBroker(data, port, heap=heap or "512m", secure=secure, users=users), "kafka")
    elif brokers == 2:
        raise UsageError("--brokers 2 would stand still when either of them is gone: give 3")
    elif node is None:
        run(KafkaCluster(data, brokers, port, heap=heap or HEAP, secure=secure, users=users), "kafka")
    elif node > brokers:
        raise UsageError(f"--node {node}: there are --brokers {brokers}")
    else:
        member = members(data, brokers, port, secure=secure, users=users)[node - 1]
        run(node_of(data, member, heap=heap or HEAP, secure=secure, users=users), "kafka")
