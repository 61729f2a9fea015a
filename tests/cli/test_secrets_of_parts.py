"""Nothing that is left behind holds a secret: the worker, the commands, the servers, the simulator, the client library.

What a producer, an evaluation and the settings leave, ``test_secrets.py`` looks through.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import http.client
import http.server
import json
import os
import signal
import socket
import stat
import subprocess
import sys
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote, quote_plus

import psutil
import pytest
from aiokafka import AIOKafkaConsumer
from aiokafka.admin import AIOKafkaAdminClient
from websockets.asyncio.client import connect
from websockets.exceptions import WebSocketException

from ashare_client import ClientError, PriceChanges, Snapshots
from broker.publisher import Publisher
from deploy.embedded import KafkaBroker, QuestDB
from deploy.embedded.server import free_port
from deploy.local.stack import Plan, Stack
from processors.stores.urls import QuestDbUrl, parse
from schemas import encode
from schemas.topics import TICKS, partition_of, topics
from tests.stores.places import tick

PASSWORD = "pa55+W0rd/of the-store"
TOKEN = "t0ken-f0r/HTTP=9c"
PEERS = "peers-sh4re th1s"
USER_INFO = "us3rinf0-77"
IN_QUERY = "qu3ry-k3y-41"
IN_PATH = "p4th-k3y-9d2"
GIVEN = (PASSWORD, TOKEN, PEERS, USER_INFO, IN_QUERY, IN_PATH)
ASHARE = [sys.executable, "-P", "-m", "cli"]


def traces(text: str, *more: str) -> list[str]:
    """Which secrets a text holds, in whatever spelling."""
    found = []
    for secret in (*GIVEN, *more):
        pair = base64.b64encode(f"admin:{secret}".encode()).decode()
        spelt = {secret, quote(secret), quote(secret, safe=""), quote_plus(secret), json.dumps(secret)[1:-1], pair}
        if any(form in text for form in spelt):
            found.append(secret)
    return found


def traced(folder: Path, *more: str, but: str = "given-") -> list[str]:
    """The files in a folder that hold a secret, and those that others may read; without those that it was given in."""
    found = []
    for path in folder.rglob("*"):
        if not path.is_file() or path.name.startswith(but):
            continue
        if traces(path.read_text("latin-1"), *more):
            found.append(f"{path} holds one")
        if stat.S_IMODE(path.stat().st_mode) & 0o077:
            found.append(f"{path} can be read by others")
    return found


def command_lines(pid: int) -> str:
    """Of a process and all that it started."""
    mine = psutil.Process(pid)
    return "\n".join(" ".join(one.cmdline()) for one in (mine, *mine.children(recursive=True)))


def environment(**settings: str) -> dict[str, str]:
    """These settings and no other."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("ASHARE_")}
    return kept | {"PYTHONPATH": str(Path(__file__).parents[2]), "PYTHONUNBUFFERED": "1"} | settings


def kept(folder: Path, name: str, secret: str) -> str:
    """A file that holds a secret."""
    path = folder / f"given-{name}"
    path.write_text(f"{secret}\n")
    path.chmod(0o600)
    return str(path)


class Parrot(http.server.BaseHTTPRequestHandler):
    """A server that repeats all that it is told, in the manner that its port was given."""

    protocol_version = "HTTP/1.0"

    def answer(self) -> None:
        """Whatever is asked."""
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        known = self.headers.get("Authorization", "")
        if known.startswith("Basic "):
            known += " " + base64.b64decode(known[6:]).decode()
        said = f"{self.path} {known} {body.decode(errors='replace')}\x1b[2J\nforged"
        how = self.server.how  # type: ignore[attr-defined]
        text = json.dumps({"error": said, "message": said}) if how != "garbage" else said
        self.send_response({"error": 500, "refuse": 401, "redirect": 302, "bad": 400}.get(how, 200))
        self.send_header("Location", f"http://127.0.0.1:1/{quote(said)}")
        self.end_headers()
        self.wfile.write(text.encode())

    do_GET = do_POST = answer  # noqa: N815 - the library's names

    def log_message(self, *_: object) -> None:
        """Not on the tests' terminal."""


