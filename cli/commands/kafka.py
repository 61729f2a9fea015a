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
    heap: Annotated[str, typer.Option("--heap", metavar="SIZE", help="the JVM's heap, as -Xmx takes it")] = "512m",
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
    """
    from deploy.embedded import KafkaBroker
    from deploy.embedded.foreground import run

    run(KafkaBroker(data, port, heap=heap, secure=secure, users=user or ()), "kafka")
