"""A process that writes one batch of 50 after the other, a line on stdout for each that is kept, until it is killed."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from stores.urls import QuestDbUrl, parse
from tests.stores.places import Place, QuestDbPlace, SqlitePlace, batch, tick


async def run(place: Place) -> None:
    store = place.store()
    await store.open()
    for number in range(10_000):
        await store.write([batch(map(tick, range(50 * number, 50 * number + 50)), offset=50 * number)])
        print(number, flush=True)  # noqa: T201 - what the test waits for


if __name__ == "__main__":
    where, table = sys.argv[1:]
    url = parse(where)
    asyncio.run(run(QuestDbPlace(url, table) if isinstance(url, QuestDbUrl) else SqlitePlace(Path(url.directory))))
