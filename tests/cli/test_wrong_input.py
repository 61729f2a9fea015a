"""Whatever is wrong with a command's input, one line says what and how to mend it, soon, with exit code 2."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from deploy.embedded import free_port

SAMPLE = str(Path(__file__).parents[1] / "instruments" / "samples" / "own.csv")
COMMANDS: dict[str, list[str]] = {
    "topics apply": [],
    "topics describe": [],
    "topics delete": ["replay.changes"],
    "tail": ["ticks"],
    "replay": ["ticks"],
    "archive": ["--dir", "archive"],
    "store refill": ["--day", "2026-11-20", "--store", "sqlite:///ticks"],
    "threshold show": [],
    "threshold set": ["600519", "0.5"],
    "threshold unset": ["600519"],
    "instruments apply": [SAMPLE],
    "instruments diff": [SAMPLE],
    "instruments show": ["600519"],
    "acknowledge": [],
    "acl apply": [],
    "acl show": [],
    "acl check": [],
    "produce": ["--url", "ws://127.0.0.1:1"],
    "process": [],
    "gateway": ["--port", "0"],
}
"""Every command that connects to Kafka, and what it needs besides."""
SECONDS = 20.0
"""It takes less than 5 s; the machine of the tests may be busy."""


def run(*arguments: str, cwd: Path, **environment: str) -> tuple[int, list[str], list[str]]:
    """Exit code, and the lines of standard output and of standard error."""
    done = subprocess.run(
        [sys.executable, "-m", "cli", *arguments],
        cwd=cwd, env=os.environ | environment, capture_output=True, text=True, timeout=SECONDS, check=False,
    )  # fmt: skip
    return done.returncode, done.stdout.splitlines(), done.stderr.splitlines()


def test_the_table_has_every_command_that_connects() -> None:
    """A command with ``--bootstrap`` is in the table."""
    import typer

    from cli.main import app

    found = set()

    def walk(command: object, path: str) -> None:
        for name, below in getattr(command, "commands", {}).items():
            walk(below, f"{path} {name}".strip())
        if any(parameter.name == "bootstrap" for parameter in command.params):  # type: ignore[attr-defined]
            found.add(path)

    walk(typer.main.get_command(app), "")
    assert found == set(COMMANDS)


@pytest.mark.parametrize("command", COMMANDS)
def test_an_address_that_is_none_is_refused_before_anything_is_dialled(command: str, tmp_path: Path) -> None:
    """By flag or environment; the line names which."""
    given = [*command.split(), *COMMANDS[command]]
    code, out, said = run(*given, "--bootstrap", "foo:bar", cwd=tmp_path)
    assert (code, out) == (2, [])
    assert said == [
        "ashare: --bootstrap 'foo:bar': 'bar' is not a port: write it HOST:PORT[,HOST:PORT], as 127.0.0.1:9092"
    ]
    code, out, said = run(*given, cwd=tmp_path, ASHARE_KAFKA_BOOTSTRAP="[::1")
    assert (code, out, len(said)) == (2, [], 1)
    assert said[0].startswith("ashare: ASHARE_KAFKA_BOOTSTRAP '[::1': the bracket of '[::1' is not closed")


@pytest.mark.parametrize("command", COMMANDS)
def test_a_broker_that_does_not_answer_is_said_in_the_same_words_by_all(command: str, tmp_path: Path) -> None:
    """One line of error; a worker and the like may say before that they wait."""
    place = f"127.0.0.1:{free_port()}"
    code, out, said = run(*command.split(), *COMMANDS[command], "--bootstrap", place, cwd=tmp_path)
    assert (code, out) == (2, [])
    assert said[-1] == (
        f"ashare: no Kafka broker answers at {place}: start one (`ashare kafka`), or give --bootstrap its address"
    )
    assert all(" INFO " in line for line in said[:-1])


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("after", [0.2, 1.5])
def test_ctrl_c_ends_it_without_a_traceback(command: str, after: float, tmp_path: Path) -> None:
    """While it starts, and while it looks for a broker."""
    process = subprocess.Popen(
        [sys.executable, "-m", "cli", *command.split(), *COMMANDS[command], "--bootstrap", "127.0.0.1:1"],
        cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    time.sleep(after)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=SECONDS)
    assert "Traceback" not in said
    # A worker that is asked to end while it starts has ended in order.
    assert process.returncode in ((0, 2, 130, -signal.SIGINT) if command == "process" else (2, 130, -signal.SIGINT))


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["tail"], "missing argument 'TOPIC': `ashare tail --help` shows what it takes"),
        (["simulate", "--port", "99999"], "it should be less than or equal to 65535"),
        (["nonsense"], "no such command 'nonsense': `ashare --help` shows what it takes"),
        (["topics", "--bogus"], "no such option: --bogus: `ashare topics --help` shows what it takes"),
        (["process", "--web-port", "0"], "--web-port 0 is not a port: give 1 to 65535"),
        (["process", "--store", "foo"], "is not a store's address: sqlite:///DIR"),
        (["process", "--threshold", "abc"], "--threshold: threshold 'abc' is not understood: write 0.05 (yuan)"),
        (["process", "--agents", "nobody"], "--agents: 'nobody' is not an agent"),
        (["produce", "--symbols", "60051"], "'60051' is not a code: write six digits as 600519"),
        (["produce", "--feed", "alltick", "--symbols", "600519"], "alltick needs a token"),
        (["evaluate-feed", "--feed", "alltick", "--symbols", "600519"], "alltick needs a token"),
        (["produce", "--feed", "nobody"], "nobody"),
        (["produce", "--symbols", "600519,510300"], "510300 is a fund: add --kinds a-share,fund"),
        (["produce", "--kinds", "a-share,etf"], "'etf' is not a kind: --kinds takes a-share, fund, convertible, index"),
        (["evaluate-feed", "--symbols", "123001"], "123001 is a convertible bond: add --kinds a-share,convertible"),
        (["instruments", "apply", "nowhere.csv"], "nowhere.csv can't be read: No such file or directory"),
        (
            ["store", "query", "SELECT 1", "--day", "30-11-2026"],
            "--day '30-11-2026' is not a date: write it YYYY-",
        ),
        (["store", "query", "SELECT 1"], "there is no store data/ticks: --store sqlite:///DIR names another"),
        (["archive", "--from-store", "sqlite:///nowhere"], "there is no store nowhere"),
        (["archive", "list"], "data/archive is not an archive: `ashare archive` makes one"),
        (["archive", "verify", "--dir", "."], "holds no archived day"),
        (
            ["watchlist", "show", "--http-port", "1"],
            "no producer answers at http://127.0.0.1:1 (Connection refused): start it",
        ),
        (["snapshot", "600519", "--worker", "http://127.0.0.1:1"], "(--worker): Connection refused"),
    ],
)
def test_what_is_wrong_is_one_line_that_names_the_fix(arguments: list[str], expected: str, tmp_path: Path) -> None:
    """Exit code 2, nothing on standard output."""
    code, out, said = run(*arguments, cwd=tmp_path)
    assert (code, out, len(said)) == (2, [], 1), said
    assert said[0].startswith("ashare: ")
    assert expected in said[0]
    assert "Errno" not in said[0]


@pytest.mark.parametrize("command", ["simulate", "kafka --data k", "questdb --data q"])
def test_a_port_that_is_taken_is_said_in_the_same_words_by_all(command: str, tmp_path: Path) -> None:
    """By ``cant_listen``, as by those that look for a broker first."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        code, out, said = run(*command.split(), "--port", str(port), cwd=tmp_path)
    assert (code, out) == (2, [])
    assert said == [f"ashare: port {port} is in use: stop what listens there, or give another --port"]


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("ASHARE_THRESHOLD", "abc"),
        ("ASHARE_THRESHOLDS", "board:X=1"),
        ("ASHARE_KAFKA_BOOTSTRAP", "a:b"),
        ("ASHARE_STORE", "mysql://x"),
        ("ASHARE_AGENTS", "nobody"),
        ("ASHARE_FEED", "nobody"),
        ("ASHARE_WEB_PORT", "70000"),
    ],
)
def test_config_shows_nothing_as_in_force_that_no_command_takes(variable: str, value: str, tmp_path: Path) -> None:
    """The line names the variable."""
    code, out, said = run("config", cwd=tmp_path, **{variable: value})
    assert (code, out, len(said)) == (2, [], 1)
    assert said[0].startswith(f"ashare: {variable}")
