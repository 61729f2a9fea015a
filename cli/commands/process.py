"""``ashare process``: one Faust worker."""

from __future__ import annotations

import logging
from typing import Annotated

import typer

from cli.logs import log_to_stderr
from cli.settings import default, option, secret


def command(
    *,
    bootstrap: Annotated[str, option("bootstrap")] = default("bootstrap"),
    agents: Annotated[str, option("agents")] = default("agents"),
    store: Annotated[str, option("store")] = default("store"),
    store_user: Annotated[str | None, option("store_user")] = default("store_user"),
    store_password_file: Annotated[str | None, option("store_password_file")] = default("store_password_file"),
    threshold: Annotated[str, option("threshold")] = default("threshold"),
    thresholds: Annotated[str, option("thresholds")] = default("thresholds"),
    web_host: Annotated[str, option("web_host")] = default("web_host"),
    web_port: Annotated[int, option("web_port")] = default("web_port"),
    web_url: Annotated[str | None, option("web_url")] = default("web_url"),
    web_hosts: Annotated[str, option("web_hosts")] = default("web_hosts"),
    web_token: Annotated[str | None, option("web_token")] = default("web_token"),
    http_certificate: Annotated[str | None, option("http_certificate")] = default("http_certificate"),
    http_key: Annotated[str | None, option("http_key")] = default("http_key"),
    http_ca: Annotated[str | None, option("http_ca")] = default("http_ca"),
    http_open: Annotated[bool, option("http_open")] = default("http_open"),
    peer_secret: Annotated[str | None, option("peer_secret")] = default("peer_secret"),
    group_instance_id: Annotated[str | None, option("group_instance_id")] = default("group_instance_id"),
) -> None:
    """Run a worker: snapshots, storage and price changes.

    It runs all of these agents, or some of them, and agents of your own (MODULE:CLASS). Each agent has a consumer group
    of its own, ashare-AGENT: all workers that run it share the partitions. Serves GET /snapshots/CODE, /snapshots (POST
    for many codes), /health and /status on --web-port.

    Example: ashare process --agents changes --threshold 0.05 --web-port 6067
    """
    log_to_stderr(logging.INFO)
    for chatty in ("faust", "mode", "kafka"):
        logging.getLogger(chatty).setLevel(logging.WARNING)
    logging.getLogger("mode.timers").setLevel(logging.ERROR)  # a busy loop is the watchdog's to judge, by what it means
    from cli.asking import access
    from jobs.thresholds import parse_overrides
    from processors.options import reached_at
    from processors.worker import Worker, WorkerOptions, parse_agents
    from stores.urls import parse, with_password

    web = access(web_host, ("web_token", web_token), http_certificate, http_key, unguarded=http_open)
    options = WorkerOptions(
        bootstrap=bootstrap,
        agents=parse_agents(agents),
        store=with_password(store, store_user or None, store_password_file or None),
        thresholds=parse_overrides(threshold, thresholds),
        web=web,
        web_port=web_port,
        web_url=web_url or f"{web.scheme}://{reached_at(web_host)}:{web_port}",
        web_hosts=tuple(filter(None, web_hosts.split(","))),
        peer_secret=secret("peer_secret", peer_secret or None),
        group_instance_id=group_instance_id or None,
        http_ca=http_ca or None,
    )
    parse(options.store)
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)  # until it has started: it logs every attempt
    code = Worker(options).run()
    if code:
        raise typer.Exit(code)
