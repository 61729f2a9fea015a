"""The metrics of a worker: each is declared here, and read when a scrape asks."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from broker.exposition import Declared, Readings

if TYPE_CHECKING:
    from processors.streaming.runner import AgentRunner

_AGENT = ("agent",)
_COUNTED: Mapping[str, Declared] = {
    "handled": Declared("ashare_worker_records_handled_total", "counter", "Records given to the agent", _AGENT),
    "chunks": Declared("ashare_worker_chunks_total", "counter", "Fetched chunks that they came in", _AGENT),
    "published": Declared("ashare_worker_records_published_total", "counter", "Records that the agent emitted", _AGENT),
    "dead_letters": Declared("ashare_worker_dead_letters_total", "counter", "Records nobody can use", _AGENT),
    "lost_to_retention": Declared(
        "ashare_worker_records_lost_to_retention_total", "counter", "Records deleted before they were read", _AGENT
    ),
    "logs_replaced": Declared(
        "ashare_worker_logs_replaced_total", "counter", "Topics found to be another log of the same name", _AGENT
    ),
    "clients_rebuilt": Declared("ashare_worker_kafka_clients_rebuilt_total", "counter", "Clients made anew", _AGENT),
    "lease_lapses": Declared(
        "ashare_worker_lease_lapses_total", "counter", "Times that the agent's right to act ran out", _AGENT
    ),
    "repeated": Declared("ashare_worker_repeats_total", "counter", "Ticks that had taken effect before", _AGENT),
    "suspicious": Declared(
        "ashare_worker_suspicious_repeats_total", "counter", "Repeats in a row that may not be any", _AGENT
    ),
    "late": Declared("ashare_worker_late_ticks_total", "counter", "Ticks of an earlier session", _AGENT),
    "refused": Declared("ashare_worker_refused_codes_total", "counter", "Ticks of more codes than are kept", _AGENT),
    "stored": Declared("ashare_worker_ticks_stored_total", "counter", "Ticks that were new to the store", _AGENT),
    "changes": Declared("ashare_worker_price_changes_total", "counter", "Price changes emitted", _AGENT),
    "bars_stored": Declared("ashare_worker_bars_stored_total", "counter", "Bars written to the store", _AGENT),
    "bars": Declared("ashare_worker_bars_total", "counter", "Bars published, each revision of them", _AGENT),
}
"""By the name in ``/status``."""
HEALTHY = Declared("ashare_worker_healthy", "gauge", "1 while nothing is wrong, as /health says")
COMPLAINT = Declared("ashare_worker_complaint", "gauge", "1 for each thing that is wrong", ("agent", "what"))
RECOVERED = Declared("ashare_worker_recovered", "gauge", "1 while partitions are assigned and state is whole", _AGENT)
PARTITIONS = Declared("ashare_worker_partitions", "gauge", "Partitions that this worker has", _AGENT)
LAG = Declared("ashare_worker_lag_records", "gauge", "Records that are not committed yet", ("agent", "partition"))
AGE = Declared(
    "ashare_worker_lag_seconds",
    "gauge",
    "How long ago all records of the partition were known to be done",
    ("agent", "partition"),
)
ROWS = Declared("ashare_worker_state_rows", "gauge", "Rows of the agent's state", _AGENT)
WAITING = Declared("ashare_worker_publisher_waiting_bytes", "gauge", "Bytes that Kafka has not confirmed yet", _AGENT)
RESENT = Declared("ashare_worker_records_resent_total", "counter", "Records sent again after an error", _AGENT)
STORE_FAILING = Declared("ashare_worker_store_failing", "gauge", "1 while the store takes nothing")
STORE_WAITING = Declared("ashare_worker_store_waiting_records", "gauge", "Records that wait for the store")
STORE_WRITES = Declared("ashare_worker_store_writes_total", "counter", "Batches written")
STORE_SECONDS = Declared("ashare_worker_store_write_seconds_total", "counter", "Seconds that these took")
STORE_ERRORS = Declared("ashare_worker_store_errors_total", "counter", "Writes that the store did not take")

METRICS: Sequence[Declared] = (
    HEALTHY,
    COMPLAINT,
    RECOVERED,
    PARTITIONS,
    LAG,
    AGE,
    *_COUNTED.values(),
    ROWS,
    WAITING,
    RESENT,
    STORE_FAILING,
    STORE_WAITING,
    STORE_WRITES,
    STORE_SECONDS,
    STORE_ERRORS,
)


class WorkerMetrics:
    """Reads the figures of one worker process."""

    def __init__(
        self,
        runners: Sequence[AgentRunner],
        health: Callable[[], Mapping[str, Any]],
        status: Callable[[], Mapping[str, Any]],
    ) -> None:
        """Nothing is read yet; ``health`` and ``status`` are what the HTTP of the worker answers."""
        self._runners = runners
        self._health = health
        self._status = status

    def read(self, to: Readings) -> None:
        """Add the values of now."""
        health, agents = self._health(), self._status()["agents"]
        to.add(HEALTHY.name, int(health["status"] == "ok"))
        of_agents = {f"{name}: {what}" for name, agent in health["agents"].items() for what in agent["complaints"]}
        for what in health["complaints"]:
            if what not in of_agents:
                to.add(COMPLAINT.name, 1, "", what)
        for runner in self._runners:
            name = runner.agent.name
            for what in health["agents"][name]["complaints"]:
                to.add(COMPLAINT.name, 1, name, what)
            self._agent(to, runner, agents[name])

    def _agent(self, to: Readings, runner: AgentRunner, status: Mapping[str, Any]) -> None:
        name, now = runner.agent.name, time.monotonic()
        for key, declared in _COUNTED.items():
            to.add(declared.name, status.get(key), name)
        to.add(RECOVERED.name, int(status["recovered"]), name)
        to.add(PARTITIONS.name, len(status["lag"]), name)
        for partition, records in status["lag"].items():
            to.add(LAG.name, records, name, partition)
            current = runner.current.get(int(partition))
            to.add(AGE.name, None if current is None else round(now - current, 3), name, partition)
        table = runner.agent.table
        to.add(ROWS.name, None if table is None else sum(map(len, list(table.held.values()))), name)
        publishers = {runner.publisher, runner.records_publisher}
        to.add(WAITING.name, sum(publisher.unacknowledged_bytes for publisher in publishers), name)
        to.add(RESENT.name, sum(publisher.resent for publisher in publishers), name)
        writer = getattr(runner.agent, "writer", None)
        if writer is not None:
            to.add(STORE_FAILING.name, int(writer.failing is not None))
            to.add(STORE_WAITING.name, writer.waiting)
            to.add(STORE_WRITES.name, writer.writes)
            to.add(STORE_SECONDS.name, round(writer.write_seconds, 6))
            to.add(STORE_ERRORS.name, writer.errors)
