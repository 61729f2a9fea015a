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
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote, quote_plus

import psutil
import pytest
from aiokafka import AIOKafkaConsumer
from aiokafka.admin import AIOKafkaAdminClient
from websockets.asyncio.client import connect
from websockets.exceptions import WebSocketException

from ashare_client import ClientError, PriceChanges
from broker.publisher import Publisher
from deploy.embedded import KafkaBroker, QuestDB
from deploy.embedded.server import free_port
from deploy.local.stack import Plan, Stack
from schemas import encode
from schemas.topics import TICKS, partition_of, topics
from stores.urls import QuestDbUrl, parse
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


ALL = """
import io, json, logging, os, sys
from cli import main
from schemas import secrets

told, out = [], sys.stdout
for words, given in json.load(sys.stdin):
    secrets.forget()
    logging.root.handlers.clear()
    os.environ.update(given)
    sys.argv = ["ashare", *words]
    raw = io.BytesIO()
    sys.stdout = sys.stderr = io.TextIOWrapper(raw, encoding="utf-8", write_through=True)
    code = 0
    try:
        main.main()
    except SystemExit as end:
        code = end.code
    except BaseException as error:
        import traceback
        sys.stderr.write(traceback.format_exc())
    told.append((code, raw.getvalue().decode()))
    sys.stdout, sys.stderr = out, sys.__stderr__
    for name in given:
        del os.environ[name]
json.dump(told, out)
"""
"""Runs commands one after the other in one process, as each were the first: imports take most of the time."""
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
        for how in ("error", "refuse", "redirect", "bad", "garbage", "nonsense", "away")
    ),
    *(
        Failing(QUERY, {"ASHARE_STORE": "questdb://127.0.0.1:{away}", "ASHARE_STORE_PASSWORD_FILE": "{" + file + "}"})
        for file in ("lines", "binary", "folder")
    ),
    Failing(f"{QUERY}", {"ASHARE_STORE": "sqlite:///nothing", **STORED}),
    Failing("archive --from-store questdb://127.0.0.1:{error}", STORED),
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
            "tail ticks", "threshold show", "acknowledge", "replay ticks", "archive", "process",
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
    Failing(
        "watchlist show --http-port {away}",
        {"ASHARE_FEED_HTTP_TOKEN": TOKEN, "ASHARE_FEED_HTTP_TOKEN_FILE": "{token}"},
    ),
    Failing(f"watchlist show --http-port {{refuse}} --http-token {TOKEN}"),
    Failing("simulate --port {error}", {"ASHARE_FEED_TOKEN_FILE": "{token}"}),
]  # fmt: skip


