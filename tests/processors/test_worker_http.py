"""A worker's HTTP, on real workers: from memory, routed to the owner, honest while it can't answer."""

from __future__ import annotations

import asyncio
import json
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from broker import admin
from broker.publisher import Publisher
from deploy.embedded import KafkaBroker, free_port
from schemas import encode
from schemas.topics import TICKS, partition_of, topics
from tests.jobs.chunks import tick

CODES = [f"{n}" for n in range(605_000, 605_040)]
SOURCE = "http-test"


class Served:
    """One ``ashare process`` on a port of its own."""

    def __init__(self, bootstrap: str, directory: Path, *more: str) -> None:
        """Started at once."""
        self.port = free_port()
        command = [
            *(sys.executable, "-m", "cli", "process", "--bootstrap", bootstrap, "--web-port", str(self.port)),
            *more,
        ]
        with (directory / f"{self.port}.log").open("wb") as log:
            self.process = subprocess.Popen(command, stdout=log, stderr=log)

    def get(self, path: str) -> tuple[int, Any, dict[str, str]]:
        """Status, decoded body and headers; status 0 while nobody listens."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=10) as answer:
                return answer.status, json.loads(answer.read()), dict(answer.headers)
        except urllib.error.HTTPError as refusal:
            with refusal:
                return refusal.code, json.loads(refusal.read()), dict(refusal.headers)
        except OSError:
            return 0, None, {}

    def until(self, path: str, holds: Callable[[int, Any], bool], seconds: float = 60.0) -> Any:
        """Ask until the answer is as wanted."""
        deadline = time.monotonic() + seconds
        while True:
            status, body, _ = self.get(path)
            if holds(status, body):
                return body
            assert self.process.poll() is None, f"the worker ended with {self.process.returncode}"
            assert time.monotonic() < deadline, f"{path}: {status} {body}"
            time.sleep(0.1)

    def end(self) -> int:
        """SIGTERM; the exit code."""
        self.process.terminate()
        return self.process.wait(30)


async def _publish(bootstrap: str) -> None:
    publisher = Publisher(bootstrap, client_id="http-test")
    await publisher.start(TICKS)
    run = time.time_ns() // 1_000_000
    for n, code in enumerate(CODES * 3, 1):
        # Of now: a broker deletes what is older than the topic's retention, while it is read.
        sent = tick(n, 10 + n / 100, code=code, run=run, source=SOURCE, time=run + n, received=(run + n) * 1000)
        queue = publisher.queue(TICKS, partition_of(code, topics()[TICKS].partitions))
        queue.add(code.encode(), encode(sent), sent.received // 1000)
    await publisher.stop()


@pytest.fixture(scope="module")
def bootstrap(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A broker of these tests' own: what workers answer depends on every tick in it."""
    with KafkaBroker(tmp_path_factory.mktemp("kafka")) as broker:
        asyncio.run(admin.apply(broker.bootstrap))
        yield broker.bootstrap


@pytest.fixture(scope="module")
def pair(bootstrap: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Served]]:
    """Two workers of the snapshots agent that share the partitions; every code's three ticks are applied."""
    directory = tmp_path_factory.mktemp("workers")
    asyncio.run(_publish(bootstrap))
    workers = [Served(bootstrap, directory, "--agents", "snapshots") for _ in range(2)]
    try:
        for worker in workers:
            worker.until("/status", lambda status, body: status == 200 and body["recovered"])
        workers[0].until("/status", lambda _, body: body["recovered"] and len(body["lag"]) == 6)
        for code in CODES:
            workers[0].until(f"/snapshots/{code}", lambda status, body: status == 200 and body["ticks"] == 3)
        yield workers
    finally:
        for worker in workers:
            worker.process.kill()
            worker.process.wait()


def test_each_worker_answers_every_code_whoever_owns_it(pair: list[Served]) -> None:
    """Half of the codes belong to the other worker: it is asked, and the answers are the same."""
    for code in CODES:
        answers = [worker.get(f"/snapshots/{code}") for worker in pair]
        assert [status for status, _, _ in answers] == [200, 200]
        assert answers[0][1] | {"age_ms": 0} == answers[1][1] | {"age_ms": 0}
        assert all(0 <= body["age_ms"] < 60_000 for _, body, _ in answers)
        assert answers[0][1]["code"] == code


