"""What commands write, to whatever terminal: nothing from outside as it came, and never an error for a character."""

from __future__ import annotations

import ast
import io
import logging
import os
import subprocess
import sys
from pathlib import Path

import pytest
import typer

from cli import lines, logs, terminal
from cli.main import app
from schemas.outside import printable
from schemas.topics import topics
from tests.cli.pty_of import shown

ROOT = Path(__file__).parents[2]
HOSTILE = "\x1b[2J\nforged\u202e"


def command_names() -> list[tuple[str, ...]]:
    """Every command and group."""
    root = typer.main.get_command(app)
    found: list[tuple[str, ...]] = [()]
    for name, command in getattr(root, "commands").items():  # noqa: B009 - click's group
        found.append((name,))
        found += [(name, inner) for inner in getattr(command, "commands", {})]
    return found


NARROW = """
import contextlib, io, sys
from cli import main
failed = []
for words in {commands!r}:
    sys.argv = ["ashare", *words]
    try:
        main.main()
    except SystemExit as end:
        if end.code not in (0, None):
            failed.append((words, end.code))
    except BaseException as error:
        failed.append((words, repr(error)))
print("failed:", ascii(failed), file=sys.stderr)
"""


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "gbk", "utf-8"])
def test_a_terminal_of_any_encoding_gets_every_help_and_every_table(encoding: str) -> None:
    """In one process, all commands: --help, config, feeds; a character that is lacking is replaced, and no error."""
    asked = [[*words, "--help"] for words in command_names()]
    asked += [["config"], ["config", "--json"], ["feeds"], ["feeds", "--json"], ["feeds", "alltick"]]
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("LC_", "LANG", "PYTHON"))}
    environment |= {"PYTHONIOENCODING": encoding, "LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"}
    done = subprocess.run(
        [sys.executable, "-c", NARROW.format(commands=asked)],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        check=False,
        timeout=100,
    )
    assert done.stderr.decode().splitlines()[-1] == "failed: []"
    text = done.stdout.decode(encoding)
    assert "ashare" in text
    if encoding == "ascii":
        assert "\\u2013" not in text


def test_a_stream_that_lacks_a_character_gets_a_plain_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """Dashes and arrows have one; a name in Chinese is escaped."""
    raw = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(raw, encoding="ascii", write_through=True))
    with terminal.guarded():
        sys.stdout.write("– … → × 贵\n")
    assert raw.getvalue() == b"- ... -> x \\u8d35\n"


def test_what_is_printed_obeys_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever a command forgets; a console made for tables has escape sequences of its own, its cells have none."""
    raw = io.StringIO()
    monkeypatch.setattr(sys, "stdout", raw)
    with terminal.guarded():
        sys.stdout.write(f"name {HOSTILE}\n")
        sys.stdout.writelines(["\x07"])
        assert "\x1b" not in raw.getvalue()
        terminal.console(force_terminal=True).print(terminal.cell(HOSTILE), style="red")
    assert "\x1b[2J" not in raw.getvalue()
    assert "\x1b[31m" in raw.getvalue()
    assert "forged" in raw.getvalue()


WRITES = """
from cli import terminal
with terminal.guarded():
    terminal.write("+1.00 \\x1b[2J", terminal.Colour.RED)
    terminal.write("-1.00", terminal.Colour.GREEN)
    terminal.write("0.00")
