"""What README.md and the pages of docs/ tell a newcomer to type exists, and the table of settings is whole."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from cli.settings import SETTINGS, TESTING, known_variables
from schemas.topics import topics
from tests.command_line import parse

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text("utf-8")
DOCS = ROOT / "docs"
TOLD = [ROOT / "README.md", ROOT / "ARCHITECTURE.md", *sorted(DOCS.glob("*.md"))]
PAGES = ("feeds", "running", "topics", "replaying", "agents", "settings", "http", "guarantees")
RUN = [ROOT / "README.md", *(DOCS / f"{page}.md" for page in PAGES)]
"""Pages whose commands and programs are run (``test_readme_runs``)."""
PACKAGES = [place.parent for place in ROOT.glob("*/__init__.py")] + [
    ROOT / "clients",
    ROOT / "tests",
    ROOT / "examples/agent",
]


def blocks(page: Path, language: str) -> list[str]:
    """The page's blocks of code in a language."""
    return re.findall(rf"^```{language}\n(.*?)^```", page.read_text("utf-8"), re.MULTILINE | re.DOTALL)


def shell(pages: Iterable[Path]) -> list[str]:
    """What is typed into a shell, each line once."""
    return list(dict.fromkeys(line for page in pages for block in blocks(page, "sh") for line in block.splitlines()))


TEXT = "\n".join(page.read_text("utf-8") for page in RUN)
LINES = shell(RUN)
PYTHON = list(dict.fromkeys(block for page in RUN for block in blocks(page, "python")))
PROGRAMS = [block for block in PYTHON if "127.0.0.1:9092" in block]


@pytest.mark.parametrize("line", [line for line in shell(TOLD) if line.startswith("ashare ")])
def test_every_command_line_can_be_typed(line: str) -> None:
    """Commands, options and values are ones that ``ashare`` takes."""
    parse(shlex.split(line, comments=True)[1:])


def test_every_make_target_exists() -> None:
    """Wherever the text says ``make something``."""
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE))
    named = set(re.findall(r"(?:^|`)make ([a-z]+)", TEXT, re.MULTILINE))
    assert {"demo", "test"} <= named <= targets


def test_every_setting_stands_in_the_table() -> None:
    """Each with its flag, its variable and its default; no other variable or topic is named anywhere."""
    table = (DOCS / "settings.md").read_text("utf-8")
    rows = {row.split("|")[2].strip(): row for row in table.splitlines() if row.startswith("|") and "`--" in row}
    assert rows.keys() == {f"`{setting.flag}`" for setting in SETTINGS.values()}
    for setting in SETTINGS.values():
        row = rows[f"`{setting.flag}`"]
        assert f"`{setting.env}`" in row
        if setting.default not in (None, "", False):
            assert row.rstrip(" |").endswith(f"`{setting.default}`")
    assert set(re.findall(r"\bASHARE_[A-Z0-9_]+\b", TEXT)) == known_variables() - TESTING
    assert set(re.findall(r"\bashare\.[a-z-]+\.v\d+\b", TEXT)) <= topics().keys()


def test_the_python_examples_are_python() -> None:
    """They compile as they stand."""
    assert PROGRAMS
    for example in PYTHON:
        compile(example, "README.md", "exec")


def test_the_how_to_of_agents_shows_the_examples_and_tests_that_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    """What it shows stands in examples/agent as it is; the tests at its end are run."""
    folder = ROOT / "examples/agent"
    *shown, tests = blocks(DOCS / "agents.md", "python")
    files = "".join(file.read_text("utf-8") for file in folder.glob("*.py"))
    assert len(shown) == 3
    assert all(excerpt in files for excerpt in shown)
    monkeypatch.syspath_prepend(str(folder))
    names: dict[str, Any] = {}
    exec(compile(tests, "docs/agents.md", "exec"), names)  # noqa: S102 - a page of this repository
    called = [names[name]() for name in names if name.startswith("test_")]
    assert len(called) == 2


@pytest.mark.parametrize("page", TOLD)
def test_every_link_leads_to_a_file(page: Path) -> None:
    """Within the repository; and to a heading of it, where it names one."""
    for target, heading in re.findall(r"\]\(([^)#:]+)(?:#([^)]*))?\)", page.read_text("utf-8")):
        found = page.parent / target
        assert found.exists(), target
        if heading:
            titles = re.findall(r"^#+ (.*)", found.read_text("utf-8"), re.MULTILINE)
            assert heading in {re.sub(r"[^\w -]", "", title).lower().replace(" ", "-") for title in titles}


@pytest.mark.parametrize("page", TOLD)
def test_every_module_that_is_named_exists(page: Path) -> None:
    """By the end of its path: a page that was written before a move is found here."""
    files = [f"/{file.relative_to(ROOT)}" for folder in PACKAGES for file in (ROOT / folder).rglob("*.py")]
    for named in re.findall(r"`([a-z_/]+\.py)`", page.read_text("utf-8")):
        assert any(file.endswith(f"/{named}") for file in files), named


def test_what_a_newcomer_reads_is_short() -> None:
    """The README under 220 lines, with the two commands at its top; the architecture in 80."""
    assert len(README.splitlines()) < 220
    assert len((ROOT / "ARCHITECTURE.md").read_text("utf-8").splitlines()) <= 80
    assert re.search(r"^make demo .*\nmake test ", "\n".join(README.splitlines()[:40]), re.MULTILINE)
