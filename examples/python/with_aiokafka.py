#!/usr/bin/env python3
"""Price changes with plain aiokafka: with_aiokafka.py [BOOTSTRAP [GROUP [START]]].

START, "earliest" or "latest", is where a group begins that has committed nothing yet. Prints one JSON line a change,
until Ctrl-C. The same change may come twice, after a crash there or here: drop a ce_id that you have seen.
"""

import asyncio
import json
import signal
import sys

from aiokafka import AIOKafkaConsumer


async def main(bootstrap: str = "127.0.0.1:9092", group: str = "my-team", start: str = "latest") -> None:
    """Read until Ctrl-C; a batch is committed once all of it has been printed."""
    ended = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGINT, ended.set)
    consumer = AIOKafkaConsumer(
        "ashare.price-changes.v1",
        bootstrap_servers=bootstrap,
        group_id=group,
        auto_offset_reset=start,
        enable_auto_commit=False,
    )
    await consumer.start()
    try:
        while not ended.is_set():
            batch = await consumer.getmany(timeout_ms=500)
            for records in batch.values():
                for record in records:
                    ce_id = dict(record.headers)["ce_id"].decode()
                    print(json.dumps({"ce_id": ce_id, **json.loads(record.value)}), flush=True)
            if batch:
                await consumer.commit()
    finally:
        await consumer.stop()


asyncio.run(main(*sys.argv[1:]))
