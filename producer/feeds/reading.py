"""How a feed's values are read: numbers, times and sizes as vendors write them, or a refusal that names the field.

Nothing here does I/O.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Iterable
from datetime import date
from functools import lru_cache

import msgspec
import orjson

from market.times import DAY_MS, EARLIEST, LATEST, parse_time
from producer.feeds.decoded import Decoded, Letter
from producer.feeds.provider import TimeUnit

LOWEST_PRICE, HIGHEST_PRICE = 0.0001, 1e9
"""Yuan. The smallest is the unit in which prices are compared."""
LARGEST = float(2**53)
"""What every JSON reader keeps exactly; far beyond any day's shares or yuan of turnover."""
LETTERS_A_FRAME = 10_000
"""More bad ticks than this in one frame go to the dead letters as the one frame that they came in."""

NOT_JSON = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)

_SEQ_RANGE = range(-(2**63), 2**63)
_EPOCH_DAY = date(1970, 1, 1).toordinal()
_SHANGHAI_MS = 8 * 3_600_000
_NUMBER = re.compile(r"[+-]?\d{1,25}(?:\.\d{1,25})?(?:[eE][+-]?\d{1,3})?", re.ASCII)
_WHOLE = re.compile(r"[+-]?\d{1,20}", re.ASCII)
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
    """The tick cannot be forwarded; the text names the field."""


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
            raise RefusedError(f"time: {short(value)} {unit} is no time between 1992 and 2099")
        # A whole number of a fine unit has more digits than a float.
        exact = int(value) if isinstance(value, str) and _WHOLE.fullmatch(value.strip()) else units
        divisor = round(1 / factor) if factor < 1 else 1
        ms = exact // divisor if isinstance(exact, int) and divisor > 1 else round(units * factor)
        if not EARLIEST <= ms < LATEST:
            raise RefusedError(f"time: {short(value)} {unit} is no time between 1992 and 2099")
        return int(ms)

    return known


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
    if not 0 <= value <= LARGEST:
        raise RefusedError(f"volume: {short(value)} is not between 0 and 2**53 shares")
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
    if not 0 <= value <= LARGEST:
        raise RefusedError(f"turnover: {short(value)} is not between 0 and 2**53 yuan")
    return value


def computed(price: float, volume: float | None) -> float | None:
    """The turnover of so many shares at a price."""
    return None if volume is None else float(round(price * volume, _MONEY_DECIMALS))


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
    """Whether it is JSON."""
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
    """The JSON texts of a frame into which several were merged; ``None`` where that is not what it is."""
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
    if bad > LETTERS_A_FRAME:
        why = f"{bad} ticks could not be read, the others were forwarded: {decoded.letters[0].reason}"
        decoded.letters = [Letter(payload, reason(why), "frame")]
    return decoded


def together(parts: Iterable[Decoded]) -> Decoded:
    """What several frames hold, as one; the packet is the last one's."""
    whole = Decoded([], [], [])
    for part in parts:
        whole.ticks += part.ticks
        whole.letters += (Letter(letter.payload, letter.reason, "tick") for letter in part.letters)
        whole.answers += part.answers
        whole.packet = part.packet or whole.packet
        whole.repeats += part.repeats
        whole.unpriced += part.unpriced
    return whole
