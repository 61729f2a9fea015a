"""The post's protocol: ``{"action":"subscribe","symbols":…}`` out, ``{"ticks":[{"code","price","time",…}]}`` in.

What a tick may look like, beyond the three fields that it must have:

- ``price``, ``volume``, ``turnover``, ``seq`` and the previous close are numbers or the text of one. An optional field
  that is ``null`` or ``""`` is not carried. One that is there and cannot be read, or is negative, refuses the whole
  tick: half a tick would pass for a whole one.
- the previous close is ``previous_close``, ``pre_close``, ``prev_close`` or ``last_close``; 0 says that there is none.
- ``side`` is buy or sell, or their first letters, in any case. Numbers are refused: vendors give them opposite
  meanings.
- a price of 0 is how feeds say suspended or not traded yet: no tick, and so a dead letter.
- ``time`` is whatever ``market.times.parse_time`` reads; a bare time of day is of the Shanghai date of its receipt.

Nothing here does I/O.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from datetime import date
from functools import lru_cache
from typing import Literal

import msgspec
import orjson

from market.codes import UnknownCode, instrument
from market.times import DAY_MS, EARLIEST, LATEST, parse_time
from producer.feeds.decoded import Answer, Decoded, FeedTick, Frame, Letter
from producer.feeds.provider import Capabilities, Codes, Message, Options, Provider, with_query
from producer.feeds.rescue import pieces

Symbols = str | list[str]

LOWEST_PRICE, HIGHEST_PRICE = 0.0001, 1e9
"""Yuan. The smallest is the unit in which prices are compared."""
_LARGEST = float(2**53)  # what every JSON reader keeps exactly; far beyond any day's shares or yuan of turnover
_SEQ_RANGE = range(-(2**63), 2**63)
_EPOCH_DAY = date(1970, 1, 1).toordinal()
_SHANGHAI_MS = 8 * 3_600_000

_parsed_time = lru_cache(maxsize=8_192, typed=True)(parse_time)  # texts of one second come by the hundred

_NUMBER = re.compile(r"[+-]?\d{1,25}(?:\.\d{1,25})?(?:[eE][+-]?\d{1,3})?", re.ASCII)
_SIDES: dict[str, Literal["buy", "sell"] | None] = {"": None, "buy": "buy", "b": "buy", "sell": "sell", "s": "sell"}

LETTERS_A_FRAME = 10_000
"""More bad ticks than this in one frame go to the dead letters as the one frame that they came in."""
_REASON_LENGTH = 300
_PLACES = 65_536


class _Pushed(msgspec.Struct, gc=False):
    code: str
    price: float | str
    time: int | float | str
    volume: int | float | str | None = None
    turnover: float | str | None = None
    side: str | None = None
    seq: int | str | None = None
    previous_close: float | str | None = None
    pre_close: float | str | None = None
    prev_close: float | str | None = None
    last_close: float | str | None = None


class _Ticks(msgspec.Struct, gc=False):
    ticks: list[_Pushed]


class _RawTicks(msgspec.Struct, gc=False):
    ticks: list[msgspec.Raw]


class _RefusedError(ValueError):
    """The tick cannot be forwarded; the text names the field."""


_NOT_JSON = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)


def subscribe(symbols: Symbols, *, trades_only: bool = False) -> str:
    """The request for ticks, with the symbols in the form given: array, comma string or ``*``."""
    request: dict[str, object] = {"action": "subscribe", "symbols": symbols}
    if trades_only:
        request["trades_only"] = True
    return orjson.dumps(request).decode()


def unsubscribe(symbols: Symbols) -> str:
    """The request for no more ticks of the symbols."""
    return orjson.dumps({"action": "unsubscribe", "symbols": symbols}).decode()


def ping() -> str:
    """The application's own ping, for servers that count silence in messages."""
    return orjson.dumps({"action": "ping"}).decode()


