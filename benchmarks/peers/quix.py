"""The changes job on Quix Streams: a streaming dataframe with state (RocksDB, changelog)."""

from __future__ import annotations

import os
from typing import Any

from quixstreams import Application, State

THRESHOLD = 500

app = Application(
    broker_address=os.environ["BENCH_BOOTSTRAP"],
    consumer_group=os.environ["BENCH_GROUP"],
    auto_offset_reset="earliest",
    processing_guarantee="at-least-once",
    commit_interval=1.0,
    state_dir=os.environ["BENCH_STATE"],
    loglevel="WARNING",
    # Its fastest documented settings: wide fetches, batches that linger a little.
    consumer_extra_config={"fetch.min.bytes": 65_536, "fetch.wait.max.ms": 20},
    producer_extra_config={"linger.ms": 5},
)
ticks = app.topic(os.environ["BENCH_INPUT"], key_deserializer="str", value_deserializer="json")
changes = app.topic(os.environ["BENCH_OUTPUT"], key_serializer="str", value_serializer="json")


def emit(tick: dict[str, Any], state: State) -> dict[str, Any] | None:
    """The change that a tick makes, if it is larger than the threshold."""
    price, previous = round(tick["price"] * 10_000), state.get("last")
    if previous is not None and abs(price - previous) <= THRESHOLD:
        return None
    state.set("last", price)
    return {"code": tick["code"], "price": price, "previous": previous, "time": tick["time"]}


stream = app.dataframe(ticks)
stream = stream.apply(emit, stateful=True)
stream = stream[stream.apply(lambda change: change is not None)]
stream.to_topic(changes)

if __name__ == "__main__":
    app.run()
