"""``ashare produce`` as a process of its own: clean end, exit codes, and no secret in what it prints."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import orjson
import pytest
from websockets.asyncio.server import ServerConnection

TOKEN = "s3cret-t0ken"


async def produce(*options: str, **environment: str) -> asyncio.subprocess.Process:
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("ASHARE_")}
    return await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "cli",
        "produce",
        *options,
        env=inherited | environment,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )


async def ended(process: asyncio.subprocess.Process) -> tuple[int, str]:
    try:
        out, err = await asyncio.wait_for(process.communicate(), 60)
    except TimeoutError:
        process.kill()
        raise
    assert process.returncode is not None
    return process.returncode, (out + err).decode()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
async def test_a_signal_in_full_flow_delivers_everything_that_came(
    bootstrap: str, source: str, post: Any, held: Callable[[], Awaitable[Any]], number: signal.Signals
) -> None:
    """Exit 0; what the server's socket had accepted by the closing handshake is in Kafka, without a hole."""
    sent = 0

    async def push(server: ServerConnection) -> None:
        nonlocal sent
        while True:
            ticks = [{"code": f"60{i:04d}", "price": 10.5, "time": 1_795_138_201} for i in range(50)]
            await server.send(post.frame(*ticks))
            sent += len(ticks)
            await asyncio.sleep(0.001)

    async with post.Server(push, token=TOKEN) as feed:
        process = await produce(
            "--bootstrap", bootstrap, "--url", feed.url, "--source", source, ASHARE_FEED_TOKEN=TOKEN
        )
        try:
            await post.until(lambda: sent > 20_000, seconds=60)
            process.send_signal(number)
            code, said = await ended(process)
        finally:
            if process.returncode is None:
                process.kill()
    assert code == 0, said
    assert TOKEN not in said
    assert "token=***" in said
    found = await held()
    assert [t.n for t in found.ticks] == list(range(1, len(found.ticks) + 1))
    # The last frame may have been under way when the closing handshake ended.
    assert sent - 50 <= len(found.ticks) <= sent + 50
    assert found.happenings == ["started", "connected", "subscribed", "stopped"]
    assert found.events[-1].n == len(found.ticks)


async def test_a_wrong_token_ends_it_with_2_and_is_not_printed(bootstrap: str, source: str, post: Any) -> None:
    """Whoever reads the log learns which settings to check, and no secret."""
    async with post.Server(post.stay, token="another") as feed:
        process = await produce("--bootstrap", bootstrap, "--url", feed.url, "--source", source, "--token", TOKEN)
        code, said = await ended(process)
    assert code == 2
    assert "refused the token (HTTP 401)" in said
    assert "ASHARE_FEED_TOKEN" in said
    assert TOKEN not in said
    assert "Traceback" not in said
    assert len(feed.paths) == 1, "asked once, not again and again"


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (("--url", "http://127.0.0.1:1"), "ws://"),
        (("--symbols", "[600519]"), "--symbols"),
        (("--source", "a b"), "--source"),
        (("--bootstrap", "127.0.0.1:1"), "--bootstrap"),
    ],
)
async def test_a_wrong_setting_ends_it_with_2_in_one_line(options: tuple[str, str], says: str) -> None:
    """Nothing is dialled that cannot work."""
    code, said = await ended(await produce(*options))
    assert code == 2
    assert says in said.splitlines()[-1]
    assert "Traceback" not in said


async def test_lines_follow_a_watchlist_into_kafka(
    bootstrap: str, source: str, post: Any, held: Callable[[str], Awaitable[Any]], tmp_path: Path
) -> None:
    """Two lines with an id and a count each; the list changes on the connections, and no code that stays sees a gap."""
    codes = tmp_path / "codes.txt"
    codes.write_text("600519 000001 300750 688981")

    async def push(server: ServerConnection) -> None:
        mine = list(feed.requests[-1]["symbols"])
        reading = asyncio.create_task(follow(server, mine))
        try:
            for i in range(10_000):
                await server.send(post.frame(*({"code": c, "price": 10.5, "time": 1_795_138_201 + i} for c in mine)))
                await asyncio.sleep(0.02)
        finally:
            reading.cancel()

    async def follow(server: ServerConnection, mine: list[str]) -> None:
        async for message in server:
            request = orjson.loads(message)
            if request["action"] == "subscribe":
                mine += request["symbols"]
            else:
                mine[:] = [code for code in mine if code not in request["symbols"]]
            changes.append(request)

    changes: list[Any] = []
    async with post.Server(push) as feed:
        process = await produce(
            "--bootstrap", bootstrap, "--url", feed.url, "--source", f"{source}-1", "--lines", "2", "--watchlist",
            str(codes),
        )  # fmt: skip
        try:
            await post.until(lambda: len(feed.requests) == 2, seconds=60)
            await asyncio.sleep(0.5)
            codes.write_text("600519 000001 300750 920002")
            await post.until(lambda: len(changes) == 2)
            await asyncio.sleep(0.3)
            process.send_signal(signal.SIGTERM)
            code, said = await ended(process)
        finally:
            if process.returncode is None:
                process.kill()
    assert code == 0, said
    assert sorted(str(change) for change in changes) == [
        "{'action': 'subscribe', 'symbols': ['920002']}",
        "{'action': 'unsubscribe', 'symbols': ['688981']}",
    ]
    lines = [await held(f"{source}-{number}") for number in (1, 2)]
    seen = [{tick.code for tick in line.ticks} for line in lines]
    assert seen[0] | seen[1] == {"600519", "000001", "300750", "688981", "920002"}
    assert not seen[0] & seen[1]
    for line in lines:
        assert [tick.n for tick in line.ticks] == list(range(1, len(line.ticks) + 1))
        assert "gap" not in line.happenings
        assert not any("unknown_code" in (tick.quality or "") for tick in line.ticks), "under way when it left the list"
        assert [event.id for event in line.events] == [
            f"{line.events[0].source}/{line.events[0].run}/{count}" for count in range(1, len(line.events) + 1)
        ]
