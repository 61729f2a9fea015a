"""The watchlist's file: read, changed, saved."""

from __future__ import annotations

from pathlib import Path

import pytest

from producer.watchlist import file as watchlist
from schemas import UsageError


def test_codes_are_read_in_every_form_and_kept_in_one() -> None:
    """A line or a comma between them, comments, vendors' spellings, a JSON array; each once."""
    text = "# mine\n600519  # Moutai\n000001.SZ, sh600000\n\n600519\n000001.SSE\n"
    assert watchlist.parse(text) == ["600519", "000001", "600000", "000001.SSE"]
    assert watchlist.parse('["600519.SH","000001"]') == ["600519", "000001"]
    assert watchlist.codes(["600519,000001", "688981"]) == ["600519", "000001", "688981"]


@pytest.mark.parametrize(("text", "says"), [("600519\n60051", "line 2"), ("[600519]", "JSON"), ("*", "line 1")])
def test_what_is_no_code_is_refused_where_it_stands(text: str, says: str) -> None:
    """The line is named."""
    with pytest.raises(UsageError, match=says):
        watchlist.parse(text, "list.txt")


def test_a_file_is_saved_whole_and_keeps_its_comments(tmp_path: Path) -> None:
    """Lines that stay are as they were; what is added comes at the end; a new file says what it is."""
    path = tmp_path / "lists" / "watch.txt"
    watchlist.save(path, ["600519"])
    assert watchlist.load(path) == ["600519"]
    assert path.read_text().startswith("#")
    path.write_text("# banks\n600000, 000001  # the two\n\n600519 # spirits\n")
    watchlist.save(path, ["600000", "688981", "600519"])
    assert path.read_text() == "# banks\n600000  # the two\n\n600519 # spirits\n688981\n"
    assert list(path.parent.iterdir()) == [path]


def test_a_json_file_stays_json(tmp_path: Path) -> None:
    """Whoever wrote it reads it so."""
    path = tmp_path / "watch.json"
    path.write_text('["600519"]')
    watchlist.save(path, ["600519", "000001"])
    assert path.read_text() == '["600519","000001"]\n'


def test_a_list_that_is_not_there_or_no_text_is_said(tmp_path: Path) -> None:
    """With the command that makes one."""
    with pytest.raises(UsageError, match="ashare watchlist add"):
        watchlist.load(tmp_path / "none.txt")
    (tmp_path / "binary").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(UsageError, match="can't be read"):
        watchlist.load(tmp_path / "binary")
    assert watchlist.stamp(tmp_path / "none.txt") is None


def test_adding_twice_and_removing_what_is_not_there_change_nothing() -> None:
    """Order is kept."""
    assert watchlist.changed(["a", "b", "c"], add=["b", "d"], remove=["c", "x"]) == ["a", "b", "d"]
