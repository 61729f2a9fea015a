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

from collections.abc import Iterable, Mapping
from typing import Annotated, Literal

import msgspec
import orjson

from market.codes import UnknownCode, instrument
from market.times import EARLIEST, LATEST
from producer.feeds.decoded import Answer, AnswerKind, Decoded, FeedTick, Frame, Letter
from producer.feeds.provider import Capabilities, Codes, Message, Options, Provider, with_query
from producer.feeds.reading import (
    HIGHEST_PRICE,
    LARGEST,
    LOWEST_PRICE,
    NOT_JSON,
    RefusedError,
    amount,
    close,
    documents,
    is_json,
    moment,
    no_price,
    number,
    one_by_one,
    quantity,
    reason,
    refused,
    sentence,
    sequence,
    together,
    words,
)
from producer.feeds.rescue import pieces

Symbols = str | list[str]

_SIDES: dict[str, Literal["buy", "sell"] | None] = {"": None, "buy": "buy", "b": "buy", "sell": "sell", "s": "sell"}

_PLACES = 65_536
_UNUSUAL_FRAMES = 1_000
"""So many frames are read as ``_Pushed`` after one that had to be: a feed that writes otherwise does so always."""


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


class _Usual(msgspec.Struct, gc=False):
    """A tick as nearly all are written: numbers as numbers, all in range, nothing under another name.

    The typed decoder checks all of it, so nothing is left to look at; a frame that holds any other is read as
    ``_Pushed``.
    """

    code: str
    price: Annotated[float, msgspec.Meta(ge=LOWEST_PRICE, le=HIGHEST_PRICE)]
    time: Annotated[int, msgspec.Meta(ge=EARLIEST, lt=LATEST)]
    volume: Annotated[int, msgspec.Meta(ge=0, le=int(LARGEST))] | None = None
    turnover: Annotated[float, msgspec.Meta(ge=0, le=LARGEST)] | None = None
    side: Literal["buy", "sell"] | None = None
    seq: Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)] | None = None
    previous_close: Annotated[float, msgspec.Meta(ge=LOWEST_PRICE, le=HIGHEST_PRICE)] | None = None
    pre_close: None = None
    prev_close: None = None
    last_close: None = None


class _UsualTicks(msgspec.Struct, gc=False):
    ticks: list[_Usual]


