"""The metrics of a worker: each is declared here, and read when a scrape asks."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, cast

from broker.exposition import SESSION_OPEN, Declared, Readings

if TYPE_CHECKING:
    from market.open_now import OpenNow
    from processors.streaming.logs import LogWatch
    from processors.streaming.runner import AgentRunner
    from processors.streaming.watchdog import Watchdog

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
    "How long ago all records of the partition were done, by what the brokers tell of its end every 2 s",
    ("agent", "partition"),
)
CHECK = Declared(
    "ashare_worker_check_failing_seconds",
    "gauge",
    "For how long a check of the watchdog has complained without a break",
    ("check",),
)
ENDS_AGE = Declared("ashare_worker_log_ends_age_seconds", "gauge", "How long ago a broker last told where the logs end")
REBALANCES = Declared("ashare_worker_rebalances_total", "counter", "Times that partitions were assigned", _AGENT)
RESTORED = Declared("ashare_worker_restored_records_total", "counter", "State records read for new partitions", _AGENT)
RESTORE = Declared(
    "ashare_worker_restore_seconds_total", "counter", "Seconds that restoring state for new partitions took", _AGENT
)
HANDLE = Declared("ashare_worker_handle_seconds_total", "counter", "Seconds that the agent took for its chunks", _AGENT)
NEWEST = Declared(
    "ashare_worker_tick_age_seconds", "gauge", "How long ago the newest record came that the agent was given", _AGENT
)
BATCHES = Declared(
    "ashare_worker_batch_seconds", "histogram", "Time until Kafka confirmed a batch of records or state", _AGENT
)
ACKNOWLEDGED = Declared(
    "ashare_worker_records_acknowledged_total", "counter", "Records and state that Kafka has confirmed", _AGENT
)
ROWS = Declared("ashare_worker_state_rows", "gauge", "Rows of the agent's state", _AGENT)
WAITING = Declared("ashare_worker_publisher_waiting_bytes", "gauge", "Bytes that Kafka has not confirmed yet", _AGENT)
RESENT = Declared("ashare_worker_records_resent_total", "counter", "Records sent again after an error", _AGENT)
STORE_FAILING = Declared("ashare_worker_store_failing", "gauge", "1 while the store takes nothing")
STORE_FAILING_SECONDS = Declared(
    "ashare_worker_store_failing_seconds", "gauge", "For how long the store has taken nothing"
)
STORE_WAITING = Declared("ashare_worker_store_waiting_records", "gauge", "Records that wait for the store")
STORE_WRITES = Declared("ashare_worker_store_write_seconds", "histogram", "Time that writing a batch took")
STORE_ERRORS = Declared(
    "ashare_worker_store_errors_total", "counter", "Writes that the store did not take; each is tried again"
)

METRICS: Sequence[Declared] = (
    SESSION_OPEN,
    HEALTHY,
    COMPLAINT,
    RECOVERED,
    PARTITIONS,
    LAG,
    AGE,
    CHECK,
    ENDS_AGE,
    *_COUNTED.values(),
    HANDLE,
    NEWEST,
    REBALANCES,
    RESTORED,
    RESTORE,
    ROWS,
    WAITING,
    ACKNOWLEDGED,
    RESENT,
    BATCHES,
    STORE_FAILING,
    STORE_FAILING_SECONDS,
    STORE_WAITING,
    STORE_WRITES,
    STORE_ERRORS,
)


class WorkerMetrics:
    """Reads the figures of one worker process."""

    def __init__(
        self,
        runners: Sequence[AgentRunner],
        health: Callable[[], Mapping[str, Any]],
        status: Callable[[], Mapping[str, Any]],
        *,
        watchdog: Watchdog,
        logs: LogWatch,
        session: OpenNow,
    ) -> None:
        """Nothing is read yet; ``health`` and ``status`` are what the HTTP of the worker answers."""
        self._watchdog, self._logs, self._session = watchdog, logs, session
        self._runners = runners
        self._health = health
        self._status = status

    def read(self, to: Readings) -> None:
        """Add the values of now."""
        health, agents, now = self._health(), self._status()["agents"], time.monotonic()
        is_open = self._session.at(time.time_ns() // 1_000_000)
        to.add(SESSION_OPEN.name, None if is_open is None else int(is_open))
        to.add(ENDS_AGE.name, round(now - self._logs.answered, 3))
        for check, seconds in self._watchdog.ages(now).items():
            to.add(CHECK.name, round(seconds, 3), check)
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
            # One that was never done yet is not younger than its assignment.
            to.add(AGE.name, round(now - runner.done.get(int(partition), runner.assigned_at), 3), name, partition)
        to.add(HANDLE.name, round(runner.handle_seconds, 6), name)
        to.add(NEWEST.name, round(max(0.0, time.time() - runner.newest / 1000), 3) if runner.newest else None, name)
        to.add(REBALANCES.name, runner.rebalances, name)
        recovery = cast("Any", runner.app.tables).recovery
        to.add(RESTORED.name, recovery.restored_records, name)
        to.add(RESTORE.name, round(recovery.restored_seconds, 3), name)
        table = runner.agent.table
        to.add(ROWS.name, None if table is None else sum(map(len, list(table.held.values()))), name)
        publishers = {runner.publisher, runner.records_publisher}
        to.add(WAITING.name, sum(publisher.unacknowledged_bytes for publisher in publishers), name)
        to.add(ACKNOWLEDGED.name, sum(publisher.acknowledged for publisher in publishers), name)
        to.add(RESENT.name, sum(publisher.resent for publisher in publishers), name)
        to.add_durations(BATCHES.name, runner.publisher.batches, name)
        writer = getattr(runner.agent, "writer", None)
        if writer is not None:
            to.add(STORE_FAILING.name, int(writer.failing is not None))
            to.add(STORE_WAITING.name, writer.waiting)
            since = writer.failing_since
            to.add(STORE_FAILING_SECONDS.name, 0.0 if since is None else round(now - since, 3))
            to.add_durations(STORE_WRITES.name, writer.took)
            to.add(STORE_ERRORS.name, writer.errors)
