"""Nothing that a part leaves holds a secret that it was given: log, page, record, file, terminal, list of processes.

The feed here repeats everything that it was told: in answers, in frames that nothing can read, in its farewell.
"""

from __future__ import annotations

import asyncio
import base64
import json
import os
import stat
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import quote, quote_plus

import pytest
from aiokafka import AIOKafkaConsumer
from websockets.asyncio.server import ServerConnection, serve

from cli import settings
from schemas import secrets
from schemas.topics import DEAD_LETTERS, FEED_EVENTS, topics

TOKEN = "tok/en+Of mine&7Qx"
KEY_IN_PATH = "kEy9f31c07aa2"
KEY_IN_QUERY = "qu3ry-k3y-55"
PASSWORD = "pa55-w0rd-1d"
HEARTBEAT = "beat-s3cret-88"
GIVEN = (TOKEN, KEY_IN_PATH, KEY_IN_QUERY, PASSWORD, HEARTBEAT)
ESCAPE = "\x1b[2J\nforged line"
ASHARE = [sys.executable, "-P", "-m", "cli"]


def traces(text: str) -> list[str]:
    """Which secrets a text holds, in whatever spelling."""
    spelt = {secret: {secret, quote(secret), quote(secret, safe=""), quote_plus(secret)} for secret in GIVEN}
    spelt[PASSWORD].add(base64.b64encode(f"user:{PASSWORD}".encode()).decode())
    spelt[TOKEN].add(json.dumps(TOKEN)[1:-1])
    return [secret for secret, forms in spelt.items() if any(form in text for form in forms)]


def traced_files(folder: Path) -> list[Path]:
    """Files that hold a secret, but for the one that it was given in."""
    files = [path for path in folder.rglob("*") if path.is_file() and path.name != "token"]
    return [path for path in files if traces(path.read_text("latin-1"))]


@asynccontextmanager
async def echoing() -> AsyncIterator[int]:
    """A feed of the post's protocol that repeats the address, the headers and every message; its port."""

    async def answer(connection: ServerConnection) -> None:
        assert connection.request is not None
        known = f"{connection.request.path} {connection.request.headers} {TOKEN} {KEY_IN_PATH} {KEY_IN_QUERY}"
        heard = await connection.recv()
        for text in (known, heard if isinstance(heard, str) else heard.decode()):
            await connection.send(f"not JSON: {text}")
            await connection.send(json.dumps({"type": "error", "message": f"{text} {ESCAPE}"}))
            await connection.send(json.dumps({"ticks": [{"code": TOKEN, "price": 1, "time": 1, "note": text}]}))
        await asyncio.sleep(0.5)
        await connection.close(4000, f"{TOKEN} {ESCAPE}"[:100])

    async with serve(answer, "127.0.0.1", 0) as server:
        yield server.sockets[0].getsockname()[1]


def environment(folder: Path, url: str, **more: str) -> dict[str, str]:
    """Settings by the environment and by files, as the docs say."""
    (folder / "token").write_text(f"{TOKEN}\n")
    mine = {name: value for name, value in os.environ.items() if not name.startswith("ASHARE_")}
    return mine | {
        "PYTHONPATH": str(Path(__file__).parents[2]),
        "ASHARE_FEED_URL": url,
        "ASHARE_FEED_TOKEN_FILE": str(folder / "token"),
        "ASHARE_FEED_HEARTBEAT_MESSAGE": HEARTBEAT,
        **more,
    }


async def records(bootstrap: str, source: str) -> str:
    """All that the line of this name has left in every topic, as one text."""
    consumer = AIOKafkaConsumer(*topics(), bootstrap_servers=bootstrap, auto_offset_reset="earliest")
    await consumer.start()
    try:
        ends = await consumer.end_offsets(consumer.assignment())
        found: list[str] = []
        while any([await consumer.position(place) < end for place, end in ends.items()]):
            for batch in (await consumer.getmany(timeout_ms=500)).values():
                for record in batch:
                    whole = (
                        f"{record.topic} {record.key!r} {record.headers!r} {(record.value or b'').decode('latin-1')}"
                    )
                    if source in whole:
                        found.append(whole)
        return "\n".join(found)
    finally:
        await consumer.stop()


