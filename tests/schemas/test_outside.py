"""Text that was not written by us, made fit to be shown, and read in the encoding that it has."""

from __future__ import annotations

import json
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.outside import encoding_of, printable, printable_json, printable_lines

HOSTILE = [
    "\x1b[31mred\x1b[0m",
    "\x1b]0;title\x07",
    "a\nforged 2026-11-20 INFO all is well",
    "a\rb",
    "\x9b31m",
    "\x7f",
    "\u202egnp.exe",
    "\u200b\ufeff",
    "\u2028\u2029",
    "\ud800",
    "\x00",
    "\U000e0041",
]


@pytest.mark.parametrize("text", HOSTILE)
def test_nothing_that_a_terminal_obeys_gets_through(text: str) -> None:
    """As escapes it can be read, and does nothing."""
    assert obeyed(printable(text)) == []
    assert "\n" not in printable(text)
    assert obeyed(printable_lines(text).replace("\n", "")) == []
    assert obeyed(printable_json(text)) == []


@given(st.text(st.characters(exclude_categories=[])) | st.binary())
def test_any_text_becomes_one_printable_line(text: str | bytes) -> None:
    """What is printable stays as it was; doing it twice changes nothing more."""
    shown = printable(text)
    assert obeyed(shown) == []
    assert printable(shown) == shown
    if isinstance(text, str) and text.isprintable():
        assert shown == text


@given(st.recursive(st.text() | st.integers() | st.none(), lambda x: st.lists(x) | st.dictionaries(st.text(), x)))
def test_json_means_the_same_afterwards(value: object) -> None:
    """Raw or escaped, in one line or in many."""
    for text in (json.dumps(value), json.dumps(value, ensure_ascii=False), json.dumps(value, indent=1)):
        shown = printable_json(text)
        assert obeyed(shown) == []
        assert json.loads(shown) == value


def test_chinese_and_its_spaces_stay_as_they_are() -> None:
    """Nothing of an ordinary name is escaped."""
    assert printable("贵州茅台\u3000A股 ¥1,500") == "贵州茅台\u3000A股 ¥1,500"
    assert printable("a" * 10, 4) == "aaaa…"


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "gbk", "gb18030", "utf-16"])
def test_the_encoding_of_a_chinese_text_is_told(encoding: str) -> None:
    """By its first bytes, which may end within a character."""
    text = "代码,名称\n600519,贵州茅台\n"
    data = text.encode(encoding)
    assert data.decode(encoding_of(data)) == text
    assert encoding_of(data[:3]) == encoding_of(data)


def obeyed(text: str) -> list[str]:
    """Characters that do something instead of showing."""
    return [one for one in text if unicodedata.category(one) in {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}]
