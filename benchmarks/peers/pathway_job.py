"""The changes job on Pathway: its deduplicate keeps a value when the acceptor takes it."""

from __future__ import annotations

import os

import pathway as pw

THRESHOLD = 500
SETTINGS = {
    "bootstrap.servers": os.environ["BENCH_BOOTSTRAP"],
    "group.id": os.environ["BENCH_GROUP"],
    "auto.offset.reset": "earliest",
    "linger.ms": "5",
}


class Tick(pw.Schema):  # type: ignore[misc]
    """What the job needs of a tick."""

    code: str
    price: float


ticks = pw.io.kafka.read(
    SETTINGS, topic=os.environ["BENCH_INPUT"], format="json", schema=Tick, autocommit_duration_ms=100
)
prices = ticks.select(ticks.code, price=pw.cast(int, pw.this.price * 10_000 + 0.5))
changes = prices.deduplicate(
    value=prices.price, instance=prices.code, acceptor=lambda new, old: abs(new - old) > THRESHOLD
)
pw.io.kafka.write(changes, SETTINGS, topic_name=os.environ["BENCH_OUTPUT"], format="json", key=changes.code)

if __name__ == "__main__":
    pw.run(monitoring_level=pw.MonitoringLevel.NONE)