async def test_a_producer_leaves_no_secret_behind(bootstrap: str, tmp_path: Path) -> None:
    """In log, dead letters, feed events, list of processes and files; nor do a server's escape sequences get out."""
    source = "secretive"
    async with echoing() as port:
        url = f"ws://user:{PASSWORD}@127.0.0.1:{port}/ws/{KEY_IN_PATH}?apikey={KEY_IN_QUERY}"
        process = await asyncio.create_subprocess_exec(
            *ASHARE, "produce", "--source", source, "--symbols", "600519", "--heartbeat", "0.2",
            cwd=tmp_path, env=environment(tmp_path, url, ASHARE_KAFKA_BOOTSTRAP=bootstrap),
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip
        assert process.stdout is not None
        log = ""
        while "lost" not in log and "refuse" not in log.lower():
            line = await asyncio.wait_for(process.stdout.readline(), 60)
            assert line, log
            log += line.decode()
        shown = await asyncio.to_thread(Path(f"/proc/{process.pid}/cmdline").read_text, "utf-8")
        await asyncio.sleep(1)
        if process.returncode is None:
            process.terminate()
        log += (await asyncio.wait_for(process.stdout.read(), 60)).decode()
        await process.wait()
    left = await records(bootstrap, source)
    assert DEAD_LETTERS in left
    assert FEED_EVENTS in left
    assert "***" in left
    assert (traces(log), traces(left), traces(shown)) == ([], [], [])
    assert "\x1b" not in log
    assert "\nforged" not in log
    told = [line.partition(" () ")[2] for line in left.splitlines() if line.startswith(FEED_EVENTS)]
    assert all((json.loads(event)["reason"] or "").isprintable() for event in told)
    assert await asyncio.to_thread(traced_files, tmp_path) == []


async def test_an_evaluation_and_the_settings_show_no_secret(tmp_path: Path) -> None:
    """On the terminal, as JSON, in the page; and `ashare config`, as text and as JSON."""
    async with echoing() as port:
        url = f"ws://127.0.0.1:{port}/ws/{KEY_IN_PATH}?apikey={KEY_IN_QUERY}"
        mine = environment(tmp_path, url)
        written = ""
        for arguments in (
            ("evaluate-feed", url, "--symbols", "600519", "--minutes", "0.05", "--no-forms", "--html", "page.html"),
            ("config",),
            ("config", "--json"),
        ):
            done = await asyncio.to_thread(
                subprocess.run,
                [*ASHARE, *arguments],
                cwd=tmp_path,
                env=mine,
                capture_output=True,
                text=True,
                timeout=90,
            )
            written += done.stdout + done.stderr
    assert "***" in written
    assert "list of processes" in written  # the address was an argument
    if (tmp_path / "page.html").exists():
        written += (tmp_path / "page.html").read_text("utf-8")
        assert stat.S_IMODE((tmp_path / "page.html").stat().st_mode) == 0o600
    assert traces(written) == []
    assert "\x1b" not in written


@pytest.fixture
def _forgetting() -> Iterator[None]:
    secrets.forget()
    yield
    secrets.forget()


@pytest.mark.usefixtures("_forgetting")
def test_a_token_that_is_an_argument_is_warned_of(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The way out is named; the same token from a file is fine."""
    monkeypatch.setattr(sys, "argv", ["ashare", "produce", f"--token={TOKEN}"])
    assert settings.secret("token", TOKEN) == TOKEN
    warned = capsys.readouterr().err
    assert "ASHARE_FEED_TOKEN_FILE" in warned
    assert TOKEN not in warned
    monkeypatch.setattr(sys, "argv", ["ashare", "produce"])
    settings.secret("token", TOKEN)
    assert capsys.readouterr().err == ""


def test_what_commands_keep_is_their_owners_alone(tmp_path: Path) -> None:
    """Files and folders that a command makes are closed to all others, whatever the umask was."""
    (tmp_path / "a.csv").write_text("code,time,price\n600519,1790000000000,1\n")
    mine = environment(tmp_path, "ws://127.0.0.1:9")
    done = subprocess.run(
        [
            "/bin/sh",
            "-c",
            'umask 000; exec "$@"',
            "sh",
            *ASHARE,
            "watchlist",
            "add",
            "600519",
            "--watchlist",
            "kept/codes.txt",
        ],
        cwd=tmp_path,
        env=mine,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    made = {path.name: stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "kept", tmp_path / "kept/codes.txt")}
    assert made == {"kept": 0o700, "codes.txt": 0o600}
