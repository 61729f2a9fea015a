"""A broker that is killed and comes back: readers go on where they were."""

from __future__ import annotations

import asyncio
from pathlib import Path

from ashare_client import PriceChange, PriceChanges, Snapshot, Snapshots
from ashare_client.stream import Stream
from deploy.embedded import KafkaBroker
from tests.clients.topics import change, snapshot, written

CODES = ("600519", "000001", "688981")
SECONDS = 90


async def test_readers_go_on_after_a_broker_was_killed(tmp_path: Path) -> None:
    """In a group and outside of one, and with a table: nothing is missing, nothing twice, all in order per code."""
    broker = KafkaBroker(tmp_path)
    await asyncio.to_thread(broker.start)
    try:
        changes, states = await written(broker.bootstrap), await written(broker.bootstrap, compacted=True)
        total = 150
        readers: list[Stream[PriceChange] | Stream[Snapshot]] = [
            PriceChanges(broker.bootstrap, topic=changes.name, start="earliest"),
            PriceChanges(broker.bootstrap, topic=changes.name, start="earliest", group="team", batch_size=7),
            Snapshots(broker.bootstrap, topic=states.name),
        ]
        got: list[list[tuple[str, int]]] = [[] for _ in readers]

        async def read(reader: Stream[PriceChange] | Stream[Snapshot], into: list[tuple[str, int]]) -> None:
            async with reader:
                async for one in reader:
                    into.append((one.code, one.origin.offset))
                    if len(into) == total * len(CODES):
                        return

        reading = [asyncio.create_task(read(reader, into)) for reader, into in zip(readers, got, strict=True)]
        async with asyncio.timeout(SECONDS):
            await asyncio.sleep(3)
            for n in range(total):
                await changes.put([change(code, n) for code in CODES])
                await states.put([snapshot(code, n, 10.0) for code in CODES])
                if n == total // 2:
                    broker.kill()
                    await asyncio.to_thread(broker.start)
            await asyncio.gather(*reading)
        for places in got:
            assert len(set(places)) == total * len(CODES)
            for code in CODES:
                assert [offset for of_code, offset in places if of_code == code] == list(range(total))
        await changes.close()
        await states.close()
    finally:
        await asyncio.to_thread(broker.stop)