"""


@pytest.mark.parametrize(
    ("environment", "coloured"),
    [({}, True), ({"NO_COLOR": "1"}, False), ({"TERM": "dumb"}, False), ({"LC_ALL": "C"}, True)],
    ids=str,
)
def test_colours_are_for_terminals_that_take_them(environment: dict[str, str], coloured: bool) -> None:
    """Up is red and down is green; the text is the same without, and is printable with."""
    text = shown(["-c", WRITES], 80, **environment)
    plain = "+1.00 \\x1b[2J\n-1.00\n0.00\n"
    assert text.replace("\x1b[31m", "").replace("\x1b[32m", "").replace("\x1b[0m", "") == plain
    assert text.startswith("\x1b[31m+1.00") == coloured
    assert ("\x1b[32m-1.00" in text) == coloured
    file = subprocess.run([sys.executable, "-c", WRITES], capture_output=True, text=True, check=True, timeout=60)
    assert file.stdout == plain


def test_log_lines_have_the_time_in_shanghai(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever zone the machine is in; the zone is said."""
    stream = io.StringIO()
    monkeypatch.setattr(sys, "stderr", stream)
    root = logging.getLogger()
    monkeypatch.setattr(root, "handlers", [])
    monkeypatch.setattr(root, "level", root.level)
    logs.log_to_stderr(logging.INFO)
    record = logging.LogRecord("part", logging.INFO, "", 0, "told", (), None)
    record.created = 1_795_138_200.123
    root.handle(record)
    assert stream.getvalue() == "2026-11-20 09:30:00.123+08:00 INFO part: told\n"


def test_every_log_line_is_one_printable_line(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whichever library logs; a traceback's lines can't be taken for log lines."""
    stream = io.StringIO()
    monkeypatch.setattr(sys, "stderr", stream)
    root = logging.getLogger()
    monkeypatch.setattr(root, "handlers", [])
    monkeypatch.setattr(root, "level", root.level)
    with terminal.guarded():
        logs.log_to_stderr(logging.INFO)
        logging.getLogger("some.library").warning("closed: %s", HOSTILE)
        logging.getLogger("some.library").error("failed", exc_info=ValueError(HOSTILE))
    written = stream.getvalue().splitlines()
    assert written[0].endswith(r"some.library: closed: \x1b[2J\nforged\u202e")
    assert all(line.startswith("  | ") for line in written[2:])
    assert "\x1b" not in stream.getvalue()


class Record:
    """A Kafka record of somebody else's."""

    def __init__(self, key: bytes | None, value: bytes | None) -> None:
        """Its headers are hostile as well."""
        self.key, self.value = key, value
        self.headers = [("reason", HOSTILE.encode()), (HOSTILE, b"\xff\x1b")]


VALUES = [
    None,
    b"",
    b"\x1b[2J",
    HOSTILE.encode(),
    b"[" * 100_000,
    b'{"code":"\\u001b[2J\\n","price":1e400,"time":1e300}',
    b'{"code":"600519","price":1,"time":99999999999999999999,"volume":1}',
    b'{"at":9e99,"source":"\\u001b","event":"\\n","n":"x","reason":"\\u001b[2J\\r\\n"}',
    b'{"at":1790000000000000,"source":"\\u001b","event":"\\n","n":1,"reason":"\\u001b[2J\\r\\n"}',
    b'{"\\u001b":"\\u202e"}',
    '{"raw":"\u202e\x7f\x85"}'.encode(),
    b"7",
    b'"\\u001b"',
]


@pytest.mark.parametrize("topic", list(topics()))
@pytest.mark.parametrize("value", VALUES)
def test_a_record_of_anybody_is_one_printable_line(topic: str, value: bytes | None) -> None:
    """In every topic: `ashare tail` shows it, as a line and as JSON, and goes on."""
    record = Record(HOSTILE.encode(), value)
    for text in (lines.as_line(topic, record), lines.as_text(topic, record)):
        assert "\x1b" not in text
        assert "\n" not in text
        assert printable(text) == text


def test_commands_print_tables_through_the_one_boundary() -> None:
    """Nothing in cli makes a Rich console, a cell or a log handler of its own."""
    forbidden = {"Console", "Text", "basicConfig", "StreamHandler"}
    for path in sorted((ROOT / "cli").rglob("*.py")):
        if path.name in {"terminal.py", "live.py", "logs.py"}:
            continue
        called = {
            node.func.id if isinstance(node.func, ast.Name) else node.func.attr
            for node in ast.walk(ast.parse(path.read_text("utf-8")))
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name | ast.Attribute)
        }
        allowed = {"Console"} if path.name == "progress.py" else set()
        assert not (called & forbidden) - allowed, path
