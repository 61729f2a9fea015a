"""The Faust app, tamed: the settings that stock Faust 0.15.3 gets wrong for this job, each with its reason."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Iterable
from typing import Any

import faust
from aiohttp.web import Application
from yarl import URL

from broker.chunk import Chunk
from broker.http_guard import GuardedRunner
from processors.streaming.consumer import BatchTransport
from processors.streaming.tables import StateTable, StateTableManager

FETCH_BYTES = 256 << 10
"""Of one partition in one fetch: some 1,300 ticks. Wider costs memory, and gains nothing more."""
STREAM_BUFFER_FETCHES = 2
"""Fetches that wait before an agent; stock Faust's 4,096 events would be no bound for them."""


class StreamApp(faust.App):
    """A Faust app on the batch transport.

    Attributes:
        bootstrap: the brokers, for clients of our own.
        install_routes: adds our HTTP routes to the worker's web server.
        lost: told of records that the log lost before they were read: partition, the offset that was expected, and the
            chunk that came instead; what is awaited before that chunk is handed on.
    """

    logger = logging.getLogger("faust.app")
    bootstrap: str
    install_routes: Callable[[Application], None]
    lost: Callable[[int, int, Chunk], Awaitable[None]] | None = None

    def _new_transport(self) -> Any:
        return BatchTransport(self.conf.broker_consumer, self)

    def on_init_dependencies(self) -> Iterable[Any]:
        """As Faust's, without its monitor: statistics of each message that nobody reads."""
        dependencies = super().on_init_dependencies()
        self.sensors.remove(self.monitor)
        return dependencies

    def _create_directories(self) -> None:
        """Faust's data directory would be made where the user stands, who may not write there; nothing needs it."""

    def on_webserver_init(self, web: Any) -> None:
        """Add our routes before the server starts, and bound its connections."""
        self.install_routes(web.web_app)
        web._runner = GuardedRunner(web.web_app)

    def StateTable(self, name: str, **options: Any) -> StateTable:  # noqa: N802 - as Faust's own app.Table
        """A table of rows that chunks change, on an own compacted topic."""
        table = StateTable(self, name=name, **options)
        self.tables.add(table)
        return table


def make_app(bootstrap: str, name: str, *, web_host: str, web_port: int, web_url: str) -> StreamApp:
    """The app of one worker; ``name`` is the consumer group."""
    servers = bootstrap.split(",")
    app = StreamApp(
        name,
        broker=[URL(f"kafka://{server}") for server in servers],
        # The environment would beat these arguments under bare names such as WEB_PORT.
        env_prefix="ASHARE_FAUST_UNUSED_",
        store="memory://",
        autodiscover=False,
        TableManager=StateTableManager,
        stream_buffer_maxsize=STREAM_BUFFER_FETCHES,
        consumer_max_fetch_size=FETCH_BYTES,
        # Topics are declared in schemas/topics.yaml, and there is no leader topic.
        topic_allow_declare=False,
        topic_disable_leader=True,
        # A standby would follow every changelog for ever, to save seconds at a fail-over.
        table_standby_replicas=0,
        # A worker without partitions would leave the group after this time and never come back.
        broker_max_poll_interval=1_000_000.0,
        broker_session_timeout=10.0,
        broker_heartbeat_interval=3.0,
        broker_rebalance_timeout=60.0,
        broker_commit_interval=0.5,
        broker_commit_every=1_000_000_000,
        consumer_auto_offset_reset="earliest",
        # Stock: 20 minutes, for which a dead broker would block every commit.
        producer_request_timeout=30.0,
        worker_redirect_stdouts=False,
        web_enabled=True,
        web_bind=web_host,
        web_port=web_port,
        canonical_url=web_url,
        # They serve tables and internals to anyone.
        web_router_enabled=False,
        web_tables_enabled=False,
        web_graph_enabled=False,
        web_stats_enabled=False,
        web_metrics_enabled=False,
    )
    app.bootstrap = bootstrap
    return app
