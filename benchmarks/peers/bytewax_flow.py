"""The changes job on Bytewax: a keyed stateful map between its Kafka source and sink."""

from __future__ import annotations

import os

import bytewax.operators as op
import orjson
from bytewax.connectors.kafka import KafkaSinkMessage, KafkaSource, KafkaSourceMessage
from bytewax.connectors.kafka import operators as kop
from bytewax.dataflow import Dataflow
from bytewax.run import cli_main

THRESHOLD = 500
BROKERS = [os.environ["BENCH_BOOTSTRAP"]]

Moved = tuple[int | None, list[bytes]]


def read(message: KafkaSourceMessage) -> tuple[str, tuple[int, int]]:
    """Code, and price and time."""
    tick = orjson.loads(message.value)
    return tick["code"], (round(tick["price"] * 10_000), tick["time"])


def emit(last: int | None, tick: tuple[int, int]) -> tuple[int | None, tuple[int, int | None, int] | None]:
    """The new last emitted price, and the change, if it is larger than the threshold."""
    price, time = tick
    if last is not None and abs(price - last) <= THRESHOLD:
        return last, None
    return price, (price, last, time)


def write(item: tuple[str, tuple[int, int | None, int] | None]) -> KafkaSinkMessage | None:
    """The change's record."""
    code, change = item
    if change is None:
        return None
    price, previous, time = change
    value = orjson.dumps({"code": code, "price": price, "previous": previous, "time": time})
    return KafkaSinkMessage(code.encode(), value)


flow = Dataflow("bench-bytewax")
source = KafkaSource(BROKERS, [os.environ["BENCH_INPUT"]], batch_size=5_000, add_config={"fetch.min.bytes": "65536"})
ticks = op.map("read", op.input("ticks", flow, source), read)
changes = op.filter_map("write", op.stateful_map("emit", ticks, emit), write)
kop.output("changes", changes, brokers=BROKERS, topic=os.environ["BENCH_OUTPUT"], add_config={"linger.ms": "5"})

if __name__ == "__main__":
    cli_main(flow)
