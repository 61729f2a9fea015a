"""A child on the leash ends with its starter, and only then."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import deploy.embedded

LEASH = Path(deploy.embedded.__file__).with_name("leash.py")

STARTER = """
import os, subprocess, sys, threading
read_end, write_end = os.pipe()
def start():
    child = subprocess.Popen([sys.executable, "-I", "-S", sys.argv[1], str(read_end), "/bin/sleep", "60"],
                             pass_fds=(read_end,), start_new_session=True)
    print(child.pid, flush=True)
thread = threading.Thread(target=start)  # the thread that starts a child may end before the process does
thread.start()
thread.join()
os.close(read_end)
sys.stdin.read()
"""


def gone(pid: int, seconds: float = 10.0) -> bool:
    """Whether a process is gone, or goes within the time; an unreaped one counts as gone."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        state = subprocess.run(
            ["/bin/ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True, check=False
        ).stdout.strip()
        if not state or state.startswith("Z"):
            return True
        time.sleep(0.05)
    return False


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
def test_the_child_dies_with_its_starter(how: signal.Signals) -> None:
    """Even on kill -9, and not before: not when the starting thread ends."""
    with subprocess.Popen(
        [sys.executable, "-c", STARTER, str(LEASH)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as starter:
        assert starter.stdout is not None
        child = int(starter.stdout.readline())
        assert not gone(child, 0.5)
        starter.send_signal(how)
        starter.wait()
    assert gone(child)


def test_the_watcher_leaves_with_the_child() -> None:
    """A child that ends by itself leaves nobody behind."""
    read_end, write_end = os.pipe()
    child = subprocess.Popen(
        [sys.executable, "-I", "-S", str(LEASH), str(read_end), "/bin/sleep", "0.5"],
        pass_fds=(read_end,),
        start_new_session=True,
    )
    os.close(read_end)
    assert child.wait() == 0
    # The pipe's other end is closed when the last reader is gone: the watcher.
    for _ in range(100):
        if _broken(write_end):
            break
        time.sleep(0.1)
    assert _broken(write_end)
    os.close(write_end)


def _broken(pipe: int) -> bool:
    try:
        return os.write(pipe, b".") < 1
    except BrokenPipeError:
        return True
