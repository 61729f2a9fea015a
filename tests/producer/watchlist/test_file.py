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
    for content in (b"\xff\xfe\x00", b"600519\n\x00\x01", b"600519 \x80\xff\n"):
        (tmp_path / "binary").write_bytes(content)
        for use in (watchlist.load, lambda path: watchlist.save(path, ["600519"])):
            with pytest.raises(UsageError, match="save it as UTF-8"):
                use(tmp_path / "binary")
        assert (tmp_path / "binary").read_bytes() == content
    assert watchlist.stamp(tmp_path / "none.txt") is None


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "gbk", "gb18030", "utf-16"])
def test_a_list_is_read_in_the_encoding_of_its_editor(encoding: str, tmp_path: Path) -> None:
    """With Chinese comments and separators; a change keeps what is written there, in UTF-8."""
    path = tmp_path / "watch.txt"
    path.write_bytes(
        "# 自选股\r\n600519 # 贵州茅台\r\n000001\uff0c600000\u3001688981\u3000\uff03 银行\r\n".encode(encoding)
    )
    assert watchlist.load(path) == ["600519", "000001", "600000", "688981"]
    watchlist.save(path, ["600519", "600000", "300750"])
    assert path.read_text("utf-8") == "# 自选股\n600519 # 贵州茅台\n600000  # 银行\n300750\n"
    assert watchlist.load(path) == ["600519", "600000", "300750"]
    path.write_bytes('["600519"]'.encode(encoding))
    assert watchlist.load(path) == ["600519"]


def test_adding_twice_and_removing_what_is_not_there_change_nothing() -> None:
    """Order is kept."""
    assert watchlist.changed(["a", "b", "c"], add=["b", "d"], remove=["c", "x"]) == ["a", "b", "d"]