class PostDecoder:
    """Frames to ticks, dead letters and answers. Any bytes are one of the three; nothing raises."""

    def __init__(self, *, foreign: bool = False) -> None:
        """With ``foreign``, what is no A share but carries its exchange in the code passes too."""
        self._foreign = foreign
        self._exchanges: dict[str, str] = {}
        self._frame = msgspec.json.Decoder(_Ticks).decode
        self._raw_frame = msgspec.json.Decoder(_RawTicks).decode
        self._tick = msgspec.json.Decoder(_Pushed).decode

    def decode(self, frame: Frame) -> Decoded:
        """Read one frame: at once where all of it is well, else tick by tick."""
        payload = frame.payload
        if frame.binary:
            return _refused(payload, "binary frame: this protocol is text")
        try:
            pushed = self._frame(payload).ticks
            return Decoded([self._admit(tick, frame.received) for tick in pushed], [], [])
        except (msgspec.ValidationError, _RefusedError):
            return self._one_by_one(frame)
        except _NOT_JSON as error:
            return self._rescue(frame, error)

    def _one_by_one(self, frame: Frame) -> Decoded:
        try:
            elements = self._raw_frame(frame.payload).ticks
        except msgspec.ValidationError as error:
            try:
                message = msgspec.json.decode(frame.payload)
            except _NOT_JSON as broken:
                return self._rescue(frame, broken)
            answer = _answer(message)
            return Decoded([], [], [answer]) if answer else _refused(frame.payload, f"no ticks: {error}")
        except _NOT_JSON as error:
            return self._rescue(frame, error)
        return self._sort(frame, elements)

    def _rescue(self, frame: Frame, error: Exception) -> Decoded:
        found = pieces(frame.payload)
        if found is None:
            return _refused(frame.payload, f"not JSON: {error}")
        decoded = self._sort(frame, found.elements)
        whole = bool(decoded.letters) and found.closed and _is_json(found.envelope)
        if not whole and not any(letter.part == "frame" for letter in decoded.letters):
            reason = _reason(f"not JSON: {error}; {len(decoded.ticks)} readable ticks were forwarded")
            decoded.letters.append(Letter(frame.payload, reason, "frame"))
        return decoded

    def _sort(self, frame: Frame, elements: Iterable[bytes | msgspec.Raw]) -> Decoded:
        """Read each element for itself."""
        decoded = Decoded([], [], [])
        refused = 0
        for element in elements:
            try:
                decoded.ticks.append(self._admit(self._tick(element), frame.received))
            except (_RefusedError, msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
                refused += 1
                if refused <= LETTERS_A_FRAME:
                    decoded.letters.append(Letter(bytes(element), _reason(_said(error)), "tick"))
        if refused > LETTERS_A_FRAME:
            reason = f"{refused} ticks could not be read, the others were forwarded: {decoded.letters[0].reason}"
            decoded.letters = [Letter(frame.payload, _reason(reason), "frame")]
        return decoded

    def _admit(self, tick: _Pushed, received: int) -> FeedTick:
        """The tick in the contract's units.

        Raises:
            _RefusedError: names the field.
        """
        exchange = self._exchanges.get(tick.code)
        if exchange is None:
            exchange = self._place(tick.code)
        price = tick.price
        if isinstance(price, str):
            price = _number(price, "price")
        if not LOWEST_PRICE <= price <= HIGHEST_PRICE:
            raise _RefusedError(_no_price(price))
        time = tick.time
        if not (isinstance(time, int) and EARLIEST <= time < LATEST):
            time = _time(time, received)
        volume = tick.volume
        if volume is not None and not (isinstance(volume, int) and 0 <= volume <= _LARGEST):
            volume = _quantity(volume)
        turnover = tick.turnover
        if turnover is not None and not (isinstance(turnover, float) and 0 <= turnover <= _LARGEST):
            turnover = _amount(turnover)
        side = None if tick.side is None else _SIDES.get(tick.side) or _side(tick.side)
        seq = tick.seq
        if seq is not None:
            seq = _sequence(seq)
        close = tick.previous_close or tick.pre_close or tick.prev_close or tick.last_close or None
        if close is not None and not (isinstance(close, float) and LOWEST_PRICE <= close <= HIGHEST_PRICE):
            close = _close(close)
        return FeedTick(tick.code, exchange, price, time, volume, turnover, side, seq, close)

    def _place(self, code: str) -> str:
        """The exchange of a code that is let through, remembered."""
        try:
            found = instrument(code)
        except UnknownCode as error:
            raise _RefusedError(f"code: {error}") from error
        if not (self._foreign or found.a_share):
            raise _RefusedError(f"code: {code} is no A share; --foreign lets it through")
        if len(self._exchanges) >= _PLACES:
            self._exchanges.clear()
        self._exchanges[code] = found.exchange
        return found.exchange


CAPABILITIES = Capabilities(
    about="whatever the server has; the protocol of the post that the project grew from",
    url="ws://127.0.0.1:8765",
    login="query",
    second_login="allowed",
    array=True,
    string=True,
    wildcard=True,
    trades_filter=True,
    changes="add_remove",
    acknowledgement="codes",
    heartbeat_reply=True,
    carries=("volume", "turnover", "side", "seq", "previous_close"),
    time_unit="s, ms, µs or ns, number or text",
    price_form="number or text",
    side_codes='"buy", "sell"',
)


class PostFeed:
    """The post's protocol as a ``Feed``."""

    capabilities = CAPABILITIES

    def __init__(self, options: Options) -> None:
        """See ``Feed``."""
        self._options = options
        self._decoder = PostDecoder(foreign=options.foreign)

    def address(self, url: str, token: str | None, codes: Codes) -> str:  # noqa: ARG002 - they go into a request
        """The token goes into the query as ``token``."""
        return with_query(url, "token", token) if token else url

    def headers(self, token: str | None) -> Mapping[str, str]:  # noqa: ARG002 - it goes into the query
        """None."""
        return {}

    def greeting(self, token: str | None) -> list[Message]:  # noqa: ARG002 - it goes into the query
        """None."""
        return []

    def subscribe(self, codes: Codes) -> list[Message]:
        """One request, with the wildcard for the whole market."""
        return [subscribe(self._symbols(codes), trades_only=self._options.trades_only)]

    def unsubscribe(self, codes: Codes) -> list[Message]:
        """One request."""
        return [unsubscribe(self._symbols(codes))]

    def heartbeat(self) -> Message | None:
        """The protocol has none that every server knows: WebSocket pings do."""
        return None

    def decode(self, frame: Frame) -> Decoded:
        """See ``PostDecoder``."""
        return self._decoder.decode(frame)

    def reset(self) -> None:
        """Nothing is known of a connection."""

    def _symbols(self, codes: Codes) -> Symbols:
        if codes is None:
            return "*"
        return ",".join(codes) if self._options.as_string else list(codes)


POST = Provider("post", CAPABILITIES, PostFeed)


def _number(text: str, field: str) -> float:
    """The number that a text spells; never NaN or infinite."""
    text = text.strip()
    if not _NUMBER.fullmatch(text):
        raise _RefusedError(f"{field}: {text[:60]!r} is not a number")
    return float(text)


def _no_price(price: object) -> str:
    if price == 0:
        return "price: 0 is no price (suspended, or not traded yet)"
    return f"price: {price!r} is outside of {LOWEST_PRICE} to {HIGHEST_PRICE:.0f} yuan"


def _time(value: float | str, received: int) -> int:
    try:
        return _parsed_time(value, today=_today(received))
    except (ValueError, OverflowError) as error:
        raise _RefusedError(f"time: {error}") from error


def _today(received: int) -> date:
    """The Shanghai date of a local time in µs since the epoch."""
    return date.fromordinal(_EPOCH_DAY + (received // 1000 + _SHANGHAI_MS) // DAY_MS)


def _quantity(value: float | str) -> int | float | None:
    if isinstance(value, str):
        if not value.strip():
            return None
        value = _number(value, "volume")
    if not 0 <= value <= _LARGEST:
        raise _RefusedError(f"volume: {_short(value)} is not between 0 and 2**53 shares")
    return int(value) if value == int(value) else value


def _amount(value: float | str) -> float | None:
    if isinstance(value, str):
        if not value.strip():
            return None
        value = _number(value, "turnover")
    if not 0 <= value <= _LARGEST:
        raise _RefusedError(f"turnover: {_short(value)} is not between 0 and 2**53 yuan")
    return value


def _close(value: float | str) -> float | None:
    if isinstance(value, str):
        if not value.strip():
            return None
        value = _number(value, "previous_close")
    if value == 0:
        return None
    if not LOWEST_PRICE <= value <= HIGHEST_PRICE:
        raise _RefusedError(f"previous_close: {_short(value)} is outside of {LOWEST_PRICE} to {HIGHEST_PRICE:.0f} yuan")
    return value


def _side(value: str) -> Literal["buy", "sell"] | None:
    try:
        return _SIDES[value.strip().lower()]
    except KeyError:
        raise _RefusedError(f"side: {value[:60]!r} is neither buy nor sell") from None


def _sequence(value: int | str) -> int | None:
    if isinstance(value, str):
        if not value.strip():
            return None
        if not re.fullmatch(r"[+-]?\d{1,20}", value.strip(), re.ASCII):
            raise _RefusedError(f"seq: {value[:60]!r} is not a whole number")
        value = int(value)
    if value not in _SEQ_RANGE:
        raise _RefusedError(f"seq: {_short(value)} does not fit 64 bits")
    return value


def _short(value: object) -> str:
    try:
        return repr(value)[:60]
    except ValueError:  # Python does not print an integer of thousands of digits
        return "a number"


def _said(error: Exception) -> str:
    return str(error) if isinstance(error, _RefusedError | msgspec.ValidationError) else f"not JSON: {error}"


def _is_json(data: bytes) -> bool:
    try:
        msgspec.json.decode(data)
    except _NOT_JSON:
        return False
    return True


def _reason(text: str) -> str:
    """A reason as one short printable line: it travels in a header."""
    line = "".join(c if c.isprintable() else "?" for c in text)
    return line if len(line) <= _REASON_LENGTH else line[: _REASON_LENGTH - 1] + "…"


def _refused(payload: bytes, reason: str) -> Decoded:
    return Decoded([], [Letter(payload, _reason(reason), "frame")], [])


# The protocol says nothing of answers, and servers word them differently: one of these under one of these keys is an
# answer, and everything else without `ticks` is a frame that could not be read.
_ANSWER_KEYS = ("status", "type", "event", "action", "op", "result")
_REFUSALS = frozenset({"error", "refused", "rejected", "failed", "denied", "unauthorized", "forbidden"})
_SUBSCRIBED = frozenset({"subscribed", "subscribe", "resubscribed"})
_OTHERS = frozenset(
    {
        "ok",
        "success",
        "ack",
        "unsubscribed",
        "unsubscribe",
        "pong",
        "ping",
        "heartbeat",
        "welcome",
        "hello",
        "connected",
        "info",
    }
)


def _answer(message: object) -> Answer | None:
    """The server's answer that a message without ``ticks`` is, if it is one."""
    if not isinstance(message, dict) or "ticks" in message:
        return None
    words = {str(message[key]).lower() for key in _ANSWER_KEYS if isinstance(message.get(key), str)}
    text = _reason(orjson.dumps(message, option=orjson.OPT_PASSTHROUGH_SUBCLASS, default=str).decode())
    if words & _REFUSALS or message.get("error"):
        return Answer("refused", text)
    if words & _SUBSCRIBED:
        return Answer("subscribed", text, trades_only=message.get("trades_only") is True)
    return Answer("other", text) if words & _OTHERS else None