@pytest.fixture(scope="module")
def parrots() -> Iterator[dict[str, int]]:
    """A parrot of each manner; their ports."""
    made = {}
    for how in ("error", "refuse", "redirect", "bad", "garbage", "nonsense"):
        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Parrot)
        server.how = how  # type: ignore[attr-defined]
        threading.Thread(target=server.serve_forever, daemon=True).start()
        made[how] = server
    yield {how: server.server_address[1] for how, server in made.items()}
    for server in made.values():
        server.shutdown()
        server.server_close()


@dataclass
class Failing:
    """A command that can't do what it is asked.

    Attributes:
        given: settings; ``{…}`` stands for a port or a file.
    """

    arguments: str
    given: dict[str, str] = field(default_factory=dict)


QUERY = "store query --no-archive SELECT+1"
STORED = {"ASHARE_STORE_PASSWORD_FILE": "{password}"}
FAILING = [
    *(
        Failing(QUERY, {"ASHARE_STORE": address})
        for address in (
            f"questdb://admin:{USER_INFO}@127.0.0.1:1",
            f"questdb://admin:12/{USER_INFO}@127.0.0.1:1",
            f"questdb://admin:12#{USER_INFO}@127.0.0.1:1",
            f"questdb://admin:x?{USER_INFO}@127.0.0.1:1",
            f"questdb://{USER_INFO}@127.0.0.1:1",
            f"questdb://127.0.0.1:1?password={IN_QUERY}",
            f"questdb://127.0.0.1:1?{IN_QUERY}",
            f"questdb://127.0.0.1:1/{IN_PATH}",
            f"questdb://127.0.0.1:{IN_PATH}",
            f"http://admin:{USER_INFO}@127.0.0.1:1/{IN_PATH}?key={IN_QUERY}",
            f"sqlite://admin:{USER_INFO}@127.0.0.1:1",
            f"admin:{USER_INFO}@127.0.0.1:1",
        )
    ),
    Failing(f"store query --store questdb://admin:{USER_INFO}@h SELECT+1"),
    *(
        Failing(QUERY, {"ASHARE_STORE": "questdb://127.0.0.1:{" + how + "}", **STORED})
        for how in ("error", "refuse", "redirect", "bad", "garbage", "nonsense", "away", "questdb")
    ),
    *(
        Failing(QUERY, {"ASHARE_STORE": "questdb://127.0.0.1:{away}", "ASHARE_STORE_PASSWORD_FILE": "{" + file + "}"})
        for file in ("lines", "binary", "folder")
    ),
    Failing(f"{QUERY}", {"ASHARE_STORE": "sqlite:///nothing", **STORED}),
    Failing("archive --from-store questdb://127.0.0.1:{error}", STORED),
    Failing("archive --from-store questdb://127.0.0.1:{questdb}", STORED),
    Failing(f"archive --from-store questdb://admin:{USER_INFO}@127.0.0.1:1"),
    Failing(f"{QUERY.replace('--no-archive ', '')} --archive {{folder}}", {"ASHARE_STORE": f"questdb://a:{USER_INFO}@h"}),
    Failing("process", {"ASHARE_STORE": f"questdb://admin:{USER_INFO}@127.0.0.1:1"}),
    Failing("process", {"ASHARE_WEB_URL": f"http://admin:{USER_INFO}@127.0.0.1:1"}),
    Failing("process", {"ASHARE_WEB_URL": f"http://127.0.0.1:1/{IN_PATH}?key={IN_QUERY}"}),
    Failing("process", {"ASHARE_PEER_SECRET": PEERS, "ASHARE_PEER_SECRET_FILE": "{peers}"}),
    Failing("process", {"ASHARE_PEER_SECRET_FILE": "{lines}"}),
    Failing(
        "process", {"ASHARE_PEER_SECRET_FILE": "{peers}", "ASHARE_STORE": "questdb://127.0.0.1:{away}", **STORED}
    ),
    *(
        Failing(command, {"ASHARE_KAFKA_BOOTSTRAP": f"admin:{USER_INFO}@127.0.0.1:1"})
        for command in (
            "tail ticks", "threshold show", "acknowledge", "replay ticks", "archive", "process", "topics describe",
            "produce --symbols 600519",
        )
    ),
    Failing("replay ticks --serve 0", {"ASHARE_KAFKA_BOOTSTRAP": "127.0.0.1:{away}", "ASHARE_FEED_TOKEN": TOKEN}),
    Failing(f"snapshot 600519 --worker http://admin:{USER_INFO}@127.0.0.1:{{error}}"),
    Failing(f"snapshot 600519 --worker http://127.0.0.1:{{error}}/{IN_PATH}"),
    Failing(f"snapshot 600519 --worker http://127.0.0.1:{{away}}/x?key={IN_QUERY}"),
    *(
        Failing("watchlist add 600519 --http-port {" + how + "}", {"ASHARE_FEED_HTTP_TOKEN_FILE": "{token}"})
        for how in ("error", "refuse", "redirect", "bad", "garbage", "nonsense", "away")
    ),
    Failing("watchlist show --http-port {away}", {"ASHARE_FEED_HTTP_TOKEN": TOKEN, "ASHARE_FEED_HTTP_TOKEN_FILE": "{token}"}),
    Failing(f"watchlist show --http-port {{refuse}} --http-token {TOKEN}"),
    Failing("simulate --port {error}", {"ASHARE_FEED_TOKEN_FILE": "{token}"}),
]  # fmt: skip


