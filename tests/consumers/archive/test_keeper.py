"""An archive goes from one whole state to the next, whatever ends its writer."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from ashare_client.archive import Archive, Span
from consumers.archive.check import faults
from schemas import UsageError
from schemas.topics import TICKS
from tests.consumers.archive.records import DAY, MIDNIGHT, NEXT, chunk, keep, records, ticks, tree

ROOT = Path(__file__).parents[3]
BEFORE = chunk(ticks(40))
AFTER = chunk([*ticks(30, first=40), *ticks(30, first=70, time=MIDNIGHT)], start=40)
ELSEWHERE = chunk(ticks(20, first=100, time=MIDNIGHT), partition=1)

# Runs the same archiving again and again, each time in a child that kills itself one step later: at each rename, each
# directory made, each file opened to be written or taken away.
KILLED = """
import os, shutil, signal, sys
import pandas  # before the forks: Arrow would import it in each
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from tests.consumers.archive.test_keeper import AFTER, ELSEWHERE
from tests.consumers.archive.records import keep
base, places = Path(sys.argv[2]), Path(sys.argv[3])
STEPS = {"os.rename", "os.mkdir", "os.remove", "os.rmdir", "shutil.rmtree"}
step = 0
while True:
    step += 1
    place = places / f"{step:03d}"
    shutil.copytree(base, place)
    child = os.fork()
    if not child:
        left = step
        def hook(event, arguments):
            global left
            if event in STEPS or (event == "open" and isinstance(arguments[1], str) and arguments[1] != "r"):
                left -= 1
                if not left:
                    os.kill(os.getpid(), signal.SIGKILL)
        sys.addaudithook(hook)
        keep(place, [AFTER, ELSEWHERE])
        os._exit(0)
    _, status = os.waitpid(child, 0)
    if os.WIFEXITED(status):
        sys.exit(os.WEXITSTATUS(status))
"""


def python(script: str, *arguments: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", script, *map(str, (ROOT, *arguments))],
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )


def test_killed_at_any_instant(tmp_path: Path) -> None:
    """Each day is as it was or as it was to be; the next run finishes or begins again, and leaves no rubbish."""
    base, whole, places = tmp_path / "base", tmp_path / "whole", tmp_path / "places"
    keep(base, [BEFORE])
    shutil.copytree(base, whole)
    keep(whole, [AFTER, ELSEWHERE])
    places.mkdir()
    done = python(KILLED, base, places)
    assert (done.returncode, done.stderr) == (0, "")
    wanted = {name for name in tree(whole) if name.endswith(".parquet")}
    states = set()
    for place in sorted(places.iterdir()):
        archive = Archive(place)
        days = archive.days(TICKS)
        spans = archive.spans(TICKS)
        states.add((tuple(days), spans[0][-1].end))
        for partition, held in spans.items():
            for span in held:
                found = records(place, TICKS, partition, span.start, span.end)
                assert [record.offset for record in found] == list(range(span.start, span.end))
        assert [fault for fault in faults(archive) if "no manifest" not in fault and "killed" not in fault] == []
        keep(place, [AFTER, ELSEWHERE])
        assert set(tree(place)) == set(tree(whole))
        assert {name for name in tree(place) if name.endswith(".parquet")} == wanted
        assert list(faults(Archive(place))) == []
        assert records(place) == records(whole)
    assert len(list(places.iterdir())) > 20
    assert states == {((DAY,), 40), ((DAY,), 70), ((DAY, NEXT), 100)}


def test_killed_while_decided(tmp_path: Path) -> None:
    """What had been decided is finished, even by a run that has nothing to add."""
    keep(tmp_path, [BEFORE])
    whole = tree(tmp_path)
    manifest = tmp_path / "manifests" / TICKS / f"{DAY}.json"
    (part,) = tmp_path.glob("ticks/*/*/*.parquet")
    staged = tmp_path / ".partial" / part.relative_to(tmp_path)
    staged.parent.mkdir(parents=True)
    part.rename(staged)
    manifest.rename(manifest.with_suffix(".json.next"))
    shutil.rmtree(tmp_path / "ticks")
    assert Archive(tmp_path).spans(TICKS) == {}
    assert len(list(faults(Archive(tmp_path)))) == 2
    keep(tmp_path, [])
    assert tree(tmp_path) == whole


def test_two_writers(tmp_path: Path) -> None:
    """The second is told who writes, and changes nothing; a lock that a killed run left locks nobody out."""
    holder = f"""
