"""How a feed's values are read: numbers, times and sizes as vendors write them, or a refusal that names the field.

Nothing here does I/O.
"""

from __future__ import annotations

import json
import math
import re
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from datetime import date
from functools import lru_cache
from typing import Any

import msgspec
import orjson

from market.times import DAY_MS, EARLIEST, LATEST, TimeError, parse_time, shanghai_time
from producer.feeds.decoded import Decoded, Letter
from producer.feeds.limits import (
    ANSWER_BYTES,
    ANSWERS_A_FRAME,
    BAD_TICKS_A_FRAME,
    DOCUMENTS_A_FRAME,
    LETTERS_A_FRAME,
    MERGED_BYTES,
    PARTS_A_FRAME,
)
from producer.feeds.provider import TimeUnit
from schemas.bounds import INT64, MAX_PRICE, MAX_TURNOVER, MAX_VOLUME

LOWEST_PRICE, HIGHEST_PRICE = 0.0001, MAX_PRICE
"""Yuan. The smallest is the unit in which prices are compared."""

NOT_JSON = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)

_SEQ_RANGE = range(-INT64, INT64 + 1)
_EPOCH_DAY = date(1970, 1, 1).toordinal()
_SHANGHAI_MS = 8 * 3_600_000
_NUMBER = re.compile(r"[+-]?\d{1,25}(?:\.\d{1,25})?(?:[eE][+-]?\d{1,3})?", re.ASCII)
_WHOLE = re.compile(r"[+-]?\d{1,20}", re.ASCII)
_BETWEEN = re.compile(rb"[}\]][ \t\r\n]*[{\[]")
_REASON_LENGTH = 300
_LONGEST_SENTENCE = 1_000
_DECIMALS = 3  # of a yuan: a fund's tick size, and a tenth of a share's
_MONEY_DECIMALS = 4
_NEARLY_WHOLE = 1e-6
_DIGITS_OF_MS, _SAFE_DIGITS = 13, 19
_LATEST_NS = LATEST * 1_000_000
_MS_PER = {"s": 1000.0, "ms": 1.0, "us": 1e-3, "ns": 1e-6}

_parsed_time = lru_cache(maxsize=8_192, typed=True)(parse_time)  # texts of one second come by the hundred


class RefusedError(ValueError):
    """The value can't be read; the text names the field. Of code, price and time, it refuses the tick."""


class LimitError(RefusedError):
    """A frame goes beyond a bound of ``producer.feeds.limits``, whose name is ``bound``."""

    def __init__(self, bound: str, text: str) -> None:
        """It is to be a dead letter whole."""
        super().__init__(text)
        self.bound = bound


def number(text: str, field: str) -> float:
    """The number that a text spells; never NaN or infinite.

    Raises:
        RefusedError: it is none.
    """
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    # Python also takes 1_0, digits of other scripts, nan and inf.
    if not -math.inf < value < math.inf or "_" in text or not text.isascii():
        raise RefusedError(f"{field}: {text.strip()[:60]!r} is not a number")
    return value


def no_price(price: object) -> str:
    """Why a number is no price."""
    if price == 0:
        return "price: 0 is no price (suspended, or not traded yet)"
    return f"price: {short(price)} is outside of {LOWEST_PRICE} to {HIGHEST_PRICE:.0f} yuan"


def price(value: float | str, *, chinese: bool = True) -> float:
    """A price; 0 where there is none, and what is negative or too large refused.

    Args:
        chinese: yuan, freed of what binary floats leave behind: 1700.010009765625 is 1700.01. The exchanges' tick
            sizes are not enforced, that is the quality gate's.

    Raises:
        RefusedError: no number, or out of range.
    """
    if isinstance(value, str):
        value = number(value, "price")
    if value == 0:
        return 0.0
    if not LOWEST_PRICE <= value <= HIGHEST_PRICE:
        raise RefusedError(no_price(value))
    return round(value, _DECIMALS if value > 1 else _DECIMALS + 1) if chinese else float(value)


def moment(value: float | str, received: int) -> int:
    """A time in ms, whatever its unit; a bare time of day is of the Shanghai date of ``received`` (µs).

    Raises:
        RefusedError: it is none.
    """
    if isinstance(value, str) and len(value) == _DIGITS_OF_MS and value.isdecimal() and value.isascii():
        ms = int(value)
        if EARLIEST <= ms < LATEST:
            return ms
    try:
        return _parsed_time(value, today=_today(received))
    except (ValueError, OverflowError) as error:
        raise RefusedError(f"time: {error}") from error


