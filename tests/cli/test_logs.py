"""The log of commands that keep running: one line an event, for people or for programs."""

from __future__ import annotations

import io
import json
import logging
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from broker.events import event
from broker.quiet import FIRST
from cli import logs, terminal
from cli.help import LOGGING
from cli.main import app
from deploy.embedded import free_port

ROOT = Path(__file__).parents[2]
AT = 1_795_138_200.123
"""2026-11-20 09:30:00.123 in Shanghai."""


@pytest.fixture
def begin(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[], io.StringIO]]:
    """Begins to log as a command does, and gives what is written to standard error."""

    def begin() -> io.StringIO:
        stream, root = io.StringIO(), logging.getLogger()
        monkeypatch.setattr(sys, "stderr", stream)
        monkeypatch.setattr(root, "handlers", [])
        monkeypatch.setattr(root, "level", root.level)
        logs.log_to_stderr(logging.INFO)
        return stream

    with terminal.guarded():
        yield begin


def says(level: int, text: str, *args: object, **extra: Any) -> logging.LogRecord:
    """A record of 09:30."""
    record = logging.getLogger().makeRecord(
        "part", level, "part.py", 7, text, args, extra.pop("exc_info", None), "run", extra
    )
    record.created = AT
    return record


TEXTS = {
    "plain": ({}, "INFO part: told 3"),
    "figures": (event("report", lag=3, rate=0.5), "INFO part: told 3 event=report lag=3 rate=0.5"),
    "words": (event("gap", why='a "gap" here'), 'INFO part: told 3 event=gap why="a \\"gap\\" here"'),
    "nothing": (event("gap", why=""), 'INFO part: told 3 event=gap why=""'),
    "hostile": (event("gap", why="\x1b[2J\nforged"), "INFO part: told 3 event=gap why=\\x1b[2J\\nforged"),
}


@pytest.mark.parametrize(("extra", "line"), TEXTS.values(), ids=TEXTS)
def test_for_people(begin: Callable[[], io.StringIO], extra: dict[str, Any], line: str) -> None:
    """The sentence, then the event's name and figures as words."""
    written = begin()
    logging.getLogger().handle(says(logging.INFO, "told %d", 3, **extra))
    assert written.getvalue() == f"2026-11-20 09:30:00.123+08:00 {line}\n"


def test_for_programs(begin: Callable[[], io.StringIO], monkeypatch: pytest.MonkeyPatch) -> None:
    """A JSON object a line, a traceback inside it; a figure never takes the place of a field that every line has."""
    monkeypatch.setenv(logs.FORMAT_VARIABLE, "json")
    written = begin()
    logger = logging.getLogger()
    logger.handle(says(logging.INFO, "told %d\n\x1b", 3, **event("report", lag=3, level="mine", rate=0.5)))
    error = ValueError("no\x1b")
    logger.handle(says(logging.ERROR, "failed", exc_info=(ValueError, error, None)))
    first, second = map(json.loads, written.getvalue().splitlines())
    assert first == {
        "time": "2026-11-20T09:30:00.123+08:00",
        "level": "info",
        "logger": "part",
        "event": "report",
        "message": r"told 3\n\x1b",
        "lag": 3,
        "rate": 0.5,
    }
    assert second["event"] == "part.run"
    assert "ValueError: no\\x1b" in second["exception"]


@pytest.mark.parametrize(
    ("level", "there"),
    [
        ("debug", {"debug", "info", "warning", "error"}),
        ("info", {"info", "warning", "error"}),
        ("warning", {"warning", "error"}),
        ("error", {"error"}),
    ],
)
def test_the_level(
    begin: Callable[[], io.StringIO], monkeypatch: pytest.MonkeyPatch, level: str, there: set[str]
) -> None:
    """Of every logger, also of one with a level of its own."""
    monkeypatch.setenv(logs.LEVEL_VARIABLE, level)
    monkeypatch.setenv(logs.FORMAT_VARIABLE, "json")
    written = begin()
    own = logging.getLogger("test.of.its.own")
    own.setLevel(logging.DEBUG)
    for name in ("debug", "info", "warning", "error"):
        getattr(own, name)("told")
    assert {json.loads(line)["level"] for line in written.getvalue().splitlines()} == there


def test_warnings_that_repeat_are_limited_and_what_is_told_on_purpose_is_not(begin: Callable[[], io.StringIO]) -> None:
    """By line of code; reports go on."""
    written = begin()
    for n in range(1_000):
        logging.getLogger("some.library").warning("again %d", n)
        logging.getLogger("some.part").info("report %d", n)
    lines = written.getvalue().splitlines()
    assert sum("again" in line for line in lines) == FIRST
    assert sum("report" in line for line in lines) == 1_000


WRONG = [("--log-format", "ASHARE_LOG_FORMAT", "xml"), ("--log-level", "ASHARE_LOG_LEVEL", "loud")]


@pytest.mark.parametrize(("flag", "variable", "value"), WRONG)
@pytest.mark.parametrize("command", sorted(LOGGING - {"gateway"}))
def test_another_form_or_level_is_refused(
    monkeypatch: pytest.MonkeyPatch, command: str, flag: str, variable: str, value: str
) -> None:
    """Before anything starts, by flag and by environment, with what there is."""
    failed = CliRunner().invoke(app, [command, flag, value])
    assert f"{flag} '{value}' is none of" in str(failed.exception)
    monkeypatch.setenv(variable, value)
    failed = CliRunner().invoke(app, [command])
    assert f"{variable} '{value}' is none of" in str(failed.exception)


def test_a_worker_logs_as_it_is_told(bootstrap: str, tmp_path: Path) -> None:
    """Each line is an object, those of Faust and aiokafka as well; nothing alarms at a start."""
    log, port = tmp_path / "log", str(free_port())
    with log.open("wb") as stream:
        process = subprocess.Popen(
            [
                *(sys.executable, "-P", "-m", "cli", "process", "--bootstrap", bootstrap, "--agents", "changes"),
                *("--web-port", port, "--log-format", "json"),
            ],
            stderr=stream,
            cwd=tmp_path,
            env=os.environ | {"PYTHONPATH": str(ROOT)},
        )
        try:
            until = time.monotonic() + 60
            while b"owning" not in log.read_bytes() and time.monotonic() < until:
                time.sleep(0.2)
        finally:
            process.terminate()
            process.wait(30)
    lines = [json.loads(line) for line in log.read_text("utf-8").splitlines()]
    assert "stopped" in {line["event"] for line in lines}
    assert [line for line in lines if line["level"] not in {"debug", "info"}] == []