def test_a_command_that_fails_shows_no_secret(
    parrots: dict[str, int], questdb: QuestDB, kafka: KafkaBroker, tmp_path: Path
) -> None:
    """Wherever it was given: in an address that is refused, in a file; and whatever a server answers."""
    (tmp_path / "given-lines").write_text(f"{PASSWORD}\n{TOKEN}\n")
    (tmp_path / "given-binary").write_bytes(b"\xff\xfe\xfa" + PASSWORD.encode() + b"\xa1")
    (tmp_path / "folder").mkdir()
    places: dict[str, object] = {
        **parrots, "away": free_port(), "questdb": questdb.port, "folder": tmp_path / "folder",
        "password": kept(tmp_path, "password", PASSWORD), "token": kept(tmp_path, "token", TOKEN),
        "peers": kept(tmp_path, "peers", PEERS), "lines": tmp_path / "given-lines", "binary": tmp_path / "given-binary",
    }  # fmt: skip

    def run(one: Failing) -> str | None:
        """What is wrong with what it leaves."""
        words = [word.format(**places).replace("+", " ") for word in one.arguments.split()]
        given = {name: value.format(**places) for name, value in one.given.items()}
        if words[0] in {"process", "replay", "archive"}:
            given = {"ASHARE_KAFKA_BOOTSTRAP": f"127.0.0.1:{places['away']}"} | given
        began = time.monotonic()
        done = subprocess.run(
            [*ASHARE, *words], cwd=tmp_path, env=environment(**given), capture_output=True, timeout=100, check=False,
        )  # fmt: skip
        print(round(time.monotonic() - began, 1), one)
        written = (done.stdout + done.stderr).decode()
        wrong = [*traces(written), *(["an escape"] if "\x1b" in written else [])]
        wrong += ["a traceback"] if "Traceback" in written else []
        return f"{one}: {wrong}, exit {done.returncode}: {written[-500:]}" if wrong or not done.returncode else None

    with ThreadPoolExecutor(4) as pool:
        wrong = [wrong for wrong in pool.map(run, FAILING) if wrong]
    assert not wrong, "\n\n".join(wrong)
    assert traced(tmp_path) == []
    assert traced(questdb.data.path, but="password") == []
    assert questdb.process is not None
    assert kafka.process is not None
    password = (questdb.data.path / "password").read_text().strip()
    assert traces(command_lines(questdb.process.pid) + command_lines(kafka.process.pid), password) == []
