"""``ashare gateway``."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Annotated

from cli.logs import log_to_stderr
from cli.settings import default, option


def command(
    bootstrap: Annotated[str, option("bootstrap")] = default("bootstrap"),
    host: Annotated[str, option("gateway_host")] = default("gateway_host"),
    port: Annotated[int, option("gateway_port")] = default("gateway_port"),
    hosts: Annotated[str, option("gateway_hosts")] = default("gateway_hosts"),
    tokens: Annotated[str | None, option("gateway_tokens")] = default("gateway_tokens"),
    page: Annotated[str | None, option("gateway_page")] = default("gateway_page"),
    *,
    open_to_all: Annotated[bool, option("gateway_open")] = default("gateway_open"),
) -> None:
    """Serve snapshots and their changes to browsers and programs.

    One reader of Kafka for any number of clients: a WebSocket, /v1/stream, on which each has its own codes, threshold
    and rate; the same rows and the price changes over plain HTTP; and the page. docs/gateway.md describes all of it.

    Example: ashare gateway --port 8080
    Example: ashare gateway --host 0.0.0.0 --tokens tokens.json
    """
    log_to_stderr(logging.INFO)
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)
    import uvloop

    from consumers.gateway.run import PAGE, Settings, check, run
    from consumers.gateway.tokens import read_tokens

    settings = Settings(
        bootstrap,
        host,
        port,
        tuple(filter(None, hosts.split(","))),
        read_tokens(Path(tokens)) if tokens else None,
        Path(page) if page else PAGE,
        open_to_all,
    )
    check(settings)
    uvloop.run(run(settings, say=lambda url: print(f"serving {url}", flush=True)))
