"""``ashare produce --quality`` on a real Kafka: a flawed tick is in the topic with its mark, or in the dead letters."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Awaitable, Callable
from typing import Any

import orjson
import pytest
from websockets.asyncio.server import ServerConnection

from producer.options import ProducerOptions, plan
from schemas import UsageError

OPEN = 1_795_138_200_000  # 2026-11-20 09:30 in Shanghai, ms since the epoch
TICKS = [
    {"code": "600519", "price": 10.0, "time": OPEN, "previous_close": 10.0},
    {"code": "600519", "price": 10.005, "time": OPEN + 1},
    {"code": "600519", "price": 11.01, "time": OPEN + 2},
    {"code": "688981", "price": 10.0, "time": OPEN},
    {"code": "600519", "price": 10.01, "time": OPEN},
    {"code": "600519", "price": 10.01, "time": OPEN + 3},
]
FOUND = [None, "off_grid", "outside_limits", "unknown_code", "backwards", None]


@pytest.mark.parametrize("quality", ["mark", "quarantine", "off"])
async def test_what_becomes_of_flawed_ticks(
    bootstrap: str, source: str, post: Any, held: Callable[[], Awaitable[Any]], quality: str
) -> None:
    """None is gone: what came is in the ticks topic or in the dead letters, and the log says how many of what."""
    sent = asyncio.Event()

    async def push(server: ServerConnection) -> None:
        await server.send(post.frame(*TICKS))
        sent.set()
        await post.stay(server)

    async with post.Server(push) as feed:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "cli", "produce", "--bootstrap", bootstrap, "--url", feed.url),
            *("--source", source, "--symbols", "600519", "--own-clock", "--quality", quality),
            env={name: value for name, value in os.environ.items() if not name.startswith("ASHARE_")},
            stderr=asyncio.subprocess.PIPE,
        )
        try:
            await asyncio.wait_for(sent.wait(), 60)
            process.send_signal(signal.SIGTERM)
            _, said = await asyncio.wait_for(process.communicate(), 60)
        finally:
            if process.returncode is None:
                process.kill()
    assert process.returncode == 0, said.decode()
    found = await held()
    flawed = [(tick, flaw) for tick, flaw in zip(TICKS, FOUND, strict=True) if flaw]
    if quality == "quarantine":
        assert [(tick.time, tick.quality) for tick in found.ticks] == [(OPEN, None), (OPEN + 3, None)]
        assert [letter.reason for letter in found.letters] == [f"quality: {flaw}" for _, flaw in flawed]
        assert [orjson.loads(letter.payload)["price"] for letter in found.letters] == [t["price"] for t, _ in flawed]
        assert "0 marked and 4 kept out (off_grid 1, outside_limits 1, unknown_code 1, backwards 1)" in said.decode()
    else:
        assert [tick.quality for tick in found.ticks] == (FOUND if quality == "mark" else [None] * 6)
        assert not found.letters
    assert [tick.n for tick in found.ticks] == list(range(1, len(found.ticks) + 1))


def test_another_word_is_refused() -> None:
    """With those that there are."""
    with pytest.raises(UsageError, match="--quality 'drop' is none of: mark, quarantine, off"):
        plan(ProducerOptions("127.0.0.1:9092", url="ws://127.0.0.1:1", quality="drop"))
