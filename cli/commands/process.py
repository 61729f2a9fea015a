"""``ashare process``: one Faust worker."""

from __future__ import annotations

import logging
from typing import Annotated

import typer

from cli.settings import default, option
from cli.terminal import log_to_stderr
from schemas import UsageError


def command(
    bootstrap: Annotated[str, option("bootstrap")] = default("bootstrap"),
    agents: Annotated[str, option("agents")] = default("agents"),
    store: Annotated[str, option("store")] = default("store"),
    threshold: Annotated[str, option("threshold")] = default("threshold"),
    thresholds: Annotated[str, option("thresholds")] = default("thresholds"),
    web_host: Annotated[str, option("web_host")] = default("web_host"),
    web_port: Annotated[int, option("web_port")] = default("web_port"),
    web_url: Annotated[str | None, option("web_url")] = default("web_url"),
) -> None:
    """Run a worker: snapshots, storage and price changes, or some of them.

    Workers with the same agents share the partitions; each set of agents reads the ticks with a consumer group of its
    own. Serves GET /snapshots/CODE, /snapshots, /health and /status on --web-port.

    Example:

        ashare process --agents changes --threshold 0.05 --web-port 6067
    """
    if not 0 < web_port < 65_536:
        raise UsageError(f"--web-port {web_port} is not a port: give 1 to 65535")
    log_to_stderr(logging.INFO)
    for chatty in ("faust", "mode", "aiokafka", "kafka"):
        logging.getLogger(chatty).setLevel(logging.WARNING)
    from jobs.thresholds import parse_overrides
    from processors.worker import Worker, WorkerOptions, parse_agents

    options = WorkerOptions(
        bootstrap=bootstrap,
        agents=parse_agents(agents),
        store=store,
        thresholds=parse_overrides(threshold, thresholds),
        web_host=web_host,
        web_port=web_port,
        web_url=web_url or f"http://{web_host}:{web_port}",
    )
    code = Worker(options).run()
    if code:
        raise typer.Exit(code)