class _RawTicks(msgspec.Struct, gc=False):
    ticks: list[msgspec.Raw]


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
        self._unusual = 0
        self._usual_frame = msgspec.json.Decoder(_UsualTicks).decode
        self._frame = msgspec.json.Decoder(_Ticks).decode
        self._raw_frame = msgspec.json.Decoder(_RawTicks).decode
        self._tick = msgspec.json.Decoder(_Pushed).decode

    def decode(self, frame: Frame) -> Decoded:
        """Read one frame: at once where all of it is well, else tick by tick."""
        payload = frame.payload
        if frame.binary:
            return refused(payload, "binary frame: this protocol is text")
        try:
            return self._usual(payload) or self._together(frame)
        except (msgspec.ValidationError, RefusedError):
            return self._one_by_one(frame)
        except NOT_JSON as error:
            return self._rescue(frame, error)

    def _usual(self, payload: bytes) -> Decoded | None:
        """A frame whose ticks are all written as usual, ``None`` for any other.

        Raises:
            RefusedError: a code names nothing.
        """
        if self._unusual:
            self._unusual -= 1
            return None
        try:
            pushed = self._usual_frame(payload).ticks
        except msgspec.ValidationError:
            return None
        known, place = self._exchanges.get, self._place
        ticks = [
            FeedTick(
                tick.code,
                known(tick.code) or place(tick.code),
                tick.price,
                tick.time,
                tick.volume,
                tick.turnover,
                tick.side,
                tick.seq,
                tick.previous_close,
            )
            for tick in pushed
        ]
        return Decoded(ticks, [], [])

    def _together(self, frame: Frame) -> Decoded:
        """A frame all of whose ticks can be read.

        Raises:
            RefusedError, msgspec.ValidationError: one can't.
        """
        pushed = self._frame(frame.payload).ticks
        decoded = Decoded([self._admit(tick, frame.received) for tick in pushed], [], [])
        self._unusual = _UNUSUAL_FRAMES
        return decoded

    def _one_by_one(self, frame: Frame) -> Decoded:
        try:
            elements = self._raw_frame(frame.payload).ticks
        except msgspec.ValidationError as error:
            try:
                message = msgspec.json.decode(frame.payload)
            except NOT_JSON as broken:
                return self._rescue(frame, broken)
            answer = _answer(message)
            return Decoded([], [], [answer]) if answer else refused(frame.payload, f"no ticks: {error}")
        except NOT_JSON as error:
            return self._rescue(frame, error)
        return self._sort(frame, elements)

    def _rescue(self, frame: Frame, error: Exception) -> Decoded:
        merged = documents(frame.payload)
        if merged is not None:
            return together(self.decode(Frame(part, frame.binary, frame.received)) for part in merged)
        found = pieces(frame.payload)
        if found is None:
            return refused(frame.payload, f"not JSON: {error}")
        decoded = self._sort(frame, found.elements)
        whole = bool(decoded.letters) and found.closed and is_json(found.envelope)
        if not whole and not any(letter.part == "frame" for letter in decoded.letters):
            why = reason(f"not JSON: {error}; {len(decoded.ticks)} readable ticks were forwarded")
            decoded.letters.append(Letter(frame.payload, why, "frame"))
        return decoded

    def _sort(self, frame: Frame, elements: Iterable[bytes | msgspec.Raw]) -> Decoded:
        """Read each element for itself."""

        def read(element: bytes | msgspec.Raw, decoded: Decoded) -> None:
            decoded.ticks.append(self._admit(self._tick(element), frame.received))

        return one_by_one(frame.payload, elements, read)

    def _admit(self, tick: _Pushed, received: int) -> FeedTick:
        """The tick in the contract's units.

        Raises:
            RefusedError: names the field.
        """
        exchange = self._exchanges.get(tick.code)
        if exchange is None:
            exchange = self._place(tick.code)
        price = tick.price
        if isinstance(price, str):
            price = number(price, "price")
        if not LOWEST_PRICE <= price <= HIGHEST_PRICE:
            raise RefusedError(no_price(price))
        time = tick.time
        if not (isinstance(time, int) and EARLIEST <= time < LATEST):
            time = moment(time, received)
        volume = tick.volume
        if volume is not None and not (isinstance(volume, int) and 0 <= volume <= LARGEST):
            volume = quantity(volume)
        turnover = tick.turnover
        if turnover is not None and not (isinstance(turnover, float) and 0 <= turnover <= LARGEST):
            turnover = amount(turnover)
        side = None if tick.side is None else _SIDES.get(tick.side) or _side(tick.side)
        seq = tick.seq
        if seq is not None:
            seq = sequence(seq)
        before = tick.previous_close or tick.pre_close or tick.prev_close or tick.last_close or None
        if before is not None and not (isinstance(before, float) and LOWEST_PRICE <= before <= HIGHEST_PRICE):
            before = close(before)
        return FeedTick(tick.code, exchange, price, time, volume, turnover, side, seq, before)

    def _place(self, code: str) -> str:
        """The exchange of a code that is let through, remembered."""
        try:
            found = instrument(code)
        except UnknownCode as error:
            raise RefusedError(f"code: {error}") from error
        if not (self._foreign or found.a_share):
            raise RefusedError(f"code: {code} is no A share; --foreign lets it through")
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
        self._unheard = True

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
        """See ``PostDecoder``; a sentence before anything else is a greeting and no dead letter."""
        decoded = self._decoder.decode(frame)
        if self._unheard:
            greeting = None if frame.binary else sentence(frame.payload)
            if greeting is not None:
                return Decoded([], [], [Answer("other", greeting)])
            self._unheard = False
        return decoded

    def reset(self) -> None:
        """A new connection may begin with a sentence."""
        self._unheard = True

    def _symbols(self, codes: Codes) -> Symbols:
        if codes is None:
            return "*"
        return ",".join(codes) if self._options.as_string else list(codes)


def _side(value: str) -> Literal["buy", "sell"] | None:
    try:
        return _SIDES[value.strip().lower()]
    except KeyError:
        raise RefusedError(f"side: {value[:60]!r} is neither buy nor sell") from None


# The protocol says nothing of answers, and servers word them differently: one of these under one of these keys is an
# answer, and everything else without `ticks` is a frame that could not be read.
_ANSWER_KEYS = ("status", "type", "event", "action", "op", "result")
_REFUSALS = frozenset({"error", "refused", "rejected", "failed", "denied", "unauthorized", "forbidden"})
_SUBSCRIBED = frozenset({"subscribed", "subscribe", "resubscribed"})
_OTHERS = frozenset(
    "ok success ack unsubscribed unsubscribe ping heartbeat welcome hello connected info".split()  # noqa: SIM905
)
# Why a request was refused, where an error says so under `code`.
_CAUSES: dict[object, AnswerKind] = {
    "unauthorized": "unauthorised",
    "forbidden": "unauthorised",
    "kicked": "kicked",
    "throttled": "throttled",
}


def _answer(message: object) -> Answer | None:
    """The server's answer that a message without ``ticks`` is, if it is one."""
    if not isinstance(message, dict) or "ticks" in message:
        return None
    said = {message[key].lower() for key in _ANSWER_KEYS if isinstance(message.get(key), str)}
    text, symbols, cause = words(message), message.get("symbols"), message.get("code")
    codes = tuple(code for code in symbols if isinstance(code, str)) if isinstance(symbols, list) else None
    if said & _REFUSALS or message.get("error"):
        return Answer(_CAUSES.get(cause, "refused") if isinstance(cause, str) else "refused", text, codes=codes)
    if said & _SUBSCRIBED:
        return Answer("subscribed", text, trades_only=message.get("trades_only") is True, codes=codes)
    if "pong" in said:
        return Answer("pong", text)
    return Answer("other", text) if said & _OTHERS else None


POST = Provider("post", CAPABILITIES, PostFeed)
