"""Every command of README.md and of the pages that it leads to is typed, and does what it says.

One stack stands where the reader's demo would: the README's addresses, ports and vendors are those of running parts and
simulators. What runs until Ctrl-C is ended once it has said or done what it is for.
"""

from __future__ import annotations

import contextlib
import gzip
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass, field
from http import HTTPStatus
from pathlib import Path
from typing import IO

import pytest

from deploy.embedded.server import free_port
from deploy.local.part import Part
from deploy.local.stack import Plan, Stack
from tests.cli.test_readme import LINES, PROGRAMS, ROOT

PATIENCE = 100.0
pytestmark = pytest.mark.timeout(400)  # the first waits for everything to start
_ASHARE = [sys.executable, "-P", "-m", "cli"]
_VENDORS = ("alltick", "infoway", "binance")
_TYPED = [line for line in dict.fromkeys(LINES) if line.startswith("ashare ")]
_VERIFIED = [line for line in _TYPED if line.startswith("ashare verify")]


@dataclass
class Desk:
    """Where the commands are typed: a folder with what the README supposes, and what runs beside it."""

    folder: Path
    stack: Stack
    vendors: dict[str, str] = field(default_factory=dict)

    def environment(self, line: str) -> dict[str, str]:
        """What the reader has exported; and the vendors' addresses, which lead to simulators."""
        mine = {name: value for name, value in os.environ.items() if not name.startswith("ASHARE_")}
        mine |= {"ASHARE_KAFKA_BOOTSTRAP": self.stack.bootstrap, "PYTHONUNBUFFERED": "1"}
        mine["PYTHONPATH"] = str(Path(__file__).parents[2])
        if "--feed" in line or "HOST" in line:
            mine["ASHARE_FEED_TOKEN_FILE"] = "token.txt"
        asked = [name for name in _VENDORS if re.search(rf"--(second-)?feed {name}\b", line)]
        if asked and not line.startswith("ashare simulate"):
            mine["ASHARE_FEED_URL"] = self.vendors[asked[0]]
            if len(asked) > 1:
                mine["ASHARE_FEED_SECOND_URL"] = self.vendors[asked[1]]
        return mine

    def typed(self, line: str) -> list[str]:
        """The line's words, with addresses and ports of what runs here."""
        market = self.stack.feed_url.removeprefix("ws://")
        for written, here in (
            ("HOST:8765", market),
            ("OTHER:8765", market),
            ("wss://feed.example/stock", self.stack.feed_url),
            ("ws://127.0.0.1:8765", self.stack.feed_url),
        ):
            line = line.replace(written, here)
        line = re.sub(r"(--(?:web-|http-)?port|--serve) \d+", lambda found: f"{found[1]} {free_port()}", line)
        line = re.sub(r"--minutes \d+", "--minutes 0.05", line)
        words = shlex.split(line, comments=True)[1:]
        if words[0] == "process":
            words += [] if "--web-port" in words else ["--web-port", str(free_port())]
            words = [f"sqlite:///{self.folder}/apart" if word.startswith("questdb://") else word for word in words]
        if words[0] == "snapshot":
            words += ["--worker", self.stack.workers[0]]
        if words[0] == "evaluate-feed":
            asked = [vendor for vendor in _VENDORS if vendor in words]
            words += [self.vendors[vendor] for vendor in asked]
        if words[:2] == ["archive", "--from-store"]:
            words[2] = self.stack.store_url
        return words


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    """The demo's stack, full of ticks, and a market for each vendor that the README names."""
    folder = tmp_path_factory.mktemp("readme")
    (folder / "token.txt").write_text("a-token-of-mine\n")
    (folder / "codes.txt").write_text("600519\n000001\n")
    opening = "2026-11-20 09:30:0"
    rows = "".join(f"600519,{opening}{number},1500.0{number},100\n" for number in range(3))
    (folder / "ticks.csv").write_text(f"code,time,price,volume\n{rows}")
    (folder / "ticks.csv.gz").write_bytes(gzip.compress((folder / "ticks.csv").read_bytes()))
    shutil.copy(ROOT / "examples/agent/limit_alerts.py", folder)
    (folder / "frames.jsonl").write_text('{"ticks":[{"code":"600519","time":1795138200000,"price":1500.01}]}\n')
    market = ["--rate", "100", "--codes", "300"]
    with Stack(Plan(folder / "data/demo", market)) as stack, contextlib.ExitStack() as open_parts:
        desk, parts = Desk(folder, stack), {}
        for vendor in _VENDORS:
            options = ["simulate", "--feed", vendor, "--port", "0", *market, "--token", "a-token-of-mine"]
            parts[vendor] = part = Part(vendor, options, folder / f"{vendor}.log")
            open_parts.callback(part.end, 5.0)
            open_parts.callback(part.ask_to_end)
        stack.start()
        stack.feed()
        run(desk, ["topics", "apply", "--agents", "limit_alerts:LimitAlerts"])
        for vendor, part in parts.items():
            until = time.monotonic() + PATIENCE
            while not (said := re.search(r"listening on (ws://\S+)", part.output())):
                part.check()
                assert time.monotonic() < until, part.output()
                time.sleep(0.05)
            desk.vendors[vendor] = said[1]
        run(desk, ["tail", "price-changes", "--from", "earliest", "--limit", "5"])
        until = time.monotonic() + 2 * PATIENCE
        while not list((folder / "data/demo/ticks").glob("*.sqlite")):
            assert time.monotonic() < until
            time.sleep(0.1)
        settle(desk)
        yield desk


