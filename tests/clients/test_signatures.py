"""What an editor and a type checker know of the readers: the same arguments with and without an event loop."""

from __future__ import annotations

import inspect
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest

import ashare_client
from ashare_client import readers, snapshots, sync

ROOT = Path(__file__).parents[2]
PAIRS = [
    pytest.param(one, getattr(sync, one.__name__), id=one.__name__)
    for one in (readers.PriceChanges, readers.Ticks, readers.Bars, readers.FeedEvents, snapshots.Snapshots)
]

GOOD = (
    "PriceChanges('127.0.0.1:9092', boards='STAR', min_change='50bp', start=0, end='now')",
    "Ticks(['127.0.0.1:9092'], codes=['600519'], start='earliest', patience=5)",
    "FeedEvents('127.0.0.1:9092', events='gap', missing='skip')",
    "Snapshots('127.0.0.1:9092', start='state')",
)
BAD = (
    ("Ticks('127.0.0.1:9092', stat='earliest')", "call-arg"),
    ("Ticks('127.0.0.1:9092', start='earlist')", "arg-type"),
    ("Ticks('127.0.0.1:9092', start='state')", "arg-type"),
    ("Ticks('127.0.0.1:9092', 'earliest')", "call-arg"),
    ("Ticks(9092)", "arg-type"),
    ("Snapshots('127.0.0.1:9092', group='mine')", "call-arg"),
    ("PriceChanges('127.0.0.1:9092', commit='manually')", "arg-type"),
    ("FeedEvents('127.0.0.1:9092', min_change=0.05)", "call-arg"),
)


@pytest.mark.parametrize(("kind", "blocking"), PAIRS)
def test_the_readers_without_an_event_loop_take_the_same_arguments(kind: Any, blocking: Any) -> None:
    """Names, kinds, defaults, annotations, and what is said of them."""
    mine, its = inspect.signature(blocking.__init__), inspect.signature(kind.__init__)
    assert list(mine.parameters.values()) == list(its.parameters.values())
    assert mine.return_annotation == its.return_annotation
    assert blocking.__init__.__doc__ == kind.__init__.__doc__


@pytest.mark.parametrize(("kind", "blocking"), PAIRS)
def test_each_argument_arrives_where_it_belongs(
    kind: type[Any], blocking: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Under its own name, and none is left out."""
    given = {name: f"given as {name}" for name in inspect.signature(kind).parameters}
    got: dict[str, Any] = {}

    class Fake:
        def __init__(self, bootstrap: str, **others: str) -> None:
            got.update(others, bootstrap=bootstrap)

    module = snapshots if kind is snapshots.Snapshots else readers
    monkeypatch.setattr(module, kind.__name__, Fake)
    blocking(given.pop("bootstrap"), **given)
    assert got == {"bootstrap": "given as bootstrap", **given}


@pytest.mark.parametrize(("kind", "blocking"), PAIRS)
def test_what_a_reader_can_do_it_can_do_without_an_event_loop(kind: Any, blocking: Any) -> None:
    """Methods of the same name have the same arguments; what moves by itself there is the loop's affair here."""
    inner = {"abandon", "advance", "hand", "hand_rest", "words", "record"}
    public = {name for name in dir(kind) if not name.startswith("_")} - inner
    assert {name for name in dir(blocking) if not name.startswith("_")} >= public
    for name in public:
        if inspect.isfunction(getattr(kind, name)):
            mine, its = inspect.signature(getattr(blocking, name)), inspect.signature(getattr(kind, name))
            assert list(mine.parameters.values()) == list(its.parameters.values()), name


def test_bars_can_be_had_without_an_event_loop() -> None:
    """With the same arguments, and the same said of them."""
    mine, its = inspect.signature(sync.bars), inspect.signature(ashare_client.bars)
    assert mine == its
    assert sync.bars.__doc__ == ashare_client.bars.__doc__


def checked(folder: Path, imported: str, calls: list[str]) -> dict[int, str]:
    """What mypy --strict says of a user's file that makes the calls: the first error code by line, from 1."""
    header = f"from {imported} import FeedEvents, PriceChanges, Snapshots, Ticks"
    file = folder / "mine.py"
    file.write_text("\n".join([header, *calls, ""]), "utf-8")
    command = [sys.executable, "-m", "mypy", "--strict", "--config-file=", f"--cache-dir={folder}/cache", str(file)]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, timeout=110)
    found: dict[int, str] = {}
    for line in done.stdout.splitlines():
        if ": error: " in line:
            assert line.startswith("mine.py:"), line
            found.setdefault(int(line.split(":")[1]) - 1, line.rpartition("[")[2].rstrip("]"))
    assert done.returncode == bool(found), done.stdout + done.stderr
    return found


@pytest.mark.parametrize("imported", ["ashare_client", "ashare_client.sync"])
def test_a_type_checker_refuses_a_misspelt_argument(imported: str, tmp_path: Path) -> None:
    """In a file of a user's; what is right passes, each wrong call is an error."""
    calls = [*GOOD, *(call for call, _ in BAD)]
    wrong = {number: code for number, (_, code) in enumerate(BAD, len(GOOD) + 1)}
    assert checked(tmp_path, imported, calls) == wrong


def test_types_are_marked_where_they_are_promised() -> None:
    """A distribution that says "Typing :: Typed" has py.typed in each package that others import."""
    for project in (ROOT / "pyproject.toml", ROOT / "clients/python/pyproject.toml"):
        settings = tomllib.loads(project.read_text("utf-8"))
        assert "Typing :: Typed" in settings["project"]["classifiers"]
        packages = set(settings["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]) - {"cli"}  # a command alone
        assert [name for name in sorted(packages) if not (project.parent / name / "py.typed").is_file()] == []


def test_every_public_name_says_what_it_is() -> None:
    """An editor shows the docstring."""
    for name in ashare_client.__all__:
        if inspect.isclass(getattr(ashare_client, name)):
            assert inspect.getdoc(getattr(ashare_client, name)), name