def clock(unit: TimeUnit) -> Callable[[float | str, int], int]:
    """``moment``, but for numbers in a unit that is known."""
    if unit == "auto":
        return moment
    factor = _MS_PER[unit]

    def known(value: float | str, received: int) -> int:
        if isinstance(value, str) and not _NUMBER.fullmatch(value.strip()):
            return moment(value, received)
        units = number(value, "time") if isinstance(value, str) else value
        if not 0 <= units <= _LATEST_NS:
            raise RefusedError(_no_time(value, unit))
        # A whole number of a fine unit has more digits than a float.
        exact = int(value) if isinstance(value, str) and _WHOLE.fullmatch(value.strip()) else units
        divisor = round(1 / factor) if factor < 1 else 1
        ms = exact // divisor if isinstance(exact, int) and divisor > 1 else round(units * factor)
        if not EARLIEST <= ms < LATEST:
            raise RefusedError(_no_time(value, unit))
        return int(ms)

    return known


def at_once_between(unit: TimeUnit) -> tuple[int, int]:
    """Whole numbers from the first up to the second, itself excluded, are the time in ms as they are."""
    return (EARLIEST, LATEST) if unit in {"auto", "ms"} else (0, 0)


def _no_time(value: float | str, unit: TimeUnit) -> str:
    """Why a number is no time in a unit that was given, and which time it would be in its own."""
    text = f"time: {short(value)} {unit} is no time between 1992 and 2099"
    try:
        ms = parse_time(value)
    except (TimeError, OverflowError):
        return text
    return f"{text}; without --time-unit {unit} it is {shanghai_time(ms)}"


