"""Files that people write: in the encoding of their editor, and a secret's without anything around it."""

from __future__ import annotations

import codecs
from pathlib import Path

import pytest

from schemas import UsageError
from schemas.text_files import read_secret

SECRET = "t0ken-9f/é"


@pytest.mark.parametrize(
    "content",
    [
        SECRET.encode(),
        f" {SECRET}\r\n".encode(),
        codecs.BOM_UTF8 + f"{SECRET}\n".encode(),
        codecs.BOM_UTF16_LE + f"{SECRET}\r\n".encode("utf-16-le"),
        codecs.BOM_UTF16_BE + SECRET.encode("utf-16-be"),
    ],
)
def test_a_secret_is_what_its_file_holds_whatever_editor_wrote_it(content: bytes, tmp_path: Path) -> None:
    """A mark, spaces and line ends around it are not part of it."""
    (tmp_path / "file").write_bytes(content)
    assert read_secret(tmp_path / "file", "SETTING") == SECRET


@pytest.mark.parametrize(
    ("content", "why"),
    [
        ("密码密码".encode("gbk"), "save .* as UTF-8"),
        (codecs.BOM_UTF16_LE + b"a", "save .* as UTF-8"),
        (f"{SECRET}\n{SECRET}\n".encode(), "several lines"),
        (f"{SECRET}\0".encode(), "not text"),
        (b"a" * 100_000, "not text"),
        (None, "can't be read: Is a directory"),
    ],
)
def test_what_is_no_secret_is_refused_and_not_shown(content: bytes | None, why: str, tmp_path: Path) -> None:
    """Neither in the error nor in what it came from; the setting and the fix are named."""
    path = tmp_path / "file"
    if content is None:
        path.mkdir()
    else:
        path.write_bytes(content)
    with pytest.raises(UsageError, match=f"(?s)SETTING.*{why}") as refused:
        read_secret(path, "SETTING")
    assert SECRET not in str(refused.value)
    assert content is None or refused.value.__cause__ is None