def settle(desk: Desk) -> None:
    """Wait until the demo's worker answers for snapshots; one that joined its groups and left moved its partitions."""
    until = time.monotonic() + PATIENCE
    for code in ("600519", "000001"):
        while not answered(f"{desk.stack.workers[0]}/snapshots/{code}"):
            assert time.monotonic() < until
            time.sleep(0.1)


def run(desk: Desk, words: list[str], line: str = "") -> str:
    """A command to its end; what it wrote."""
    done = subprocess.run(
        [*_ASHARE, *words],
        cwd=desk.folder,
        env=desk.environment(line),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=100,
        check=False,
    )
    # A replay of a day that this machine has not seen says so, and exits with 1.
    nothing = words[0] == "replay" and "nothing in this range" in done.stdout
    assert done.returncode == int(nothing), done.stdout
    return done.stdout


STAYING = {
    # what a command that stays is for, as it says it itself
    "produce": r"subscribed|connected to",
    "simulate": r"listening on|finished: ",
    "kafka": r"kafka ready on",
    "questdb": r"questdb ready on",
    "process": "its HTTP answers",
    "tail": r"\d\d:\d\d:\d\d",
    "replay --serve": r"listening on ws://",
}


def staying(words: list[str]) -> str | None:
    """What a command says that stays until Ctrl-C; ``None`` for one that ends by itself."""
    if words[0] == "replay":
        return STAYING["replay --serve"] if "--serve" in words else None
    return STAYING.get(words[0])


@pytest.mark.parametrize("line", [line for line in _TYPED if line not in _VERIFIED])
def test_a_command_of_the_readme_does_what_it_says(desk: Desk, line: str) -> None:
    """It ends with 0; or it stays, says that it is there, and ends with 0 after SIGTERM."""
    words = desk.typed(line)
    (desk.folder / "opening.parquet").unlink(missing_ok=True)
    if words[0] == "archive" and len(words) > 1 and words[1] in {"list", "verify"}:
        run(desk, ["archive", "--include-today"])
    if words[0] == "snapshot":
        settle(desk)
    expected = staying(words)
    if expected is None:
        run(desk, words, line)
        return
    with child([*_ASHARE, *words], desk, line) as (process, output):
        until = time.monotonic() + PATIENCE
        while not (answers(words) if words[0] == "process" else re.search(expected, said(output))):
            assert process.poll() is None, said(output)
            assert time.monotonic() < until, said(output)
            time.sleep(0.05)
        process.send_signal(signal.SIGTERM)
        code = process.wait(30)
        stopped = {0, -signal.SIGTERM} if words[0] == "tail" else {0, 143} if words[0] == "replay" else {0}
        assert code in stopped, said(output)


@pytest.mark.parametrize("line", [line for line in _VERIFIED if re.search("questdb|misbehave|partitions", line)])
def test_a_check_of_the_readme_is_passed(desk: Desk, line: str) -> None:
    """For a few seconds and at a small rate; the other kinds of check are run in full in tests/selfcheck."""
    line = re.sub(r"--seconds \d+", "", line.partition("#")[0])
    line = re.sub(r"--rate \d+", "--rate 500", line)
    run(desk, [*shlex.split(line)[1:], "--seconds", "4"], line)


@pytest.mark.parametrize("code", PROGRAMS)
def test_a_program_of_the_readme_prints_what_comes(desk: Desk, code: str) -> None:
    """As it stands there, on the demo's broker; a filter that lets little through is left out."""
    code = code.replace("127.0.0.1:9092", desk.stack.bootstrap).replace('boards="STAR", min_change=0.05, ', "")
    with child([sys.executable, "-u", "-c", code], desk, "") as (process, output):
        until = time.monotonic() + PATIENCE
        while not re.search(r"\d+\.\d", said(output)):
            assert process.poll() is None, said(output)
            assert time.monotonic() < until, said(output)
            time.sleep(0.05)


def test_kcat_reads_what_comes(desk: Desk) -> None:
    """The line as it stands there, but for the broker, and with an end."""
    kcat = shutil.which("kcat")
    if kcat is None:
        pytest.skip("kcat is not installed")
    [line] = [line for line in LINES if line.startswith("kcat ") and "price-changes" in line]
    words = shlex.split(line.replace("127.0.0.1:9092", desk.stack.bootstrap))[1:]
    done = subprocess.run([kcat, *words, "-c", "3"], capture_output=True, text=True, timeout=PATIENCE, check=False)
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.splitlines()) == 3


def answers(words: list[str]) -> bool:
    """Whether a worker's HTTP says what it does; well or not, as it may have much to restore."""
    return answered(f"http://127.0.0.1:{words[words.index('--web-port') + 1]}/status")


def answered(place: str) -> bool:
    """Whether an address of ours answers with 200."""
    try:
        with urllib.request.urlopen(place, timeout=5) as answer:  # noqa: S310 - http:// of our own making
            return bool(answer.status == HTTPStatus.OK)
    except OSError:
        return False


def said(output: IO[bytes]) -> str:
    output.seek(0)
    return output.read().decode("utf-8", "replace")


@contextlib.contextmanager
def child(command: list[str], desk: Desk, line: str) -> Iterator[tuple[subprocess.Popen[bytes], IO[bytes]]]:
    """A program beside the test, gone after it; and what it writes."""
    import tempfile

    with tempfile.TemporaryFile() as output:
        process = subprocess.Popen(
            command, cwd=desk.folder, env=desk.environment(line), stdout=output, stderr=output, start_new_session=True
        )
        try:
            yield process, output
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGTERM)
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(10)
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