def _today(received: int) -> date:
    """The Shanghai date of a local time in µs since the epoch."""
    return date.fromordinal(_EPOCH_DAY + (received // 1000 + _SHANGHAI_MS) // DAY_MS)


def quantity(value: float | str) -> int | float | None:
    """A volume of 0 and more, ``None`` for an empty text.

    Raises:
        RefusedError: it is none.
    """
    if isinstance(value, str):
        if not value.strip():
            return None
        value = number(value, "volume")
    if not 0 <= value <= MAX_VOLUME:
        raise RefusedError(f"volume: {short(value)} is not between 0 and {MAX_VOLUME:.0e} shares")
    return int(value) if value == int(value) else value


def shares(value: float | str | None, per_unit: int) -> int | float | None:
    """A volume in shares, from units of so many.

    Raises:
        RefusedError: it is none.
    """
    if value is None:
        return None
    found = quantity(value)
    if found is None or per_unit == 1:
        return found
    if found * per_unit > MAX_VOLUME:
        raise RefusedError(f"volume: {short(value)} lots are more than {MAX_VOLUME:.0e} shares")
    return nearly_whole(found * per_unit)


def nearly_whole(value: float) -> int | float:
    """A whole number where only a float's error makes it none: 0.07 lots are 7 shares."""
    near = round(value)
    return near if abs(value - near) < _NEARLY_WHOLE else value


def amount(value: float | str) -> float | None:
    """A turnover of 0 and more, ``None`` for an empty text.

    Raises:
        RefusedError: it is none.
    """
    if isinstance(value, str):
        if not value.strip():
            return None
        value = number(value, "turnover")
    if not 0 <= value <= MAX_TURNOVER:
        raise RefusedError(f"turnover: {short(value)} is not between 0 and {MAX_TURNOVER:.0e} yuan")
    return value


def computed(price: float, volume: float | None) -> float | None:
    """The turnover of so many shares at a price.

    Raises:
        RefusedError: it is more than any.
    """
    if volume is None:
        return None
    value = float(round(price * volume, _MONEY_DECIMALS))
    if value > MAX_TURNOVER:
        raise RefusedError(f"turnover: {short(value)} is not between 0 and {MAX_TURNOVER:.0e} yuan")
    return value


def close(value: float | str) -> float | None:
    """A previous close, ``None`` for 0 and an empty text.

    Raises:
        RefusedError: it is none.
    """
    if isinstance(value, str):
        if not value.strip():
            return None
        value = number(value, "previous_close")
    if value == 0:
        return None
    if not LOWEST_PRICE <= value <= HIGHEST_PRICE:
        raise RefusedError(f"previous_close: {short(value)} is outside of {LOWEST_PRICE} to {HIGHEST_PRICE:.0f} yuan")
    return value


def sequence(value: int | str) -> int | None:
    """A number of 64 bits, ``None`` for an empty text.

    Raises:
        RefusedError: it is none.
    """
    if isinstance(value, str):
        if not (value.isdecimal() and value.isascii() and len(value) < _SAFE_DIGITS):
            if not value.strip():
                return None
            if not _WHOLE.fullmatch(value.strip()):
                raise RefusedError(f"seq: {value[:60]!r} is not a whole number")
        value = int(value)
    if value not in _SEQ_RANGE:
        raise RefusedError(f"seq: {short(value)} does not fit 64 bits")
    return value


def small(value: object) -> int | None:
    """A message's number, as number or text; ``None`` for anything else."""
    if isinstance(value, str) and value.isascii() and value.isdecimal() and len(value) < 10:
        return int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) and abs(value) < 10**9 else None


def short(value: object) -> str:
    """A value as an error may show it."""
    try:
        return repr(value)[:60]
    except ValueError:  # Python does not print an integer of thousands of digits
        return "a number"


def said(error: Exception) -> str:
    """What is wrong, as a dead letter's reason begins."""
    return str(error) if isinstance(error, RefusedError | msgspec.ValidationError) else f"not JSON: {error}"


def is_json(data: bytes) -> bool:
    """Whether it is JSON, of no more bytes than an answer has."""
    if len(data) > ANSWER_BYTES:
        return False
    try:
        msgspec.json.decode(data)
    except NOT_JSON:
        return False
    return True


def reason(text: str) -> str:
    """A reason as one short printable line: it travels in a header."""
    line = "".join(c if c.isprintable() else "?" for c in text[: _REASON_LENGTH + 1])
    return line if len(line) <= _REASON_LENGTH else line[: _REASON_LENGTH - 1] + "…"


def words(message: object) -> str:
    """A message of the server's as one short printable line."""
    if isinstance(message, str):
        return reason(message)
    try:
        return reason(orjson.dumps(message, option=orjson.OPT_PASSTHROUGH_SUBCLASS, default=str).decode())
    except (TypeError, ValueError, RecursionError):  # orjson has no integers of more than 64 bits
        return "a message that can't be shown"


def refused(payload: bytes, why: str) -> Decoded:
    """A frame that goes to the dead letters whole."""
    return Decoded([], [Letter(payload, reason(why), "frame")], [])


def sentence(payload: bytes) -> str | None:
    """The words of a text that is plainly no JSON: greetings are. ``None`` for anything else."""
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


def one_by_one(
    payload: bytes, elements: Iterable[bytes | msgspec.Raw], read: Callable[[bytes | msgspec.Raw, Decoded], None]
) -> Decoded:
    """Read each element of a frame for itself; what can't be read is a letter of its own, byte for byte.

    Args:
        read: puts what an element is into the result; raises what the typed decoders do, or ``RefusedError``.
    """
    decoded = Decoded([], [], [])
    bad = 0
    for element in elements:
        try:
            read(element, decoded)
        except (RefusedError, msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            bad += 1
            if bad <= LETTERS_A_FRAME:
                decoded.letters.append(Letter(bytes(element), reason(said(error)), "tick"))
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


def within_parts(payload: bytes) -> bytes:
    """The frame, whose elements are to be looked at one by one.

    Raises:
        LimitError: they are too many.
    """
    if payload.count(b",") > PARTS_A_FRAME:
        raise LimitError("parts", f"more than {PARTS_A_FRAME:,} parts in one frame, and it can't be read as ticks")
    return payload


def message_of(payload: bytes) -> Any:
    """A message that is to be no push of ticks.

    Raises:
        RefusedError: it is too large for one.
        msgspec.DecodeError, UnicodeDecodeError, RecursionError: it is no JSON.
    """
    if len(payload) > ANSWER_BYTES:
        raise too_large(payload)
    return msgspec.json.decode(payload)


def too_large(payload: bytes) -> RefusedError:
    """Why a frame without a readable tick is not looked into; where documents were merged, they are left out."""
    if _BETWEEN.search(payload) is not None:
        return LimitError("documents", f"JSON documents in one frame of {len(payload):,} bytes: they were not read")
    return RefusedError(f"no ticks: {len(payload):,} bytes, too many for an answer")


def limited(payload: bytes, error: RefusedError) -> Decoded:
    """The dead letter of a frame that is refused, perhaps as it goes beyond a bound."""
    decoded = refused(payload, str(error))
    if isinstance(error, LimitError):
        decoded.limited = {error.bound: 1}
    return decoded


def _few_answers(decoded: Decoded) -> Decoded:
    beyond = len(decoded.answers) - ANSWERS_A_FRAME
    if beyond > 0:
        del decoded.answers[ANSWERS_A_FRAME:]
        decoded.limited = {**(decoded.limited or {}), "answers": beyond}
    return decoded
