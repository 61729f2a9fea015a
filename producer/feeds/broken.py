"""Find the ticks in a frame that is not JSON, so that one ``NaN`` does not cost its neighbours.

Brackets are counted outside of strings, once over the frame: time grows with its length alone. Whether what is found
is a tick is for the strict decoder to say; nothing is repaired here.
"""

from __future__ import annotations

import re
from itertools import islice
from typing import NamedTuple

from producer.feeds.limits import ELEMENTS_A_FRAME

_BLANK = b" \t\r\n"
_KEY = b'"ticks"'
_DEEPEST = 100
"""Ticks are flat. What nests deeper than this is no tick, and not worth following."""
_TOKENS = 500_000
"""Brackets, commas and texts before ``ticks``, or within one element: what has more of them is no tick."""
# A string runs to its closing quote or, where that is missing, to the end: without the second, a frame of escaped
# quotes would be scanned once for each of them.
_STRING = rb'"(?:[^"\\]++|\\.)*+(?:"|\\?\Z)'
_TOKEN = re.compile(_STRING + rb"|[{}\[\],:]", re.DOTALL)
_BORDER = re.compile(_STRING + rb"|[{}\[\],]", re.DOTALL)
_FLAT_ELEMENT = re.compile(rb'[ \t\r\n]*+(\{(?:[^{}\[\]"]++|"(?:[^"\\]++|\\.)*+")*+\})[ \t\r\n]*+(?=[,\]])', re.DOTALL)
_FLAT_OBJECT = re.compile(rb"\{[^{}]*+\}")


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