@pytest.mark.timeout(180)
def test_a_command_that_fails_shows_no_secret(parrots: dict[str, int], tmp_path: Path) -> None:
    """Wherever it was given: in an address that is refused, in a file; and whatever a server answers."""
    (tmp_path / "given-lines").write_text(f"{PASSWORD}\n{TOKEN}\n")
    (tmp_path / "given-binary").write_bytes(b"\xff\xfe\xfa" + PASSWORD.encode() + b"\xa1")
    (tmp_path / "folder").mkdir()
    places: dict[str, object] = {
        **parrots, "away": free_port(), "folder": tmp_path / "folder",
        "password": kept(tmp_path, "password", PASSWORD), "token": kept(tmp_path, "token", TOKEN),
        "peers": kept(tmp_path, "peers", PEERS), "lines": tmp_path / "given-lines", "binary": tmp_path / "given-binary",
    }  # fmt: skip

    asked = []
    for one in FAILING:
        words = [word.format(**places).replace("+", " ") for word in one.arguments.split()]
        given = {name: value.format(**places) for name, value in one.given.items()}
        asked.append((words, {"ASHARE_KAFKA_BOOTSTRAP": f"127.0.0.1:{places['away']}"} | given))
    done = subprocess.run(
        [sys.executable, "-P", "-c", ALL], input=json.dumps(asked), cwd=tmp_path, env=environment(),
        capture_output=True, text=True, timeout=170, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    wrong = [
        f"{one}: {leaked}, exit {code}: {written[-800:]}"
        for one, (code, written) in zip(FAILING, found, strict=True)
        if (leaked := [*traces(written), *(word for word in ("\x1b", "Traceback") if word in written)]) or code == 0
    ]
    assert not wrong, "\n\n".join(wrong)
    assert traces(done.stderr) == []
    assert traced(tmp_path) == []


class Turning:
    """The road to a server, which leads to one that repeats all that it is told once it has ``turned``."""

    def __init__(self, port: int) -> None:
        """Towards a port."""
        self.turned = False
        self.port = 0
        self._target = port
        self._open: set[asyncio.StreamWriter] = set()

    async def start(self) -> asyncio.Server:
        """Listen."""
        server = await asyncio.start_server(self._through, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        return server

    def turn(self) -> None:
        """From now on."""
        self.turned = True
        for writer in self._open:
            writer.close()

    async def _through(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self.turned:
            heard = (await reader.readuntil(b"\r\n\r\n")).decode()
            known = base64.b64decode(heard.partition("Authorization: Basic ")[2].split("\r\n")[0]).decode()
            body = json.dumps({"error": "no", "message": f"{heard} {known} \x1b[2J"}).encode()
            writer.write(b"HTTP/1.1 500 no\r\nConnection: close\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
            await writer.drain()
            writer.close()
            return
        there, back = await asyncio.open_connection("127.0.0.1", self._target)
        self._open |= {writer, back}

        async def pump(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
            with contextlib.suppress(OSError):
                while data := await source.read(1 << 16):
                    sink.write(data)
                    await sink.drain()
            sink.close()

        await asyncio.gather(pump(reader, back), pump(there, writer))


def asked(port: int, path: str) -> tuple[int, str]:
    """Status and body; 0 while nobody answers."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        return answer.status, answer.read().decode()
    except OSError:
        return 0, ""
    finally:
        connection.close()


async def until(looked: Callable[[], bool], seconds: float = 100.0) -> None:
    """Look again and again."""
    deadline = time.monotonic() + seconds
    while not await asyncio.to_thread(looked):
        assert time.monotonic() < deadline
        await asyncio.sleep(0.2)


async def everything_in(bootstrap: str) -> str:
    """All records of all topics, and what the groups' members tell one another."""
    found: list[str] = []
    consumer = AIOKafkaConsumer(bootstrap_servers=bootstrap, auto_offset_reset="earliest", enable_auto_commit=False)
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await consumer.start()
    await admin.start()
    try:
        consumer.subscribe(sorted(name for name in await consumer.topics() if not name.startswith("__")))
        while not consumer.assignment():
            await consumer.getmany(timeout_ms=200)
        ends = await consumer.end_offsets(consumer.assignment())
        await consumer.seek_to_beginning()
        while any([await consumer.position(place) < end for place, end in ends.items()]):
            for batch in (await consumer.getmany(timeout_ms=500)).values():
                found += [f"{record.key!r} {record.headers!r} {record.value!r}" for record in batch]
        groups = [name for name, _ in await admin.list_consumer_groups()]
        # One by one: aiokafka reads an answer about several groups wrongly.
        found += [repr(await admin.describe_consumer_groups([name])) for name in groups]
    finally:
        await consumer.stop()
        await admin.close()
    return "\n".join(found)


async def send_a_tick(bootstrap: str, number: int) -> None:
    """Into the topic of ticks, as a producer does."""
    publisher = Publisher(bootstrap, client_id="secrets-test")
    await publisher.start(TICKS)
    now = time.time_ns() // 1_000_000
    sent = tick(number, code="600519", source="secrets", run=now, time=now, received=now * 1000)
    queue = publisher.queue(TICKS, partition_of("600519", topics()[TICKS].partitions))
    queue.add(b"600519", encode(sent), now)
    await publisher.stop()


@pytest.mark.timeout(300)
async def test_a_worker_and_its_servers_leave_no_secret_behind(
    bootstrap: str, kafka: KafkaBroker, questdb: QuestDB, tmp_path: Path
) -> None:
    """In log, pages, records, group, files and lists of processes, though QuestDB's port repeats what it is told."""
    url = parse(questdb.url)
    assert isinstance(url, QuestDbUrl)
    password = str(url.password)
    road = Turning(questdb.port)
    server = await road.start()
    port = free_port()
    given = environment(
        ASHARE_KAFKA_BOOTSTRAP=bootstrap,
        ASHARE_STORE=f"questdb://127.0.0.1:{road.port}",
        ASHARE_STORE_PASSWORD_FILE=kept(tmp_path, "password", password),
        ASHARE_PEER_SECRET_FILE=kept(tmp_path, "peers", PEERS),
        ASHARE_WEB_PORT=str(port),
    )
    log = tmp_path / "log"
    log.touch(0o600)
    with log.open("wb") as output:
        worker = await asyncio.create_subprocess_exec(
            *ASHARE, "process", cwd=tmp_path, env=given, stdout=output, stderr=output
        )
    try:
        await until(lambda: asked(port, "/health")[0] == 200)
        shown = await asyncio.to_thread(command_lines, worker.pid)
        road.turn()
        await send_a_tick(bootstrap, 1)
        await until(lambda: "store" in str(asked(port, "/health")[1]))
        pages = "".join([str(asked(port, path)) for path in ("/health", "/status", "/snapshots", "/snapshots/x")])
        left = await everything_in(bootstrap)
    finally:
        worker.terminate()
        try:
            await asyncio.wait_for(worker.wait(), 60)
        except TimeoutError:
            worker.kill()
            await worker.wait()
        server.close()
    written = log.read_text()
    assert "did not take a write" in written
    assert "\x1b" not in written
    for what in (shown, pages, left, written):
        assert traces(what, password) == []
    assert traced(tmp_path, password) == []
    wrong = parse(
        questdb.url.replace(questdb.address, f"{questdb.address}").partition("?")[0]
        + f"?password_file={kept(tmp_path, 'wrong', PASSWORD)}"
    )
    assert isinstance(wrong, QuestDbUrl)
    connection = http.client.HTTPConnection("127.0.0.1", questdb.port, timeout=10)
    connection.request("GET", f"/exec?query=SELECT+1&key={IN_QUERY}", headers=dict(wrong.headers))
    assert connection.getresponse().status in {401, 403}
    connection.close()
    assert questdb.process is not None
    assert kafka.process is not None
    for running in (questdb, kafka):
        assert running.process is not None
        assert traces(command_lines(running.process.pid), password) == []
    logs = [
        path for path in questdb.data.path.rglob("*") if path.is_file() and path.suffix in {".log", ".conf", ".txt"}
    ]
    logs += [*(questdb.data.path / "log").iterdir(), kafka.log]
    assert [path for path in logs if traces(path.read_text("latin-1"), password)] == []


@pytest.mark.parametrize("feed", ["post", "itick", "infoway"])
async def test_a_simulator_leaves_no_secret_behind(feed: str, tmp_path: Path) -> None:
    """Neither its own token nor what clients send, in query, header, path and message: in log, ledger and answers."""
    given = environment(ASHARE_FEED_TOKEN_FILE=kept(tmp_path, "token", TOKEN))
    process = await asyncio.create_subprocess_exec(
        *ASHARE, "simulate", "--feed", feed, "--port", "0", "--rate", "100", "--ledger", "ledger", "--market-page",
        "--misbehave", "kill", cwd=tmp_path, env=given,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip
    assert process.stdout is not None
    try:
        said = ""
        while "listening on " not in said:
            said += (line := await process.stdout.readline()).decode()
            assert line, said
        url = said.partition("listening on ")[2].split()[0]
        shown = command_lines(process.pid)
        heard = ""
        for token, path in ((TOKEN, ""), (IN_QUERY, f"/{IN_PATH}")):
            with contextlib.suppress(WebSocketException, OSError, TimeoutError):
                query = f"?token={quote(token, safe='')}&apikey={quote(token, safe='')}"
                headers = {"token": token, "Authorization": f"Bearer {token}"}
                async with connect(f"{url}{path}{query}", additional_headers=headers) as client:
                    await client.send(json.dumps({"action": "subscribe", "symbols": "*", "token": token}))
                    await client.send(f"not JSON {token}")
                    async with asyncio.timeout(1):
                        while True:
                            heard += str(await client.recv())
    finally:
        process.terminate()
        said += (await process.stdout.read()).decode()
        await process.wait()
    assert (traces(said), traces(shown), traces(heard)) == ([], [], [])
    assert await asyncio.to_thread(traced, tmp_path) == []


async def test_no_error_of_the_client_library_quotes_a_secret(caplog: pytest.LogCaptureFixture) -> None:
    """Of an address or of options, whatever is wrong with them; nor does the log."""
    away = f"127.0.0.1:{free_port()}"
    login = {"security_protocol": "SASL_PLAINTEXT", "sasl_plain_username": USER_INFO}
    for place, options in (
        (f"admin:{USER_INFO}@{away}", {}),
        (f"kafka://{away}/{IN_PATH}?key={IN_QUERY}", {}),
        (away, {**login, "sasl_mechanism": "PLAIN"}),
        (away, {**login, "sasl_mechanism": "SCRAM-SHA-256"}),
        (away, {**login, "sasl_mechanism": "NONSENSE"}),
        (away, {"security_protocol": "nonsense"}),
        (away, {"sasl_plain_passwort": TOKEN}),
    ):
        told = ""
        try:
            await PriceChanges(place, options={"sasl_plain_password": PASSWORD, **options}).open()
        except ClientError as error:
            chained: BaseException | None = error
            while chained is not None:
                told += f"{chained!r} {chained} "
                chained = chained.__cause__ or chained.__context__
        assert told
        assert traces(told + caplog.text) == []


def readable_by_others(place: Path) -> list[Path]:
    """The files that others can read: QuestDB sets the modes of its own, in a directory that nobody else can enter."""
    if place.is_file():
        return [place] if place.stat().st_mode & 0o004 else []
    if not place.stat().st_mode & 0o001:
        return []
    return [found for inside in place.iterdir() for found in readable_by_others(inside)]


@pytest.mark.timeout(240)
def test_the_stack_of_demo_and_verify_leaves_no_secret_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """QuestDB's password is in its file alone, and what the environment holds for other parts reaches none."""
    monkeypatch.setenv("ASHARE_FEED_TOKEN", TOKEN)
    monkeypatch.setenv("ASHARE_PEER_SECRET", PEERS)
    before = os.umask(0o077)
    try:
        with Stack(Plan(tmp_path / "data", ["--rate", "10"], store="questdb")) as stack:
            stack.start()
            password = (tmp_path / "data" / "questdb" / "password").read_text().strip()
            shown = command_lines(os.getpid())
            pages = "".join(str(asked(int(url.rpartition(":")[2]), "/status")) for url in stack.workers)
    finally:
        os.umask(before)
    assert "password_file=" in shown
    assert traces(shown + pages, password) == []
    files = [
        path
        for path in (tmp_path / "data").rglob("*")
        if path.is_file() and path.suffix in {".log", ".conf", ".properties"}
    ]
    assert len(files) > 4
    assert [path for path in files if traces(path.read_text("latin-1"), password)] == []
    assert readable_by_others(tmp_path / "data") == []
