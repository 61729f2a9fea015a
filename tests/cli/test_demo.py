"""``ashare demo``: the whole pipeline as processes, read with the other commands, and gone afterwards."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import pytest

from cli.commands import demo as demo_command

ASHARE = [sys.executable, "-m", "cli"]


def ashare(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*ASHARE, *arguments], capture_output=True, text=True, timeout=60, check=False)


def children(pid: int) -> dict[int, str]:
    """Every living descendant of a process, with its command line."""
    parents: dict[int, int] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                state, parent = (entry / "stat").read_text("utf-8").rpartition(")")[2].split()[:2]
            except OSError:
                continue
            if state != "Z":
                parents[int(entry.name)] = int(parent)
    found: dict[int, str] = {}
    level = {pid}
    while level:
        level = {child for child, parent in parents.items() if parent in level}
        for child in level:
            try:
                found[child] = Path(f"/proc/{child}/cmdline").read_text("utf-8").replace("\0", " ")
            except OSError:
                continue
    return found


def remaining(before: dict[int, str]) -> dict[int, str]:
    """Which of the processes are still there, as the same program."""
    deadline = time.monotonic() + 5.0
    while True:
        left: dict[int, str] = {}
        for pid, command in before.items():
            try:
                now = Path(f"/proc/{pid}/cmdline").read_text("utf-8").replace("\0", " ")
            except OSError:
                continue
            if now == command:
                left[pid] = command
        if not left or time.monotonic() > deadline:
            return left
        time.sleep(0.1)


@contextmanager
def demo(data: Path) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """A running demo, and what it has printed up to its first status line with something stored."""
    command = [*ASHARE, "demo", "--data", str(data), "--rate", "300"]
    complaints = complaints_of(data)
    with (
        complaints.open("w", encoding="utf-8") as errors,
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=errors, text=True) as process,
    ):
        assert process.stdout is not None
        try:
            said = until_stored(process.stdout)
            assert said, complaints.read_text("utf-8")
            yield process, said
        finally:
            process.send_signal(signal.SIGTERM)
            process.stdout.read()
            process.wait(30)


def complaints_of(data: Path) -> Path:
    """What a demo has written on stderr."""
    return data.with_suffix(".stderr")


def until_stored(lines: IO[str]) -> str:
    """What is printed up to the first status line with something stored; nothing if there is none."""
    said = ""
    for line in lines:
        said += line
        if re.match(r"in .*changes .*\([1-9]", line) and re.search(r"stored \S+ \([1-9]", line):
            return said
    return ""


@pytest.mark.timeout(240)
def test_the_demo_runs_can_be_read_and_ends_with_ctrl_c_leaving_no_process_behind(tmp_path: Path) -> None:
    with demo(tmp_path / "demo") as (process, said):
        for part in ("worker-1", "producer", "market"):
            log = (tmp_path / "demo" / "logs" / f"{part}.log").read_text("utf-8")
            # The machine's clock may be set meanwhile, which the producer tells.
            assert not re.search(r" (WARNING|ERROR|CRITICAL) (?!producer\.clock)", log), log
        bootstrap = re.search(r"kcat -C -b (\S+)", said)
        snapshots = re.search(r"(http://\S+)/snapshots/600519", said)
        assert bootstrap
        assert snapshots
        broker, worker = ("--bootstrap", bootstrap[1]), ("--worker", snapshots[1])

        tail = ashare("tail", "price-changes", *broker, "--from", "earliest", "--limit", "5", "--json")
        changes = [json.loads(line) for line in tail.stdout.splitlines()]
        assert len(changes) == 5, tail.stderr
        assert all(change["price"] > 0 for change in changes)
        code = changes[0]["code"]
        lines = ashare("tail", "ashare.ticks.v1", *broker, "--from", "earliest", "--limit", "1", "--codes", code).stdout
        head, line = lines.splitlines()
        assert head.startswith("Shanghai time")
        assert re.match(rf"\d\d:\d\d:\d\d\.\d\d\d  {code} +\d+\.\d\d", line)
        assert "subscribed" in ashare("tail", "feed-events", *broker, "--from", "earliest", "--limit", "3").stdout

        shown = ashare("snapshot", code, *worker, "--json")
        assert json.loads(shown.stdout)["code"] == code
        assert code in ashare("snapshot", code, *worker).stdout
        unknown = ashare("snapshot", "689999", "60051", *worker)
        assert unknown.returncode == 1
        assert "689999" in unknown.stderr
        assert "'60051' is not a code" in unknown.stderr

        parts = children(process.pid)
        for name in ("kafka", "simulate", "process", "produce"):
            assert any(f" -m cli {name} " in command for command in parts.values()), parts
        process.send_signal(signal.SIGINT)
        assert process.stdout is not None
        ended = process.stdout.read()
        assert re.search(
            r"^[\d,]+ ticks came in, [\d,]+ were stored, [\d,]+ price changes came out$", ended, re.MULTILINE
        )
        assert re.search(rf"^next:\n  ashare store query --store sqlite:///{tmp_path}", ended, re.MULTILINE)
        assert process.wait(30) == 0
    assert not remaining(parts)
    assert list((tmp_path / "demo" / "ticks").glob("ticks-*.sqlite"))


@pytest.mark.timeout(240)
def test_a_part_that_dies_ends_the_demo_with_its_name_and_its_log(tmp_path: Path) -> None:
    with demo(tmp_path / "demo") as (process, _):
        parts = children(process.pid)
        producer = next(
            pid for pid, command in parts.items() if " -m cli produce " in command and "leash" not in command
        )
        os.kill(producer, signal.SIGKILL)
        assert process.wait(60) == 1
    complaint = complaints_of(tmp_path / "demo").read_text("utf-8")
    assert "the demo has ended: producer was ended by SIGKILL" in complaint
    assert "subscribed" in complaint
    assert not remaining(parts)


def test_data_that_takes_too_much_ends_the_demo(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Its size is looked at now and then; what to do is said."""
    (tmp_path / "ticks").mkdir()
    (tmp_path / "ticks" / "some").write_bytes(bytes(100_000))

    async def look() -> bool:
        stop = asyncio.Event()
        looking = asyncio.create_task(demo_command._full(tmp_path, stop))
        await asyncio.sleep(0.1)
        assert not stop.is_set()
        monkeypatch.setattr(demo_command, "_LIMIT_BYTES", 90_000)
        async with asyncio.timeout(10):
            await looking
        return stop.is_set()

    monkeypatch.setattr(demo_command, "_SIZE_SECONDS", 0.01)
    assert asyncio.run(look())
    assert f"{tmp_path} takes" in capsys.readouterr().err
