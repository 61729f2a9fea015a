"""A whole run with logins, tokens and TLS leaves no secret behind: in no log, record, page, process list or file."""

from __future__ import annotations

import asyncio
import json
import os
import stat
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from pathlib import Path

import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition

from deploy.embedded.server import free_port
from deploy.local import stack as local
from deploy.local.part import Part
from deploy.local.stack import Plan, Stack

pytestmark = pytest.mark.timeout(400)
FEED, HTTP, WEB, PEERS = "feed-t0ken-7f3a9c", "http-t0ken-51d2e8", "web-t0ken-c40b77", "peer-s3cret-9e61aa"
TICKS = 500


class Guarded(Stack):
    """A stack whose parts have every secret that there is, each in a file."""

    def __init__(self, plan: Plan, given: Path) -> None:
        """Nothing is started; the secrets' files lie in a folder."""
        super().__init__(plan)
        self._files = {}
        for name, secret in {"feed": FEED, "http": HTTP, "web": WEB, "peers": PEERS}.items():
            self._files[name] = str(given / name)
            (given / name).write_text(f"{secret}\n")
            (given / name).chmod(0o600)

    def _begin(self, name: str, *arguments: str, environment: Mapping[str, str] | None = None) -> Part:
        feed = {"ASHARE_FEED_TOKEN_FILE": self._files["feed"]}
        of_part = {
            "market": feed,
            "producer": feed | {"ASHARE_FEED_HTTP_TOKEN_FILE": self._files["http"]},
            "worker": {
                "ASHARE_WEB_TOKEN_FILE": self._files["web"],
                "ASHARE_PEER_SECRET_FILE": self._files["peers"],
            },
        }
        more = of_part.get(name.split(maxsplit=1)[0], {})
        return super()._begin(name, *arguments, environment=dict(environment or {}) | more)


def page(url: str, token: str | None = None) -> str:
    """What is answered, whatever it is, with its headers."""
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    asked = urllib.request.Request(url, headers=headers)  # noqa: S310 - of this machine
    try:
        with urllib.request.urlopen(asked, timeout=10) as answer:  # noqa: S310 - of this machine
            return f"{answer.headers}{answer.read().decode()}"
    except urllib.error.HTTPError as error:
        with error:
            return f"{error.headers}{error.read().decode()}"


def stored(url: str) -> int:
    """Of a worker's own count."""
    headers = {"Authorization": f"Bearer {WEB}"}
    asked = urllib.request.Request(f"{url}/status", headers=headers)  # noqa: S310 - of this machine
    with urllib.request.urlopen(asked, timeout=10) as answer:  # noqa: S310 - of this machine
        return int(json.load(answer)["stored"])


def process_list() -> str:
    """Every command line of this machine, and the environment of what this process has started."""
    lines = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            lines.append((process / "cmdline").read_bytes())
        except OSError:
            continue  # it has ended
    return b"\n".join(lines).decode("latin-1")


async def records(stack: Stack) -> str:
    """Every record of every topic, Kafka's own included: key, value and headers."""
    consumer = AIOKafkaConsumer(
        bootstrap_servers=stack.bootstrap, auto_offset_reset="earliest", exclude_internal_topics=False,
        **stack.client_options(),
    )  # fmt: skip
    await consumer.start()
    try:
        cluster = await consumer._client.fetch_all_metadata()
        places = [
            TopicPartition(topic, partition)
            for topic in cluster.topics(exclude_internal_topics=False)
            for partition in cluster.partitions_for_topic(topic) or ()
        ]
        consumer.assign(places)
        ends = await consumer.end_offsets(places)
        found: list[str] = []
        async with asyncio.timeout(60):
            while any([await consumer.position(place) < ends[place] for place in places]):
                for some in (await consumer.getmany(timeout_ms=300)).values():
                    found += [f"{record.key!r} {record.value!r} {record.headers!r}" for record in some]
        return "\n".join(found)
    finally:
        await consumer.stop()


def test_a_run_with_every_secret_leaves_none_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Kafka's passwords and keys, the feed's token, both HTTP tokens and the workers' own; nor does a failure."""
    monkeypatch.setattr(local, "groups_of", lambda _: [])  # asks without the token
    given, data = tmp_path / "given", tmp_path / "data"
    given.mkdir()
    before = os.umask(0o077)
    try:
        with Guarded(Plan(data, ["--rate", "200"], secure=True), given) as stack:
            stack.start()
            port = free_port()
            stack.feed("--http-port", str(port))
            until = time.monotonic() + 120
            while stored(stack.workers[0]) < TICKS:
                stack.check()
                assert time.monotonic() < until
                time.sleep(0.2)
            secrets = {FEED, HTTP, WEB, PEERS}
            secure = data / "kafka" / "secure"
            secrets |= {path.read_text().strip() for path in secure.glob("*.password")}
            secrets |= set((secure / "broker.pem").read_text().partition("PRIVATE KEY-----")[2].splitlines()[1:3])
            assert len(secrets) > 8
            shown = {
                f"{url}{path} {token}": page(url + path, token)
                for url, paths in (
                    (f"http://127.0.0.1:{port}", ("/health", "/metrics", "/watchlist", "/nowhere")),
                    (stack.workers[0], ("/health", "/metrics", "/status", "/snapshots", "/nowhere")),
                )
                for path in paths
                for token in (None, "wrong", HTTP, WEB)
            }
            assert sum("ashare_" in text for text in shown.values()) >= 2, "metrics are among the pages"
            shown["process list"] = process_list()
            shown["records"] = asyncio.run(records(stack))
            assert shown["records"].count("\n") > TICKS
            shown["failure"] = _failed(stack, given)
    finally:
        os.umask(before)
    for path in data.rglob("*"):
        if path.is_file() and path.parent != secure:
            shown[str(path)] = path.read_text("latin-1")
            assert not stat.S_IMODE(path.stat().st_mode) & 0o077, path
    assert sum(name.endswith(".log") for name in shown) > 10
    leaked = [(name, secret[:4]) for name, text in shown.items() for secret in secrets if secret in text]
    assert leaked == []


def _failed(stack: Stack, given: Path) -> str:
    """What a command says whose password is another user's."""
    login = stack.login("worker") | {"ASHARE_KAFKA_PASSWORD_FILE": str(given / "feed")}
    done = subprocess.run(
        [sys.executable, "-P", "-m", "cli", "tail", "ticks", "--bootstrap", stack.bootstrap],
        env=os.environ | login, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 2
    assert "refuses user 'worker'" in done.stderr
    return done.stdout + done.stderr
