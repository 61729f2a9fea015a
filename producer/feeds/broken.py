"""What a frame that is not JSON may be all the same: words, several documents, or ticks beside something broken.

Each function passes once over the frame: time grows with its length alone. Whether what is found is a tick is for the
strict decoder to say; nothing is repaired here.
"""

from __future__ import annotations

import json
import re
from itertools import islice
from typing import NamedTuple

import msgspec

from producer.feeds.errors import NOT_JSON
from producer.feeds.frames import reason
from producer.feeds.limits import ANSWER_BYTES, DOCUMENTS_A_FRAME, ELEMENTS_A_FRAME, MERGED_BYTES

_LONGEST_SENTENCE = 1_000
_QUOTED_BYTES = 2 << 20
_CONSTANT = re.compile(rb'"(?:[^"\\]++|\\.)*+(?:"|\\?\Z)|-?\bInfinity\b|\b[Nn]a[Nn]\b', re.DOTALL)
_MARK = " (not JSON)"
_MARKED = re.compile(rb'"(-?Infinity|[Nn]a[Nn]) \(not JSON\)"')
_BLANK = b" \t\r\n"
_KEY = b'"ticks"'
_DEEPEST = 100
"""Ticks are flat. What nests deeper than this is not a tick."""
_TOKENS = 500_000
"""Brackets, commas and texts before ``ticks``, or within one element: what has more of them is not a tick."""
# A string runs to its closing quote or, where that is missing, to the end: without the second, a frame of escaped
# quotes would be scanned once for each of them.
_STRING = rb'"(?:[^"\\]++|\\.)*+(?:"|\\?\Z)'
_TOKEN = re.compile(_STRING + rb"|[{}\[\],:]", re.DOTALL)
_BORDER = re.compile(_STRING + rb"|[{}\[\],]", re.DOTALL)
_FLAT_ELEMENT = re.compile(rb'[ \t\r\n]*+(\{(?:[^{}\[\]"]++|"(?:[^"\\]++|\\.)*+")*+\})[ \t\r\n]*+(?=[,\]])', re.DOTALL)
_FLAT_OBJECT = re.compile(rb"\{[^{}]*+\}")


def is_json(data: bytes) -> bool:
    """Whether it is JSON, of no more bytes than an answer has."""
    if len(data) > ANSWER_BYTES:
        return False
    try:
        msgspec.json.decode(data)
    except NOT_JSON:
        return False
    return True


def sentence(payload: bytes) -> str | None:
    """The words of a text that is plainly not JSON: greetings are. ``None`` for anything else."""
    if not payload or len(payload) > _LONGEST_SENTENCE or payload.lstrip()[:1] in {b"{", b"[", b""}:
        return None
    try:
        text = payload.decode()
    except UnicodeDecodeError:
        return None
    return reason(text.strip()) if text.strip().isprintable() else None


def documents(payload: bytes) -> list[bytes] | None:
    """The JSON texts of a frame into which several were merged; ``None`` where that is not what it is.

    One more than ``DOCUMENTS_A_FRAME`` of them, the last of them the rest, where there are more.
    """
    if len(payload) > MERGED_BYTES:
        return None
    try:
        text = payload.decode()
    except UnicodeDecodeError:
        return None
    decoder = json.JSONDecoder()
    found: list[bytes] = []
    start, end = 0, len(text.rstrip())
    while start < end:
        if text[start].isspace():
            start += 1
            continue
        if text[start] not in "{[":
            return None
        if len(found) >= DOCUMENTS_A_FRAME:
            found.append(text[start:].encode())
            break
        try:
            _, stop = decoder.raw_decode(text, start)
        except (ValueError, RecursionError):
            return None
        found.append(text[start:stop].encode())
        start = stop
    return found if len(found) > 1 else None


def quoted(data: bytes) -> bytes | None:
    """JSON in which ``NaN`` and ``Infinity``, as some libraries write them, have become texts that nothing reads.

    So they cost no more than the field that they stand in. ``None`` where there are none.
    """
    if len(data) > _QUOTED_BYTES or not (b"Infinity" in data or b"NaN" in data or b"nan" in data):
        return None
    if _MARKED.search(data) is not None:
        return None
    found = _CONSTANT.sub(_quote, data)
    return None if found == data else found


def unquoted(data: bytes) -> bytes:
    """What ``quoted`` was given."""
    return _MARKED.sub(rb"\1", data)


def _quote(match: re.Match[bytes]) -> bytes:
    text = match[0]
    return text if text.startswith(b'"') else b'"' + text + _MARK.encode() + b'"'


class Pieces(NamedTuple):
    """The elements of ``ticks``, and the frame without them; ``closed`` is false where the array has no end."""

    elements: list[bytes]
    envelope: bytes
    closed: bool


def pieces(frame: bytes) -> Pieces | None:
    """Split the elements of the top-level array ``ticks``; ``None`` where there is no such array.

    Where the array never ends (a frame cut short, or a quote missing, which turns strings inside out from there on),
    the rest is taken as flat objects, as ticks are. At most ``ELEMENTS_A_FRAME`` are given; then, too, ``closed`` is
    false.
    """
    if not frame.lstrip(_BLANK).startswith(b"{"):
        return None
    begin = start = _array(frame)
    if not begin:
        return None
    elements: list[bytes] = []
    while True:
        flat = _FLAT_ELEMENT.match(frame, start)
        end = flat.end() if flat else _element_end(frame, start)
        if end is None:
            rest = (match[0] for match in _FLAT_OBJECT.finditer(frame, start))
            elements += islice(rest, ELEMENTS_A_FRAME - len(elements))
            return Pieces(elements, frame[:begin], closed=False)
        element = flat[1] if flat else frame[start:end].strip(_BLANK)
        if element:
            elements.append(element)
        if frame[end] != ord(","):
            return Pieces(elements, frame[:begin] + frame[end:], closed=frame[end] == ord("]"))
        if len(elements) >= ELEMENTS_A_FRAME:
            return Pieces(elements, frame[:begin], closed=False)
        start = end + 1


def _array(frame: bytes) -> int:
    """Where the content of the top-level array ``ticks`` begins, 0 without one."""
    depth, before, key = 0, b"", b""
    for match in islice(_TOKEN.finditer(frame), _TOKENS):
        token = match[0]
        if depth == 1 and token == b"[" and before == b":" and key == _KEY:
            return match.end()
        if token in b"{[":
            depth += 1
            if depth > _DEEPEST:
                break
        elif token in b"}]":
            depth -= 1
        elif token == b":" and depth == 1:
            key = before
        before = token
    return 0


def _element_end(frame: bytes, start: int) -> int | None:
    """Where the element that starts here ends: at a comma or bracket of the array's own; ``None`` without one."""
    depth = 0
    for match in islice(_BORDER.finditer(frame, start), _TOKENS):
        token = match[0]
        if token in b"{[":
            depth += 1
            if depth > _DEEPEST:
                break
        elif depth and token in b"}]":
            depth -= 1
        elif not depth and token in b",]}":
            return match.start()
    return None