def test_a_list_of_codes_comes_in_its_order_without_the_unknown(pair: list[Served]) -> None:
    """Codes of both workers are put together; one that was never seen is left out."""
    wanted = [CODES[5], "688981", CODES[0], CODES[17]]
    status, body, _ = pair[0].get(f"/snapshots?codes={','.join(wanted)}")
    assert status == 200
    assert [snapshot["code"] for snapshot in body["snapshots"]] == [CODES[5], CODES[0], CODES[17]]


def test_all_snapshots_are_those_of_all_workers(pair: list[Served]) -> None:
    """The stream holds each code once, from either worker."""
    for worker in pair:
        status, body, _ = worker.get("/snapshots")
        codes = [snapshot["code"] for snapshot in body["snapshots"]]
        assert status == 200
        assert len(codes) == len(set(codes))
        assert set(CODES) <= set(codes)


@pytest.mark.parametrize(
    ("path", "status", "error"),
    [
        ("/snapshots/688981", 404, "unknown_code"),
        ("/snapshots/12345", 400, "malformed_code"),
        ("/snapshots/abc", 400, "malformed_code"),
        ("/snapshots?codes=600519,oops", 400, "malformed_code"),
        ("/snapshots?codes=", 400, "bad_request"),
    ],
)
def test_what_is_wrong_with_a_request_is_said(pair: list[Served], path: str, status: int, error: str) -> None:
    """An unknown code is 404; a malformed one 400; the body names it."""
    got, body, _ = pair[0].get(path)
    assert (got, body["error"]) == (status, error)


def test_a_worker_without_the_agent_says_so(bootstrap: str, tmp_path: Path) -> None:
    """Without the snapshots agent there are none: 404 with the reason; health and status answer; SIGTERM gives 0."""
    worker = Served(bootstrap, tmp_path, "--agents", "changes")
    try:
        worker.until("/health", lambda status, _: status == 200)
        worker.until("/ready", lambda status, _: status == 200)
        status, body, _ = worker.get(f"/snapshots/{CODES[0]}")
        assert (status, body["error"]) == (404, "no_snapshots")
        assert list(worker.get("/status")[1]["agents"]) == ["changes"]
        assert worker.get("/status")[1]["groups"] == ["ashare-changes"]
        assert worker.get("/health")[1]["agents"] == {
            "changes": {"status": "ok", "complaints": {}, "group": "ashare-changes"}
        }
        assert worker.end() == 0
    finally:
        worker.process.kill()
        worker.process.wait()


def test_a_port_in_use_ends_the_worker_with_the_way_out(bootstrap: str) -> None:
    """Before it joins the group: exit code 2, one line that names the setting."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        command = [sys.executable, "-m", "cli", "process", "--bootstrap", bootstrap, "--agents", "changes"]
        ended = subprocess.run([*command, "--web-port", port], capture_output=True, text=True, timeout=60, check=False)
    assert ended.returncode == 2
    assert f"port {port} is in use: stop what listens there, or give another --web-port" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_while_a_worker_is_gone_its_codes_are_unavailable_and_then_taken_over(
    bootstrap: str, tmp_path: Path, pair: list[Served]
) -> None:
    """A killed owner: 503 with Retry-After, never 500 or a wrong answer, until the other has recovered its rows."""
    third = Served(bootstrap, tmp_path, "--agents", "snapshots")
    try:
        third.until("/status", lambda status, body: status == 200 and body["recovered"] and len(body["lag"]) == 4)
        third.process.kill()
        third.process.wait()
        seen = set[int]()
        deadline = time.monotonic() + 60
        whole = False
        while not (whole and 503 in seen) and time.monotonic() < deadline:
            answers = [pair[0].get(f"/snapshots/{code}") for code in CODES]
            for status, body, headers in answers:
                seen.add(status)
                assert status in {200, 503}, body
                assert status == 200 or headers["Retry-After"] == "1"
                assert status == 503 or body["ticks"] == 3
            whole = all(status == 200 for status, _, _ in answers)
            time.sleep(0.2)
        assert seen == {200, 503}
        assert whole
    finally:
        third.process.kill()
        third.process.wait()
