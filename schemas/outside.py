"""Text that was not written by us: read in the encoding that it has, made fit for a terminal, a log and a record.

What is made fit to be shown holds no secret either that this process was given (``schemas.secrets``).
"""

from __future__ import annotations

import codecs
import re

from schemas.secrets import masked

_SPACES = frozenset("\u00a0\u3000")
"""Spaces that Python counts as not printable, and that do no harm: Chinese text has them."""
_NOT_PRINTABLE = re.compile(r"[^ -~]")
_SAMPLE = 1 << 20


def printable(text: str | bytes, longest: int | None = None) -> str:
    r"""The text in one line, with everything that a terminal or a log reader could obey written as an escape.

    Control characters, escape sequences, line ends, marks that turn the writing direction or show nothing, and lone
    surrogates become ``\x1b``, ``\n``, ``\u202e``. All else stays as it is, so that text of ours is unchanged.

    Args:
        longest: characters kept; what is cut off leaves an ellipsis.
    """
    if isinstance(text, bytes):
        text = text.decode("utf-8", "backslashreplace")
    text = masked(text)
    if longest is not None and len(text) > longest:
        text = text[:longest] + "…"
    return text if text.isprintable() else _NOT_PRINTABLE.sub(_escaped, text)


def printable_lines(text: str) -> str:
    """As ``printable``, and line feeds stay: for texts of several lines, as the end of a server's log."""
    return "\n".join(map(printable, masked(text).split("\n")))


def printable_json(text: str) -> str:
    r"""A JSON text in one line that means the same and holds nothing that a terminal could obey.

    Line ends can only stand between values there, and what is not printable only within texts, as ``\u001b``.
    What is not JSON becomes harmless as well.
    """
    text = masked(text)
    return text if text.isprintable() else _NOT_PRINTABLE.sub(_json_escaped, text)


def encoding_of(start: bytes) -> str:
    """The encoding of a text by its beginning: UTF-8 or UTF-16 with a mark, UTF-8, or else GB18030, as GBK is called.

    Args:
        start: the first bytes, a MiB is enough; they may end within a character.
    """
    if start.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "utf-16"
    for encoding in ("utf-8-sig", "gb18030"):
        try:
            codecs.getincrementaldecoder(encoding)().decode(start[:_SAMPLE])
        except UnicodeDecodeError:
            continue
        return encoding
    return "utf-8-sig"


def _escaped(match: re.Match[str]) -> str:
    character = match[0]
    if character.isprintable() or character in _SPACES:
        return character
    return character.encode("unicode_escape", "backslashreplace").decode("ascii")


def _json_escaped(match: re.Match[str]) -> str:
    character = match[0]
    if character.isprintable() or character in _SPACES:
        return character
    if character in "\n\r\t":
        return " "
    point = ord(character)
    if point < 0x10000:
        return f"\\u{point:04x}"
    return f"\\u{0xD800 + (point - 0x10000 >> 10):04x}\\u{0xDC00 + (point - 0x10000 & 0x3FF):04x}"
