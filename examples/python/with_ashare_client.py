#!/usr/bin/env python3
"""Price changes with the client library: with_ashare_client.py [BOOTSTRAP [GROUP [START]]].

START, "earliest" or "latest", is where a group begins that has committed nothing yet. Prints one JSON line a change,
until Ctrl-C, and each change once. `codes="600519,000001"`, `boards="STAR"` and `min_change="50bp"` would take fewer.
"""

import asyncio
import contextlib
import sys

import msgspec

from ashare_client import PriceChanges


async def main(bootstrap: str = "127.0.0.1:9092", group: str = "my-team", start: str = "latest") -> None:
    """Read until cancelled; a batch is committed when all of it has been printed."""
    async with PriceChanges(bootstrap, group=group, start=start) as changes:
        async for change in changes:
            print(msgspec.json.encode(change).decode(), flush=True)


with contextlib.suppress(KeyboardInterrupt):
    asyncio.run(main(*sys.argv[1:]))
