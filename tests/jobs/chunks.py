"""Chunks of ticks for tests of the pure jobs."""

from __future__ import annotations

from collections.abc import Sequence

from broker.chunk import Chunk
from schemas import Tick, encode

NINE_THIRTY = 1_795_138_200_000
"""2026-11-20 09:30 in Shanghai, ms since the epoch."""


def tick(n: int, price: float, *, code: str = "600519", run: int = 1, source: str = "line", **more: object) -> Tick:
    """The ``n``-th tick of a run."""
    fields: dict[str, object] = {"volume": 100, "time": NINE_THIRTY + n % 10_000_000} | more
    fields = {"received": fields["time"] * 1000} | fields  # type: ignore[operator]
    return Tick(code=code, exchange="SSE", price=price, source=source, run=run, n=n, **fields)  # type: ignore[arg-type]


def chunk(ticks: Sequence[Tick | bytes], *, start: int = 0, partition: int = 3) -> Chunk:
    """Ticks, or raw values, at consecutive offsets from ``start``."""
    made = Chunk("ashare.ticks.v1", partition, start)
    for index, entry in enumerate(ticks):
        made.offsets.append(start + index)
        made.timestamps.append(NINE_THIRTY + index if isinstance(entry, bytes) else entry.received // 1000)
        made.keys.append(b"key")
        made.values.append(entry if isinstance(entry, bytes) else encode(entry))
    made.end = start + len(ticks)
    return made
