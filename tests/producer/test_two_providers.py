"""Two providers, one stream: the same market pushed in two protocols, each trade once, whichever of them lives."""

from __future__ import annotations

import asyncio
import contextlib
import json
import signal
import sys
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

SECONDS = 8


@contextlib.asynccontextmanager
async def ashare(*options: str, log: Path) -> AsyncIterator[asyncio.subprocess.Process]:
    """A command as a process of its own, killed at the end if it still runs."""
    with log.open("wb") as out:
        process = await asyncio.create_subprocess_exec(sys.executable, "-m", "cli", *options, stdout=out, stderr=out)
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


def market(directory: Path, feed: str) -> tuple[str, ...]:
    """Options of the one market, in a provider's protocol."""
    return (
        *("simulate", "--feed", feed, "--port", "0", "--codes", "40", "--seed", "7", "--rate", "300"),
        *("--seconds", str(SECONDS), "--equal-ms", "0.2", "--wait-for-client", "--token", "t"),
        *("--start", "2026-11-20 09:30", "--ledger", str(directory / feed)),
        *("--write-codes", str(directory / f"{feed}.txt")),
    )


def said(log: Path, words: str) -> bool:
    """Whether a log has some words."""
    return words in log.read_text()


def trades(directory: Path) -> Counter[tuple[str, int, float, float]]:
    """What a market sent so far."""
    pages = [file.read_text() for file in directory.glob("connection-*.jsonl")]
    lines = [line for page in pages for line in page[: page.rfind("\n") + 1].splitlines()]
    return Counter(
        (tick["code"], tick["time"], tick["price"], tick["volume"])
        for line in lines
        for tick in json.loads(line)["ticks"]
    )


@pytest.mark.timeout(120)
async def test_two_providers_of_one_market_make_one_stream_of_it(
    bootstrap: str, source: str, held: Callable[[], Awaitable[Any]], post: Any, tmp_path: Path
) -> None:
    """One dies on the way: each trade of the other is there once, those of equal ms, price and volume too; no gap."""
    logs = {name: tmp_path / f"{name}.log" for name in ("post", "alltick", "produce")}
    async with (
        ashare(*market(tmp_path, "post"), log=logs["post"]) as first,
        ashare(*market(tmp_path, "alltick"), log=logs["alltick"]),
    ):
        await post.until(lambda: all(said(logs[name], "listening on ") for name in ("post", "alltick")))
        one, other = [logs[name].read_text().split("listening on ")[1].split()[0] for name in ("post", "alltick")]
        producer = ashare(
            *("produce", "--bootstrap", bootstrap, "--source", source, "--token", "t", "--second-token", "t"),
            *("--url", one, "--second-feed", "alltick", "--second-url", other),
            *("--symbols", f"@{tmp_path / 'alltick.txt'}", "--quality", "off", "--trades-only"),
            log=logs["produce"],
        )
        async with producer as producing:
            await post.until(lambda: bool(trades(tmp_path / "post") and trades(tmp_path / "alltick")), seconds=60)
            await asyncio.sleep(SECONDS / 4)
            first.kill()
            await post.until(lambda: said(logs["alltick"], "finished: "), seconds=60)
            await asyncio.sleep(1.0)
            producing.send_signal(signal.SIGTERM)
            assert await asyncio.wait_for(producing.wait(), 30) == 0
    found = await held()
    assert Counter((tick.code, tick.time, tick.price, tick.volume) for tick in found.ticks) == trades(
        tmp_path / "alltick"
    )
    assert [tick.n for tick in found.ticks] == list(range(1, len(found.ticks) + 1))
    assert len(found.ticks) > SECONDS * 200
    assert "gap" not in found.happenings
    assert said(logs["produce"], "1 losses made up for"), "the other had it"
