#!/usr/bin/env python3
"""Price changes with confluent-kafka: with_confluent_kafka.py [BOOTSTRAP [GROUP [START]]].

START, "earliest" or "latest", is where a group begins that has committed nothing yet. Prints one JSON line a change,
until Ctrl-C. The same change may come twice, after a crash there or here: drop a ce_id that you have seen.
"""

import json
import signal
import sys
import threading

from confluent_kafka import Consumer, KafkaException


def main(bootstrap: str = "127.0.0.1:9092", group: str = "my-team", start: str = "latest") -> None:
    """Read until Ctrl-C; what has been printed is committed every five seconds, and at the end."""
    ended = threading.Event()
    signal.signal(signal.SIGINT, lambda *_: ended.set())
    consumer = Consumer(
        {
            "bootstrap.servers": bootstrap,
            "group.id": group,
            "auto.offset.reset": start,
            "enable.auto.offset.store": False,
        }
    )
    consumer.subscribe(["ashare.price-changes.v1"])
    try:
        while not ended.is_set():
            record = consumer.poll(0.5)
            if record is None:
                continue
            if record.error():
                raise KafkaException(record.error())
            ce_id = dict(record.headers())["ce_id"].decode()
            print(json.dumps({"ce_id": ce_id, **json.loads(record.value())}), flush=True)
            consumer.store_offsets(record)
    finally:
        consumer.close()


main(*sys.argv[1:])
