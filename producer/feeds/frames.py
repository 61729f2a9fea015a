"""What becomes of a frame as a whole: a dead letter, an answer, or the ticks of its parts, within the bounds."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import msgspec
import orjson

from producer.feeds.decoded import Answer, AnswerKind, Decoded, Letter
from producer.feeds.errors import UNREADABLE, LimitError, UnreadableError
from producer.feeds.limits import (
    ANSWER_BYTES,
    ANSWERS_A_FRAME,
    BAD_TICKS_A_FRAME,
    DOCUMENTS_A_FRAME,
    LETTERS_A_FRAME,
    PARTS_A_FRAME,
)

THROTTLED_SECONDS = 60.0
"""How long to ask nothing of a server that is throttling, where it does not say."""

Element = bytes | msgspec.Raw

_BETWEEN = re.compile(rb"[}\]][ \t\r\n]*[{\[]")
_REASON_LENGTH = 300


def reason(text: str) -> str:
    """A reason as one short printable line: it travels in a header."""
    line = "".join(c if c.isprintable() else "?" for c in text[: _REASON_LENGTH + 1])
    return line if len(line) <= _REASON_LENGTH else line[: _REASON_LENGTH - 1] + "…"


def words(message: object) -> str:
    """A server's message as one short printable line."""
    if isinstance(message, str):
        return reason(message)
    try:
        return reason(orjson.dumps(message, option=orjson.OPT_PASSTHROUGH_SUBCLASS, default=str).decode())
    except (TypeError, ValueError, RecursionError):  # orjson has no integers of more than 64 bits
        return "a message that can't be shown"


def refused(payload: bytes, why: str) -> Decoded:
    """A frame that goes to the dead letters whole."""
    return Decoded([], [Letter(payload, reason(why), "frame")], [])


def limited(payload: bytes, error: UnreadableError) -> Decoded:
    """The dead letter of a frame that can't be read, perhaps because it exceeds a bound."""
    decoded = refused(payload, str(error))
    if isinstance(error, LimitError):
        decoded.limited = {error.bound: 1}
    return decoded


def answer(
    kind: AnswerKind, text: str, *, codes: tuple[str, ...] | None = None, whole: bool = False, trades_only: bool = False
) -> Answer:
    """An answer of the server's; one that throttles asks for silence of ``THROTTLED_SECONDS``."""
    wait = THROTTLED_SECONDS if kind == "throttled" else None
    return Answer(kind, text, trades_only=trades_only, codes=codes, whole=whole, wait=wait)


def answered(answer: Answer) -> Decoded:
    """A frame that is an answer."""
    return Decoded([], [], [answer])


def message_of(payload: bytes) -> Any:
    """A message that is not a push of ticks.

    Raises:
        UnreadableError: it is too large.
        msgspec.DecodeError, UnicodeDecodeError, RecursionError: it is not JSON.
    """
    if len(payload) > ANSWER_BYTES:
        raise too_large(payload)
    return msgspec.json.decode(payload)


def too_large(payload: bytes) -> UnreadableError:
    """Why a large frame without a readable tick is not looked into; where it holds several documents, a bound is."""
    if _BETWEEN.search(payload) is not None:
        return LimitError("documents", f"JSON documents in one frame of {len(payload):,} bytes: they were not read")
    return UnreadableError(f"no ticks: {len(payload):,} bytes, too many for an answer")


def within_parts(payload: bytes) -> bytes:
    """The frame, whose elements are to be read one by one.

    Raises:
        LimitError: there are too many.
    """
    if payload.count(b",") > PARTS_A_FRAME:
        raise LimitError("parts", f"more than {PARTS_A_FRAME:,} parts in one frame, and it can't be read as ticks")
    return payload


def one_by_one(payload: bytes, elements: Iterable[Element], read: Callable[[Element, Decoded], None]) -> Decoded:
    """Read each element of a frame for itself; what can't be read is a letter of its own, byte for byte.

    Args:
        read: puts what an element is into the result; raises what the typed decoders do, or ``UnreadableError``.
    """
    decoded = Decoded([], [], [])
    bad = 0
    for element in elements:
        try:
            read(element, decoded)
        except UNREADABLE as error:
            bad += 1
            if bad <= LETTERS_A_FRAME:
                decoded.letters.append(Letter(bytes(element), reason(_why(error)), "tick"))
            elif bad > BAD_TICKS_A_FRAME:
                break
    if bad > LETTERS_A_FRAME:
        others = "the others were forwarded" if bad <= BAD_TICKS_A_FRAME else "what follows them was not read"
        why = f"{bad} ticks could not be read, {others}: {decoded.letters[0].reason}"
        decoded.letters = [Letter(payload, reason(why), "frame")]
        decoded.limited = {"ticks": bad}
    return _few_answers(decoded)


def together(payload: bytes, merged: Sequence[bytes], read: Callable[[bytes], Decoded]) -> Decoded:
    """What the several documents of a frame hold, as one; the packet is the last one's.

    Of more than ``DOCUMENTS_A_FRAME``, the first are read, and the frame is a letter whole.
    """
    whole = Decoded([], [], [])
    limited: Counter[str] = Counter()
    for document in merged[:DOCUMENTS_A_FRAME]:
        part = read(document)
        whole.ticks += part.ticks
        whole.letters += (Letter(letter.payload, letter.reason, "tick") for letter in part.letters)
        whole.answers += part.answers
        whole.packet = part.packet or whole.packet
        whole.repeats += part.repeats
        whole.unpriced += part.unpriced
        limited.update(part.limited or {})
    if len(merged) > DOCUMENTS_A_FRAME:
        limited["documents"] += 1
        why = f"more than {DOCUMENTS_A_FRAME:,} JSON documents in one frame: those beyond were not read"
        whole.letters = [Letter(payload, why, "frame")]
    elif len(whole.letters) > LETTERS_A_FRAME:
        limited["ticks"] += len(whole.letters)
        why = f"{len(whole.letters)} ticks could not be read: {whole.letters[0].reason}"
        whole.letters = [Letter(payload, reason(why), "frame")]
    whole.limited = dict(limited) or None
    return _few_answers(whole)


def _why(error: Exception) -> str:
    """What is wrong, as a dead letter's reason begins."""
    return str(error) if isinstance(error, UnreadableError | msgspec.ValidationError) else f"not JSON: {error}"


def _few_answers(decoded: Decoded) -> Decoded:
    beyond = len(decoded.answers) - ANSWERS_A_FRAME
    if beyond > 0:
        del decoded.answers[ANSWERS_A_FRAME:]
        decoded.limited = {**(decoded.limited or {}), "answers": beyond}
    return decoded
