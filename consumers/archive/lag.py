"""Whether a store has what the log has: what the storage agents have committed, held against the log's ends."""

from __future__ import annotations

import asyncio
import re
import time

from aiokafka import TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError

from broker import security
from broker.reader import ChunkReader
from schemas import UsageError

PATIENCE = 15.0
"""Seconds that storage may take to reach the ends that the log had: it commits twice a second."""
_LOOK = 0.5
_STORAGE = "ashare-storage"
_EARLIER = re.compile(r"ashare(?:-(?:snapshots|storage|changes)){2,}")
_REQUEST_MS = 10_000


async def lag(bootstrap: str, topic: str, patience: float = PATIENCE) -> str | None:
    """Why a store may lack records that the log has now; ``None`` once all storage agents have written them.

    A store is to be read after that: what a worker has committed is in it.

    Raises:
        UsageError: no broker answers.
    """
    async with ChunkReader(bootstrap, client_id="ashare-archive-lag") as reader:
        try:
            places = await reader.partitions(topic)
        except UsageError:
            return None  # no topic, so nothing that a store could lack
        begins, ends = await reader.begins(places), await reader.ends(places)
    due = {tp: end for tp, end in ends.items() if end > begins[tp]}
    if not due:
        return None
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap, request_timeout_ms=_REQUEST_MS, **security.options())
    deadline = time.monotonic() + patience
    try:
        await admin.start()
        while True:
            why = await _behind(admin, due)
            if why is None or time.monotonic() > deadline:
                return why
            await asyncio.sleep(_LOOK)
    except (KafkaError, OSError) as error:
        return f"the broker does not tell how far storage is: {error!r}"
    finally:
        await admin.close()


async def _behind(admin: AIOKafkaAdminClient, due: dict[TopicPartition, int]) -> str | None:
    """Which storage agents are behind, and by how much.

    The groups that the storage agent shared with others until version 0.2 count as long as its own has committed
    nothing: it goes on where they stand.
    """
    there = {str(group[0]) for group in await admin.list_consumer_groups()}
    earlier = sorted(name for name in there if _EARLIER.fullmatch(name) and "storage" in name.split("-"))
    asked = 0
    for group in [name for name in [_STORAGE] if name in there] + earlier:
        committed = await admin.list_consumer_group_offsets(group)
        done = {tp: committed[tp].offset if tp in committed else 0 for tp in due}
        if not any(offset > 0 for offset in done.values()):
            continue
        asked += 1
        missing = sum(max(0, end - max(done[tp], 0)) for tp, end in due.items())
        if missing:
            return f"storage ({group}) is {missing:,} records behind the log: run it again when it is done"
        if group == _STORAGE:
            break
    return None if asked else "no storage agent has committed anything of the topic: run one, or archive from the log"
