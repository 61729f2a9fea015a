"""What the watchdog asks of each agent."""

from __future__ import annotations

from typing import Any

from faust.types import TP

from processors.streaming.consumer import BatchConsumer
from processors.streaming.logs import LogWatch, Unfetched
from processors.streaming.runner import AgentRunner
from processors.streaming.watchdog import Check


class AgentChecks:
    """The checks of one agent; they are asked in the watchdog's thread."""

    def __init__(self, runner: AgentRunner, logs: LogWatch) -> None:
        """Checks of what runs; ``logs`` knows where the logs end."""
        self._runner, self._logs = runner, logs
        self._unfetched = Unfetched()

    def all(self) -> dict[str, tuple[Check, float]]:
        """By what is checked: the check, and for how many seconds it may complain."""
        return {
            "rebalance": (self.rebalance, 300.0),
            "coordinator": (self.coordinator, 60.0),
            "progress": (self.progress, 120.0),
            "fetch": (self.fetch, 60.0),
            "commit": (self.commit, 120.0),
        }

    @property
    def _consumer(self) -> BatchConsumer | None:
        """The consumer of partitions that are assigned and whose tables are whole."""
        runner = self._runner
        return runner.consumer if runner.running and runner.recovered else None

    def rebalance(self, _now: float) -> str | None:
        """Whether partitions are being assigned."""
        return None if self._runner.recovered else "partitions are being assigned or recovered"

    def coordinator(self, _now: float) -> str | None:
        """Whether the group is still coordinated."""
        client: Any = self._runner.consumer._thread._consumer if self._runner.running else None
        task = getattr(getattr(client, "_coordinator", None), "_coordination_task", None)
        if task is not None and task.done() and not self._runner.app.should_stop:
            return "the group coordination task has ended"
        return None

    def progress(self, now: float) -> str | None:
        """Whether a chunk is in hand for too long; while the agent waits for what is away and retried, it may be."""
        consumer = self._consumer
        if consumer is None or self._runner.agent.waits(now):
            return None
        queues = list(consumer.queues.values())
        oldest = min((since for queue in queues if (since := queue.oldest) is not None), default=None)
        if oldest is not None and now - oldest > 10:
            return f"a chunk is in hand for {now - oldest:.0f} s"
        return None

    def fetch(self, now: float) -> str | None:
        """Whether records wait at the broker that nothing fetches."""
        consumer = self._consumer
        if consumer is None:
            self._unfetched.look({}, {}, now)  # what waits meanwhile waits for the partitions to be taken up
            return None
        # Streams that are full hold every partition back, and what they hold is in hand: that is progress's to watch.
        held = bool(consumer._buffered_partitions)
        fetched = {} if held else consumer._thread.positions()
        places = {
            tp: fetched.get(tp, at)
            for tp, at in list(consumer.expected.items())
            if not held and not _in_hand(consumer, tp)
        }
        stuck = self._unfetched.look(places, self._logs.ends(now), now)
        if stuck is not None and self._unfetched.first_time():
            consumer.loop.call_soon_threadsafe(consumer._thread.rebuild, f"fetching is stuck: {stuck}")
        return stuck

    def commit(self, now: float) -> str | None:
        """Whether what is done is not committed."""
        consumer = self._consumer
        for tp, queue in [] if consumer is None else list(consumer.queues.items()):
            assert consumer is not None
            committed = consumer._committed_offset.get(tp)
            age = now - consumer.confirmed.get(tp, now)
            if queue.committable is not None and (committed or 0) < queue.committable and age > 15:
                return (
                    f"{tp.topic}/{tp.partition}: done up to {queue.committable}, committed {committed} for {age:.0f} s"
                )
        return None


def _in_hand(consumer: BatchConsumer, tp: TP) -> bool:
    """Whether a chunk of the partition is in hand."""
    queue = consumer.queues.get(tp)
    return queue is not None and queue.waiting > 0
