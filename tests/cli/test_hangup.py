"""SIGHUP is SIGTERM to every part: the terminal that is closed, a session that ends."""

from __future__ import annotations

import os
import pty
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from deploy.embedded import free_port
from tests.cli.test_demo import children, remaining

ASHARE = [sys.executable, "-P", "-m", "cli"]
ENVIRONMENT = {name: value for name, value in os.environ.items() if not name.startswith("ASHARE_")} | {
    "PYTHONPATH": str(Path(__file__).parents[2]),
    "PYTHONUNBUFFERED": "1",
}

WAYS = {
    "by default": "",
    "signal.signal": "signal.signal(signal.SIGTERM, lambda *_: (print('told', flush=True), sys.exit(7)))",
}
LOOPS = {
    "asyncio": "asyncio.run(main())",
    "uvloop": "import uvloop; uvloop.run(main())",
}
WAITS = """
import asyncio, signal, sys, time
from cli import hangup
hangup.as_sigterm()
{way}
print("ready", flush=True)
for _ in range(600):
    time.sleep(0.05)
"""
AWAITS = """
import asyncio, signal, sys
from cli import hangup
hangup.as_sigterm()
async def main():
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, lambda: (print("told", flush=True), stop.set()))
    print("ready", flush=True)
    await stop.wait()
    await asyncio.sleep(0.5)
{loop}
"""


def hung_up(program: str, *, ignored: bool = False) -> tuple[int, list[str]]:
    """The exit code of a program that gets SIGHUP twice when it is ready, and what it said since."""
    command = [sys.executable, "-c", program]
    if ignored:
        command = ["sh", "-c", 'trap "" HUP; exec "$@"', "sh", *command]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=ENVIRONMENT) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        process.send_signal(signal.SIGHUP)
        time.sleep(0.2)
        process.send_signal(signal.SIGHUP)
        if ignored:
            time.sleep(0.3)
            process.kill()
        return process.wait(20), process.stdout.read().split()


@pytest.mark.parametrize(("way", "ends"), [("by default", (-signal.SIGTERM, [])), ("signal.signal", (7, ["told"]))])
def test_it_does_what_sigterm_does(way: str, ends: tuple[int, list[str]]) -> None:
    """Nothing in particular, or what a part has set up; and once, though a shell and the kernel both send it."""
    assert hung_up(WAITS.format(way=WAYS[way])) == ends


@pytest.mark.parametrize("loop", sorted(LOOPS))
def test_it_wakes_a_loop_that_sleeps(loop: str) -> None:
    """As SIGTERM does, whichever loop it is, and once."""
    assert hung_up(AWAITS.format(loop=LOOPS[loop])) == (0, ["told"])


def test_nohup_is_heeded() -> None:
    """Who had it ignored before wants the part to stay."""
    assert hung_up(WAITS.format(way=""), ignored=True) == (-signal.SIGKILL, [])


def in_terminal(command: list[str], folder: Path, ready: Callable[[str], bool], seconds: float) -> tuple[int, str]:
    """Run a command on a terminal of its own, close that when it is ready; its exit code and what it had shown."""
    side: int
    child, side = pty.fork()
    if child == 0:  # pragma: no cover - another program by then
        os.chdir(folder)
        os.execvpe(command[0], command, ENVIRONMENT)  # noqa: S606 - no shell is wanted
    shown = b""
    deadline = time.monotonic() + seconds
    while not ready(shown.decode(errors="replace")):
        assert time.monotonic() < deadline, shown
        shown += os.read(side, 65_536)
    before = children(child)
    os.close(side)
    while time.monotonic() < deadline:
        pid, status = os.waitpid(child, os.WNOHANG)
        if pid:
            assert not remaining(before)
            return os.waitstatus_to_exitcode(status), shown.decode()
        time.sleep(0.05)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    raise AssertionError("it went on")


def test_a_simulator_whose_terminal_is_closed_ends_in_order(tmp_path: Path) -> None:
    """With its ledger written to the end; what it still says goes nowhere, and breaks nothing."""
    command = [*ASHARE, "simulate", "--port", "0", "--seconds", "60", "--ledger", "l"]
    code, _ = in_terminal(command, tmp_path, lambda shown: "listening on" in shown, 60)
    assert code == 0
    assert (tmp_path / "l" / "finished.json").exists()


@pytest.mark.timeout(240)
def test_a_demo_whose_terminal_is_closed_takes_all_its_parts_along(tmp_path: Path) -> None:
    """Kafka, worker and producer each told to end, though nothing can be shown any more."""
    command = [*ASHARE, "demo", "--data", "d", "--rate", "100"]
    code, _ = in_terminal(command, tmp_path, lambda shown: "stored" in shown and "in " in shown, 200)
    assert code == 0


def test_a_worker_ends_as_by_sigterm(bootstrap: str, tmp_path: Path) -> None:
    """With code 0, after their last commit and their last write."""
    port = free_port()
    command = [*ASHARE, "process", "--bootstrap", bootstrap, "--web-port", str(port), "--store", "sqlite:///ticks"]
    log = tmp_path / "log"
    with log.open("wb") as output:
        process = subprocess.Popen(command, cwd=tmp_path, stdout=output, stderr=output, env=ENVIRONMENT)
    try:
        deadline = time.monotonic() + 60
        while not served(port):
            assert time.monotonic() < deadline
            assert process.poll() is None, log.read_text()
            time.sleep(0.1)
        process.send_signal(signal.SIGHUP)
        assert process.wait(30) == 0, log.read_text()
    finally:
        process.kill()
        process.wait()


def served(port: int) -> bool:
    """Whether the worker says that it is well."""
    import urllib.error
    import urllib.request

    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=5) as answer:
            return bool(answer.status == 200)
    except (urllib.error.URLError, OSError):
        return False
