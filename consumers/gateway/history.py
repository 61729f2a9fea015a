"""The last records of one code, read from the log when somebody asks: nothing of them is kept in memory."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Iterable, Sequence
from typing import Any

from aiokafka import TopicPartition

from broker.background import discard
from broker.reader import ChunkReader
from schemas import Bar, Record, RecordError, Tick, decode
from schemas.topics import BARS, TICKS, partition_of

BAR_FIELDS = (
    "code", "session", "start", "end", "open", "high", "low", "close", "ticks", "volume", "turnover", "auction", "gap",
)  # fmt: skip
"""``start`` and ``end`` in ms since the epoch; ``gap``: whether something of it may be missing."""
_MINUTE_MS = 60_000
_WINDOWS = (2, 30)
"""Minutes that are looked back for ticks, the next only where the one before has not enough."""
_DAY_MS = 86_400_000
_PATIENCE = 8.0


class History:
    """Reads ticks and bars of a code, for one request at a time, by a connection that is kept."""

    def __init__(self, bootstrap: str) -> None:
        """Nothing connects yet."""
        self._bootstrap = bootstrap
        self._one = asyncio.Lock()
        self._reader: ChunkReader | None = None

    async def ticks(self, code: str, limit: int) -> list[Tick]:
        """The last ticks of a code within half an hour, the oldest first.

        Raises:
            UsageError, BrokerError, TimeoutError: Kafka does not give them.
        """
        found: list[Tick] = []
        for minutes in _WINDOWS:
            found = await self._last(Tick, TICKS, code, minutes * _MINUTE_MS, limit)
            if len(found) >= limit:
                break
        return found

    async def bars(self, code: str, minutes: int) -> list[dict[str, Any]]:
        """The bars of a code's latest session, the oldest first, wider than a minute where asked for.

        Raises:
            UsageError: there is no topic of bars.
            BrokerError, TimeoutError: Kafka does not give them.
        """
        read = await self._last(Bar, BARS, code, _DAY_MS, 10_000)
        session = max((bar.session for bar in read), default="")
        # A bar that was made anew stands in the place of the one before.
        latest = {(bar.start, bar.auction): bar for bar in read if bar.session == session}
        return wider([latest[key] for key in sorted(latest, key=lambda key: (key[0], key[1] or "~"))], minutes)

    async def stop(self) -> None:
        """Disconnect."""
        async with self._one:
            await self._close()

    async def _last(self, kind: Any, topic: str, code: str, back_ms: int, limit: int) -> list[Any]:
        async with self._one:
            try:
                return await self._read(kind, topic, code, back_ms, limit)
            except BaseException:
                await self._close()  # whatever it was, the next one begins anew
                raise

    async def _read(self, kind: Any, topic: str, code: str, back_ms: int, limit: int) -> list[Any]:
        reader = self._reader
        if reader is None:
            reader = self._reader = ChunkReader(self._bootstrap, client_id="ashare-gateway-history", patience=_PATIENCE)
            await reader.__aenter__()
        key, found = code.encode(), deque[Record](maxlen=limit)
        places = await reader.partitions(topic)
        place = TopicPartition(topic, partition_of(code, len(places)))
        start = (await reader.at([place], time.time_ns() // 1_000_000 - back_ms))[place]
        reader.assign({place: (start, (await reader.ends([place]))[place])})
        while chunks := await reader.fetch():
            for chunk in chunks:
                found.extend(_decoded(kind, key, chunk.keys, chunk.values))
        return list(found)

    async def _close(self) -> None:
        reader, self._reader = self._reader, None
        if reader is not None:
            await discard(reader.client)


def _decoded(
    kind: type[Record], key: bytes, keys: Sequence[bytes | None], values: Sequence[bytes | None]
) -> Iterable[Record]:
    for its, value in zip(keys, values, strict=True):
        if its == key:
            try:
                yield decode(kind, value)
            except RecordError:
                continue


def wider(bars: Sequence[Bar], minutes: int) -> list[dict[str, Any]]:
    """Bars of so many minutes, of bars of one minute in order; those of auctions stand for themselves."""
    made: list[dict[str, Any]] = []
    width = minutes * _MINUTE_MS
    for bar in bars:
        start = bar.start if bar.auction else bar.start // width * width
        last = made[-1] if made else None
        if last is None or bar.auction or last["auction"] or last["start"] != start:
            made.append(
                {field: getattr(bar, field) for field in BAR_FIELDS} | {"start": start, "gap": bar.gap is not None}
            )
            continue
        last["end"], last["close"] = bar.end, bar.close
        last["high"], last["low"] = max(last["high"], bar.high), min(last["low"], bar.low)
        last["ticks"] += bar.ticks
        for name in ("volume", "turnover"):
            amount = getattr(bar, name)
            if amount is not None:
                last[name] = amount + (last[name] or 0)
        last["gap"] = last["gap"] or bar.gap is not None
    return made
