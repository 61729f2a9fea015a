"""The Faust app, tamed: the settings that stock Faust 0.15.3 gets wrong for this job, each with its reason."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import faust
from faust.auth import Credentials, OAuthCredentials, SASLCredentials, SSLCredentials
from yarl import URL

from broker import security
from processors.streaming.consumer import BatchTransport
from processors.streaming.tables import StateTable, StateTableManager

if TYPE_CHECKING:
    from processors.streaming.runner import AgentRunner

FETCH_BYTES = 256 << 10
"""Of one partition in one fetch: some 1,300 ticks. Wider costs memory, and gains nothing more."""
STREAM_BUFFER_FETCHES = 2
"""Fetches that wait before an agent; stock Faust's 4,096 events would not bound them."""
SESSION_SECONDS = 6.0
"""Without a heartbeat for so long, the group gives a member's partitions to others: what a kill costs before anything
else. Brokers take no less by default (``group.min.session.timeout.ms``)."""
HEARTBEAT_SECONDS = 0.5
"""How soon, at most, a member learns that its group shares out anew: all of them stand still until the last has."""


class StreamApp(faust.App):
    """A Faust app on the batch transport, for one agent.

    Attributes:
        bootstrap: the brokers, for clients of our own.
        runner: what runs the agent.
    """

    logger = logging.getLogger("faust.app")
    bootstrap: str
    runner: AgentRunner

    def _new_transport(self) -> Any:
        return BatchTransport(self.conf.broker_consumer, self)

    def on_init_dependencies(self) -> Iterable[Any]:
        """As Faust's, without its monitor: statistics of each message that nobody reads."""
        dependencies = super().on_init_dependencies()
        self.sensors.remove(self.monitor)
        return dependencies

    def on_rebalance_start(self) -> None:
        """As Faust's, which warns of a rebalance of which no sensor keeps anything."""
        super().on_rebalance_start()
        self._rebalancing_sensor_state = self._rebalancing_sensor_state or {None: {}}

    def _create_directories(self) -> None:
        """Faust's data directory would be made where the user stands, who may not write there; nothing needs it."""

    def StateTable(self, name: str, **options: Any) -> StateTable:  # noqa: N802 - as Faust's own app.Table
        """A table of rows that chunks change, on an own compacted topic."""
        table = StateTable(self, name=name, **options)
        self.tables.add(table)
        return table


def make_app(bootstrap: str, group: str, *, address: str, member: str, runner: AgentRunner) -> StreamApp:
    """The app of one agent.

    Args:
        address: where the other members of the group reach this process.
        member: the name that this process has in the group.
    """
    servers = bootstrap.split(",")
    app = StreamApp(
        group,
        broker=[URL(f"kafka://{server}") for server in servers],
        broker_credentials=_credentials(),
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
        broker_session_timeout=SESSION_SECONDS,
        broker_heartbeat_interval=HEARTBEAT_SECONDS,
        broker_rebalance_timeout=60.0,
        broker_commit_interval=0.5,
        broker_commit_every=1_000_000_000,
        consumer_auto_offset_reset="earliest",
        consumer_group_instance_id=member,
        # Stock: 20 minutes, for which a dead broker would block every commit.
        producer_request_timeout=30.0,
        worker_redirect_stdouts=False,
        # One server answers for all agents of the process (``processors.http``), from before the first app starts.
        web_enabled=False,
        canonical_url=address,
    )
    app.bootstrap = bootstrap
    app.runner = runner
    return app


def _credentials() -> Credentials | None:
    """How the app's consumer connects, in Faust's words; ``None`` for a cluster that asks for nothing."""
    found = security.options()
    context, provider = found.get("ssl_context"), found.get("sasl_oauth_token_provider")
    if provider is not None:
        return OAuthCredentials(oauth_cb=provider, ssl_context=context)
    if "sasl_mechanism" in found:
        return SASLCredentials(
            username=found["sasl_plain_username"],
            password=found["sasl_plain_password"],
            mechanism=found["sasl_mechanism"],
            ssl_context=context,
        )
    return None if context is None else SSLCredentials(context)
