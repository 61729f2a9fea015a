"""What README.md tells a newcomer to type exists, and its table of settings is whole."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from cli.settings import SETTINGS, TESTING, known_variables
from schemas.topics import topics
from tests.command_line import parse

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text("utf-8")
BLOCKS = re.findall(r"^```(\w*)\n(.*?)^```", README, re.MULTILINE | re.DOTALL)
LINES = [line for language, block in BLOCKS if language == "sh" for line in block.splitlines()]


@pytest.mark.parametrize("line", [line for line in LINES if line.startswith("ashare ")])
def test_every_command_line_can_be_typed(line: str) -> None:
    """Commands, options and values are ones that ``ashare`` takes."""
    parse(shlex.split(line, comments=True)[1:])


def test_every_make_target_exists() -> None:
    """Wherever the text says ``make something``."""
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE))
    named = set(re.findall(r"(?:^|`)make ([a-z]+)", README, re.MULTILINE))
    assert {"demo", "test"} <= named <= targets


def test_every_setting_stands_in_the_table() -> None:
    """Each with its flag, its variable and its default; no other variable or topic is named anywhere."""
    rows = {row.split("|")[2].strip(): row for row in README.splitlines() if row.startswith("|") and "`--" in row}
    assert rows.keys() == {f"`{setting.flag}`" for setting in SETTINGS.values()}
    for setting in SETTINGS.values():
        row = rows[f"`{setting.flag}`"]
        assert f"`{setting.env}`" in row
        if setting.default not in (None, "", False):
            assert row.rstrip(" |").endswith(f"`{setting.default}`")
    assert set(re.findall(r"\bASHARE_[A-Z0-9_]+\b", README)) == known_variables() - TESTING
    assert set(re.findall(r"\bashare\.[a-z-]+\.v\d+\b", README)) <= topics().keys()


def test_the_python_examples_are_python() -> None:
    """They compile as they stand."""
    examples = [block for language, block in BLOCKS if language == "python"]
    assert examples
    for example in examples:
        compile(example, "README.md", "exec")


def test_every_link_leads_to_a_file() -> None:
    """Within the repository."""
    for target in re.findall(r"\]\(([^)#:]+)\)", README):
        assert (ROOT / target).exists()
