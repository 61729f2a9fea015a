"""The client library over every topic that it reads, until it is told to end; run as a program by the fuzz."""

from __future__ import annotations

import asyncio
import sys
from typing import Any

from ashare_client import FeedEvents, PriceChanges, Snapshots, Ticks

READERS = (Ticks, PriceChanges, FeedEvents)


async def follow(reader: Any) -> None:
    """Read on; what can't be read is skipped."""
    async with reader as records:
        async for record in records:
            len(repr(record))


async def main(bootstrap: str) -> None:
    """One reader of each kind, none of which may end."""
    readers: list[Any] = [one(bootstrap, start="earliest", malformed="skip") for one in READERS]
    readers.append(Snapshots(bootstrap, malformed="skip"))
    await asyncio.gather(*map(follow, readers))
    raise SystemExit("a reader has ended")


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