import sys, time
sys.path.insert(0, sys.argv[1])
from pathlib import Path
from consumers.archive.keeper import Keeper
with Keeper(Path({str(tmp_path)!r})):
    print("locked", flush=True)
    time.sleep(60)
"""
    with subprocess.Popen([sys.executable, "-c", holder, ROOT], stdout=subprocess.PIPE) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == b"locked\n"
        with pytest.raises(UsageError, match=rf"another `ashare archive` \(process {other.pid}\): wait"):
            keep(tmp_path, [BEFORE])
        os.kill(other.pid, signal.SIGKILL)
    keep(tmp_path, [BEFORE])
    assert Archive(tmp_path).spans(TICKS) == {0: [Span(0, 40)]}


def test_a_full_disk(tmp_path: Path) -> None:
    """A disk that takes no more is said with the file's name, and the archive is what it was."""
    keep(tmp_path, [BEFORE])
    before = tree(tmp_path)
    script = f"""
import resource, sys
sys.path.insert(0, sys.argv[1])
from pathlib import Path
from schemas import UsageError
from tests.consumers.archive.test_keeper import AFTER
from tests.consumers.archive.records import keep
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[2]), -1))
try:
    keep(Path({str(tmp_path)!r}), [AFTER])
except UsageError as error:
    print(error)
"""
    done = python(script, Path("1000"))
    assert (done.returncode, done.stderr) == (0, "")
    assert "part-000000000040-000000000069.parquet could not be written" in done.stdout
    assert "File too large" in done.stdout
    assert "nothing of the archive was changed" in done.stdout
    assert tree(tmp_path) == before


class Injected:
    """Raises an error at the n-th step that touches the disk, once."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, at: int, error: type[BaseException]) -> None:
        """From now on."""
        self.left = at
        self.error = error
        for owner, name in ((Path, "rename"), (os, "fsync"), (Path, "mkdir")):
            monkeypatch.setattr(owner, name, self.wrapped(getattr(owner, name)))

    def wrapped(self, real: Any) -> Any:
        """A call that counts."""

        def call(*arguments: Any, **named: Any) -> Any:
            self.left -= 1
            if self.left == 0:
                raise self.error(28, "No space left on device")
            return real(*arguments, **named)

        return call


@pytest.mark.parametrize("error", [KeyboardInterrupt, OSError])
def test_cut_short_at_any_step(tmp_path: Path, error: type[BaseException]) -> None:
    """Ctrl-C or a disk that refuses once: the run ends, and the next one ends as if nothing had been."""
    base, whole = tmp_path / "base", tmp_path / "whole"
    keep(base, [BEFORE])
    shutil.copytree(base, whole)
    keep(whole, [AFTER, ELSEWHERE])
    wanted = {name for name in tree(whole) if name.endswith(".parquet")}
    step = 0
    while True:
        step += 1
        place = tmp_path / f"{step:03d}"
        shutil.copytree(base, place)
        with pytest.MonkeyPatch.context() as patch:
            injected = Injected(patch, step, error)
            with contextlib.suppress(KeyboardInterrupt, UsageError):
                keep(place, [AFTER, ELSEWHERE])
        archive = Archive(place)
        for day in archive.manifests(TICKS):
            assert all((place / part.file).exists() for part in day.parts), step
        keep(place, [AFTER, ELSEWHERE])
        assert list(faults(archive)) == []
        assert {name for name in tree(place) if name.endswith(".parquet")} == wanted
        assert [name for name in tree(place) if ".partial" in name or name.endswith((".next", ".new"))] == []
        shutil.rmtree(place)
        if injected.left > 0:
            break
    assert step > 10


@pytest.mark.parametrize("times", [1, 10_000])
def test_a_disk_that_refuses_after_the_decision(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, times: int) -> None:
    """The parts stay where they are, and the error says that the next run finishes the day."""
    left = times
    real = Path.rename

    def refuse(path: Path, target: Path) -> Path:
        nonlocal left
        if not str(target).endswith(".next") and left:
            left -= 1
            raise OSError(28, "No space left on device")
        return real(path, target)

    monkeypatch.setattr(Path, "rename", refuse)
    with pytest.raises(UsageError, match="the next `ashare archive` finishes it"):
        keep(tmp_path, [BEFORE])
    monkeypatch.undo()
    keep(tmp_path, [])
    assert Archive(tmp_path).spans(TICKS) == {0: [Span(0, 40)]}
    assert list(faults(Archive(tmp_path))) == []
