"""The command, as its own process."""

from __future__ import annotations

import asyncio
import signal
import sys
from pathlib import Path
from typing import Any

import orjson
import pytest
from websockets.asyncio.client import connect

from schemas import UsageError
from simulator.run import equal_share, generated, with_equal_trades, write_codes


async def start(*options: str) -> tuple[asyncio.subprocess.Process, str]:
    """The command with a free port, and the address that it prints."""
    command = ("-c", "from cli.main import main; main()", "simulate", "--port", "0", *options)
    process = await asyncio.create_subprocess_exec(
        sys.executable, *command, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None
    line = (await asyncio.wait_for(process.stdout.readline(), 30)).decode()
    return process, line.removeprefix("listening on ").strip()


async def test_it_listens_pushes_finishes_and_stops_on_sigterm(tmp_path: Path) -> None:
    """It says when it is ready, what it waits for, when all is pushed; the connection stays; the ledger is complete."""
    options = (
        "--rate",
        "2000",
        "--seconds",
        "0.5",
        "--codes",
        "50",
        "--wait-for-client",
        "--ledger",
        str(tmp_path / "l"),
    )
    process, url = await start(*options, "--start", "2026-11-20 09:29:50", "--token", "s3cret")
    try:
        assert process.stdout is not None
        async with connect(f"{url}/?token=s3cret", compression=None, proxy=None) as connection:
            await connection.send('{"action":"subscribe","symbols":"*"}')
            line = await asyncio.wait_for(process.stdout.readline(), 30)
            assert line == b"the first subscription begins it\n"
            line = await asyncio.wait_for(process.stdout.readline(), 30)
            assert line == b"finished: 1,000 ticks\n"
            await connection.send('{"action":"ping"}')
            messages = [orjson.loads(await connection.recv())]
            while messages[-1] != {"type": "pong"}:
                messages.append(orjson.loads(await connection.recv()))
        assert sum(len(message.get("ticks", ())) for message in messages) == 1_000
        process.send_signal(signal.SIGTERM)
        _, errors = await asyncio.wait_for(process.communicate(), 30)
        assert process.returncode == 0
        assert b"s3cret" not in errors
        assert orjson.loads((tmp_path / "l" / "finished.json").read_bytes())["ticks"] == 1_000
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def test_an_impossible_option_is_one_line_and_exit_code_2() -> None:
    """The line names what is wrong."""
    process, _ = await start("--play", "no-such-file.csv")
    _, errors = await asyncio.wait_for(process.communicate(), 30)
    assert process.returncode == 2
    assert errors.startswith(b"ashare: ")
    assert errors.count(b"\n") == 1
    assert b"no-such-file.csv" in errors


@pytest.mark.parametrize(
    ("options", "fix"),
    [
        ({"rate": "often"}, "opening, flat"),
        ({"rate": "0"}, "opening, flat"),
        ({"rate": "inf"}, "opening, flat"),
        ({"codes": 0}, "--codes takes 1 to"),
        ({"start": "soon"}, "--start"),
    ],
)
def test_a_market_that_cannot_be_names_the_option(options: dict[str, Any], fix: str) -> None:
    """The error says what the option takes."""
    with pytest.raises(UsageError, match=fix):
        generated(**{"codes": 5, "seed": 0} | options)


@pytest.mark.parametrize(
    ("feed", "code"), [("alltick", "600519"), ("massive", "GAAFBJ.US"), ("binance", "GAAFBJUSDT.BINANCE")]
)
def test_the_codes_of_a_market_can_be_had_as_a_watchlist(tmp_path: Path, feed: str, code: str) -> None:
    """One a line, named as the feed's ticks are."""
    write_codes(tmp_path / "codes.txt", codes=50, seed=0, feed=feed)
    lines = (tmp_path / "codes.txt").read_text("utf-8").splitlines()
    assert len(lines) == 50
    assert code in lines
    with pytest.raises(UsageError, match="--write-codes"):
        write_codes(tmp_path, codes=1, seed=0, feed=feed)


def test_a_share_of_equal_trades_is_a_share() -> None:
    """Real trades' share with the misbehaviour, else what was asked for."""
    assert equal_share(0.0, ["all"]) == equal_share(0.0, ["equal-ms"]) == 0.2
    assert equal_share(0.1, ["all"]) == 0.1
    assert equal_share(0.0, ["kill"]) == 0.0
    with pytest.raises(UsageError, match="--equal-ms"):
        with_equal_trades(generated(codes=1, seed=0), 1.5, 0)
