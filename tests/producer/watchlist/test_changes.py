"""No change of a watchlist is lost, whoever makes it."""

from __future__ import annotations

import subprocess
import sys
import threading
from pathlib import Path

import pytest

from producer.watchlist import file as watchlist
from producer.watchlist.watch import Watch
from schemas import UsageError


def test_what_was_written_into_the_file_is_read_before_it_is_changed(tmp_path: Path) -> None:
    """A running producer has not looked at the file since; both changes stay."""
    path = tmp_path / "codes.txt"
    watchlist.save(path, ["000001"])
    taken: list[list[str]] = []
    watch = Watch(path, ["000001"], lambda codes: taken.append(list(codes)))
    watchlist.save(path, ["000001", "600519"])
    assert watch.change(add=["600036"]) == ["000001", "600519", "600036"]
    assert watchlist.load(path) == taken[-1] == watch.codes == ["000001", "600519", "600036"]
    watchlist.save(path, ["000001"])
    assert watch.change(codes=["688981"]) == ["688981"]  # another list is another list


def test_a_file_that_cannot_be_read_is_not_overwritten(tmp_path: Path) -> None:
    """Somebody is in the middle of something: nothing changes, and it is said."""
    path = tmp_path / "codes.txt"
    watchlist.save(path, ["000001"])
    watch = Watch(path, ["000001"], lambda _: None)
    path.write_text("000001\nnonsense\n")
    with pytest.raises(UsageError, match="line 2"):
        watch.change(add=["600036"])
    assert path.read_text() == "000001\nnonsense\n"
    assert watch.codes == ["000001"]


def test_commands_at_the_same_time_lose_nothing(tmp_path: Path) -> None:
    """Each adds codes of its own to the same file."""
    path = tmp_path / "codes.txt"
    codes = [f"6005{number}" for number in range(10, 18)]

    def add(code: str) -> None:
        subprocess.run(
            [sys.executable, "-m", "cli", "watchlist", "add", code, "--watchlist", str(path)],
            check=True, capture_output=True,
        )  # fmt: skip

    threads = [threading.Thread(target=add, args=(code,)) for code in codes]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(watchlist.load(path)) == codes


def test_a_lock_that_is_held_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """After a second; nothing has changed then."""
    monkeypatch.setattr(watchlist, "LOCK_SECONDS", 0.05)
    path = tmp_path / "codes.txt"
    with watchlist.locked(path), pytest.raises(UsageError, match="is being changed by another process: try again"):
        Watch(path, ["000001"], lambda _: None).change(add=["600519"])
    assert not path.exists()


def test_a_code_that_was_not_there_to_remove_is_said(tmp_path: Path) -> None:
    """The others are removed all the same."""
    path = tmp_path / "codes.txt"
    watchlist.save(path, ["000001", "600519"])
    done = subprocess.run(
        [sys.executable, "-m", "cli", "watchlist", "remove", "600519", "600036", "--watchlist", str(path)],
        check=True, capture_output=True, text=True,
    )  # fmt: skip
    assert done.stderr == "ashare: not in the list: 600036\n"
    assert watchlist.load(path) == ["000001"]
