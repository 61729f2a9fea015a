"""What ``--help`` shows of every command, made from the app's own tree of commands."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from importlib.metadata import version
from typing import Any

import pytest
import typer
from typer.testing import CliRunner, Result

from cli.help import SUMMARY, broken, parts
from cli.main import app
from cli.metavars import SHOWN
from cli.settings import SETTINGS
from tests.command_line import parse

ROOT: Any = typer.main.get_command(app)


def tree(command: Any, path: tuple[str, ...] = ()) -> dict[tuple[str, ...], Any]:
    """Every command and group, the root included, by its path."""
    found = {path: command}
    for name, inner in getattr(command, "commands", {}).items():
        found |= tree(inner, (*path, name))
    return found


COMMANDS = tree(ROOT)
GROUPS = [path for path, command in COMMANDS.items() if hasattr(command, "commands")]
LEAVES = [path for path in COMMANDS if path not in GROUPS]
EXAMPLES = [(path, example) for path, command in COMMANDS.items() for example in parts(command.help or "")[1]]


def help_of(path: tuple[str, ...], columns: int = 80) -> str:
    """What ``--help`` prints on a terminal of so many columns; click's runner has a width of its own."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("COLUMNS", str(columns))
        context = ROOT.make_context("ashare", [], resilient_parsing=True)
        for depth, name in enumerate(path, 1):
            context = COMMANDS[path[:depth]].make_context(name, [], parent=context, resilient_parsing=True)
        text: str = context.get_help()
    return text


HELP = {path: help_of(path) for path in COMMANDS}


def ashare(*arguments: str) -> Result:
    return CliRunner().invoke(app, list(arguments), prog_name="ashare")


@pytest.mark.parametrize("path", COMMANDS, ids=" ".join)
def test_help_fits_the_terminal(path: tuple[str, ...]) -> None:
    """No line is wider than 80 columns, on a wide terminal neither; ``-h`` is ``--help``."""
    for columns in (80, 140):
        assert max(map(len, help_of(path, columns).splitlines())) <= 80
    short, long = ashare(*path, "-h"), ashare(*path, "--help")
    assert short.exit_code == long.exit_code == 0
    assert short.stdout == long.stdout
    assert short.stdout.startswith(f"Usage: {' '.join(('ashare', *path))}")
    assert "\x1b" not in short.stdout


@pytest.mark.parametrize("path", COMMANDS, ids=" ".join)
def test_values_are_written_as_people_write_them(path: tuple[str, ...]) -> None:
    """HOST:PORT or FILE, and no name of a type in Python."""
    usage, _, rest = HELP[path].partition("\n\n")
    assert not re.search(r"[{}<>]", usage)
    assert not re.search(r"<|list\[|\bstr\b", rest.partition("Example")[0])


@pytest.mark.parametrize("path", LEAVES, ids=" ".join)
def test_every_command_has_an_example(path: tuple[str, ...]) -> None:
    """It is of this very command; `ashare archive` alone is a group with examples."""
    assert any(f"ashare {' '.join(path)}" in example for of, example in EXAMPLES if of == path)


@pytest.mark.parametrize(("path", "example"), EXAMPLES, ids=lambda value: value if isinstance(value, str) else "")
def test_an_example_can_be_copied(path: tuple[str, ...], example: str) -> None:
    """It stands in lines of its own: a shell takes them for this command, and `ashare` takes the command."""
    lines = HELP[path].splitlines()
    copied = [f"  {line}" for line in broken(example, 76)]
    assert any(lines[at : at + len(copied)] == copied for at in range(len(lines)))
    shell = "\n".join(copied)
    assert shlex.split(shell.replace("\\\n", " ")) == shlex.split(example)
    words = shlex.split(example)
    parse(words[words.index("ashare") + 1 :])


@pytest.mark.parametrize("path", GROUPS, ids=" ".join)
def test_a_list_of_commands_has_whole_summaries(path: tuple[str, ...]) -> None:
    """None ends in ``...`` at 80 columns."""
    shown = HELP[path]
    for name, command in COMMANDS[path].commands.items():
        summary = command.get_short_help_str(200)
        assert summary.endswith(".")
        assert len(summary) <= SUMMARY
        assert re.search(rf"^  {name} +{re.escape(summary)}$", shown, re.MULTILINE)


@pytest.mark.parametrize("path", [path for path in GROUPS if path != ("archive",)], ids=" ".join)
def test_a_bare_group_lists_its_commands(path: tuple[str, ...]) -> None:
    """With the exit code of a usage error; `ashare archive` alone does its work."""
    shown = ashare(*path)
    assert shown.exit_code == 2
    assert shown.output == ashare(*path, "--help").stdout


def test_every_setting_has_a_group_and_a_metavar() -> None:
    """A switch has no metavar."""
    assert list(SHOWN) == list(SETTINGS)
    for name, (metavar, panel) in SHOWN.items():
        assert panel
        assert (metavar is None) == isinstance(SETTINGS[name].default, bool)


def test_version() -> None:
    assert ashare("--version").stdout == f"ashare {version('ashare-stream')}\n"


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_a_shell_completes_commands(shell: str) -> None:
    """The script comes out whole, and what it calls answers."""
    run = [sys.executable, "-c", "import sys; sys.argv[0] = 'ashare'; from cli.main import main; main()"]
    answers = {"COMP_WORDS": "ashare to", "COMP_CWORD": "1", "_TYPER_COMPLETE_ARGS": "ashare to"}
    done = subprocess.run(
        run, env=answers | {"_ASHARE_COMPLETE": f"complete_{shell}", "_TYPER_COMPLETE_FISH_ACTION": "get-args"},
        capture_output=True, text=True, check=False, timeout=30,
    )  # fmt: skip
    assert "topics" in done.stdout, done.stderr
    assert "tail" not in done.stdout
    script = subprocess.run(
        [*run, "--show-completion", shell],
        env={"_TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION": "1"},
        capture_output=True, text=True, check=False, timeout=30,
    )  # fmt: skip
    assert f"complete_{shell}" in script.stdout, script.stderr
