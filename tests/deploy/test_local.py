"""Parts of a local stack: noticed when they end, gone when their starter is."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from deploy.local.groups import groups_in
from deploy.local.part import Part, PartError
from deploy.local.stack import Plan, Stack

STARTER = """
import sys, time
from pathlib import Path
from deploy.local.part import Part
part = Part("market", ["simulate", "--port", "0"], Path(sys.argv[1]))
while "listening" not in part.output():
    part.check()
    time.sleep(0.05)
print(part.pid, flush=True)
time.sleep(300)
"""


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text("utf-8").rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def state(pid: int) -> str:
    return Path(f"/proc/{pid}/stat").read_text("utf-8").rpartition(")")[2].split()[0]


def gone(pid: int, within: float = 20.0) -> bool:
    deadline = time.monotonic() + within
    while alive(pid) and time.monotonic() < deadline:
        time.sleep(0.05)
    return not alive(pid)


def test_a_part_that_ends_by_itself_is_named_with_the_end_of_its_log(tmp_path: Path) -> None:
    part = Part("worker", ["process", "--web-port", "0"], tmp_path / "worker.log")
    try:
        deadline = time.monotonic() + 30.0
        while part.code is None and time.monotonic() < deadline:
            time.sleep(0.05)
        with pytest.raises(PartError, match=r"(?s)worker ended by itself with code 2.*--web-port 0"):
            part.check()
    finally:
        part.end(0.0)


def test_a_part_is_told_by_flags_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A stray ``ASHARE_*`` of the starter's environment does not reach into the stack."""
    monkeypatch.setenv("ASHARE_NONSENSE", "1")
    part = Part("topics", ["topics", "--help"], tmp_path / "topics.log")
    assert part.end(30.0)
    assert part.code == 0, part.output()


def test_a_part_speaks_to_kafka_as_its_starter_is_told_to(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """``ASHARE_KAFKA_CLIENT`` reaches every part: a whole stack is run with either client."""
    monkeypatch.setenv("ASHARE_KAFKA_CLIENT", "plain")
    monkeypatch.setenv("ASHARE_BOOTSTRAP", "127.0.0.1:1")
    part = Part("server", ["--bind", "127.0.0.1", "0"], tmp_path / "log", program=("http.server",))
    try:
        deadline = time.monotonic() + 60.0
        while "Serving" not in part.output() and time.monotonic() < deadline:
            time.sleep(0.05)
        given = Path(f"/proc/{part.pid}/environ").read_bytes().split(b"\0")
        assert b"ASHARE_KAFKA_CLIENT=plain" in given
        assert not [one for one in given if one.startswith(b"ASHARE_BOOTSTRAP")]
    finally:
        part.kill()


def test_a_part_dies_with_its_starter_even_when_that_is_killed(tmp_path: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", STARTER, str(tmp_path / "log")], stdout=subprocess.PIPE) as starter:
        assert starter.stdout is not None
        pid = int(starter.stdout.readline())
        assert alive(pid)
        os.kill(starter.pid, signal.SIGKILL)
        starter.wait()
    assert gone(pid)


def test_a_stack_whose_market_does_not_start_says_so_and_leaves_nothing(tmp_path: Path) -> None:
    stack = Stack(Plan(tmp_path, ["--rate", "nonsense"]))
    with pytest.raises(PartError, match=r"(?s)market ended by itself.*nonsense"), stack:
        stack.start()
    assert not stack.parts


@pytest.mark.parametrize(
    "status",
    [
        {"groups": {"storage": "ashare-storage", "changes": "ashare-changes"}},
        {"groups": ["ashare-storage", "ashare-changes"], "group": "of an older version"},
        {"group": "ashare-changes", "groups": {"storage": "ashare-storage", "changes": "ashare-changes"}},
    ],
)
def test_groups_are_those_that_a_worker_names(status: dict[str, Any]) -> None:
    """One an agent, however its status lists them."""
    assert groups_in(status) == ["ashare-changes", "ashare-storage"]


def test_the_group_of_a_worker_whose_agents_share_one_is_found_as_well() -> None:
    assert groups_in({"group": "ashare-snapshots-storage-changes"}) == ["ashare-snapshots-storage-changes"]
    with pytest.raises(ValueError, match="no consumer group"):
        groups_in({"agents": []})


def test_a_frozen_part_stands_still_until_it_is_resumed_and_can_be_killed_before(tmp_path: Path) -> None:
    part = Part("market", ["simulate", "--port", "0"], tmp_path / "log")
    try:
        for freeze, states in ((True, "T"), (False, "RSD"), (True, "T")):
            (part.freeze if freeze else part.resume)()
            deadline = time.monotonic() + 20.0
            while state(part.pid) not in states and time.monotonic() < deadline:
                time.sleep(0.02)
            assert state(part.pid) in states
        part.kill()
        assert part.code == -signal.SIGKILL
    finally:
        part.end(0.0)


def test_a_worker_that_ends_badly_when_it_is_asked_to_is_named(tmp_path: Path) -> None:
    """One that ended at once by itself has not stopped cleanly, and is not looked at any more."""
    stack = Stack(Plan(tmp_path, store="sqlite"))
    stack.logs.mkdir()
    part = stack._begin("worker 1", "process", "--web-port", "0")
    while part.code is None:
        time.sleep(0.05)
    with pytest.raises(PartError, match=r"(?s)worker 1 ended with code 2 after SIGTERM.*--web-port 0"):
        stack.end_worker(0)
    assert not stack.parts


def test_a_part_may_be_given_what_has_no_flag(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Beside the settings of the user's environment, which do not reach it."""
    monkeypatch.setenv("ASHARE_FEED_TOKEN", "mine")
    given = {"ASHARE_TEST_CLOCK_OFFSET_S": "soon"}
    part = Part("producer", ["produce", "--symbols", "600519"], tmp_path / "log", environment=given)
    assert part.end(60)
    assert "could not convert string to float: 'soon'" in part.output()
    assert "mine" not in part.output()


def test_a_part_that_is_killed_on_purpose_is_nobody_s_error(tmp_path: Path) -> None:
    """It is gone at once, and whoever looks at the stack sees no part that ended by itself."""
    stack = Stack(Plan(tmp_path))
    stack.logs.mkdir()
    part = stack._begin("market", "simulate", "--port", "0")
    other = stack._begin("kafka", "simulate", "--port", "0")
    try:
        stack.kill("market")
        assert part.code == -signal.SIGKILL
        stack.check()
        assert list(stack.parts) == [other]
    finally:
        other.end(0.0)
