"""The post's protocol: ``{"action":"subscribe","symbols":…}`` out, ``{"ticks":[{"code","price","time",…}]}`` in.

What a tick may look like:

- ``code``, in any form that ``market.codes.normalise`` reads, ``price`` and ``time`` must be there and be readable;
  nothing else refuses a tick.
- ``price``, ``volume``, ``turnover``, ``seq`` and the previous close are numbers or the text of one. An optional field
  that is ``null`` or ``""`` is not carried. One that can't be read, or is negative, is null, and marked
  ``unread_FIELD``.
- the previous close is ``previous_close``, ``pre_close``, ``prev_close`` or ``last_close``; 0 says that there is none.
- ``side`` is buy or sell, or their first letters, in any case. Numbers are not read: vendors give them opposite
  meanings.
- a price of 0 is how feeds say suspended or not traded yet: no tick, and so a dead letter.
- ``time`` is whatever ``market.times.parse_time`` reads, numbers in the unit of the settings where one is given; a bare
  time of day is of the Shanghai date of its receipt.

Nothing here does I/O.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Annotated, Literal

import msgspec
import orjson

from market.times import EARLIEST, LATEST
from producer.feeds.decoded import Answer, AnswerKind, Decoded, FeedTick, Frame, Letter
from producer.feeds.forms import Places, read_codes
from producer.feeds.guard import Guard
from producer.feeds.limits import ANSWER_BYTES, CODES
from producer.feeds.optional import Fields, Loose, quoted
from producer.feeds.provider import Capabilities, Codes, Message, Options, Provider, Units, with_query
from producer.feeds.reading import (
    HIGHEST_PRICE,
    LOWEST_PRICE,
    NOT_JSON,
    RefusedError,
    amount,
    at_once_between,
    clock,
    close,
    computed,
    documents,
    is_json,
    limited,
    message_of,
    no_price,
    number,
    one_by_one,
    reason,
    refused,
    sentence,
    sequence,
    shares,
    together,
    too_large,
    words,
)
from producer.feeds.rescue import pieces
from schemas.bounds import INT64, MAX_TURNOVER, MAX_VOLUME

Symbols = str | list[str]

_SIDES: dict[str, Literal["buy", "sell"] | None] = {"": None, "buy": "buy", "b": "buy", "sell": "sell", "s": "sell"}

_NOT_USUAL = (RefusedError, *NOT_JSON)
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
    volume: Annotated[int, msgspec.Meta(ge=0, le=MAX_VOLUME)] | None = None
    turnover: Annotated[float, msgspec.Meta(ge=0, le=MAX_TURNOVER)] | None = None
    side: Literal["buy", "sell"] | None = None
    seq: Annotated[int, msgspec.Meta(ge=-INT64, le=INT64)] | None = None
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


class _SpeltError(Exception):
    """A code is written in another form than the one in which it travels here."""


class PostDecoder:
    """Frames to ticks, dead letters and answers. Any bytes are one of the three; nothing raises."""

    def __init__(self, *, foreign: bool = False, units: Units | None = None, guard: Guard | None = None) -> None:
        """With ``foreign``, what is no A share but carries its exchange in the code passes too."""
        self.guard = guard or Guard()
        self._units = units or Units()
        self._places = Places(self._units, foreign=foreign)
        self._moment = clock(self._units.time)
        self._earliest, self._latest = at_once_between(self._units.time)
        self._one_to_one = self._units.volume == "shares" and not self._units.volume_by_board
        self._as_written = self._one_to_one and self._units.turnover == "carried" and bool(self._latest)
        self._exchanges: dict[str, str] = {}
        self._spelt = False
        self._unusual = 0
        self._mended = 0
        self._usual_frame = msgspec.json.Decoder(_UsualTicks).decode
        self._frame = msgspec.json.Decoder(_Ticks).decode
        self._raw_frame = msgspec.json.Decoder(_RawTicks).decode
        self._tick = msgspec.json.Decoder(_Pushed).decode
        self._loose = Loose(_Pushed)

    def decode(self, frame: Frame) -> Decoded:
        """Read one frame: at once where all of it is as usual, else patiently."""
        if not frame.binary:
            try:
                usual = self._usual(frame.payload)
            except _NOT_USUAL:
                usual = None
            if usual is not None:
                return usual
        decoded = self._patiently(frame)
        self.guard.count(decoded.ticks)
        return self.guard.keep(decoded, frame.received)

    def _usual(self, payload: bytes) -> Decoded | None:
        """A frame whose ticks are all written as usual, ``None`` where another was lately.

        Raises:
            RefusedError, msgspec.DecodeError, UnicodeDecodeError, RecursionError: it is not such a frame.
        """
        if self._unusual or not self._as_written:
            self._unusual = max(0, self._unusual - 1)
            return None
        pushed = self._usual_frame(payload).ticks
        if not self._spelt:
            known, place = self._exchanges.get, self._place
            try:
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
            except _SpeltError:
                self._spelt = True
            else:
                return Decoded(ticks, [], [])
        get, find = self._places.get, self._places.find
        ticks = [
            FeedTick(
                (named := get(tick.code) or find(tick.code)).code,
                named.exchange,
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

    def _patiently(self, frame: Frame) -> Decoded:
        """Read any frame: ticks all of which can be read, else tick by tick."""
        if frame.binary:
            return refused(frame.payload, "binary frame: this protocol is text")
        try:
            return self._together(frame)
        except (msgspec.ValidationError, RefusedError):
            return self._one_by_one(frame)
        except NOT_JSON as error:
            return self._rescue(frame, error)

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
        payload = frame.payload
        if len(payload) > ANSWER_BYTES:
            return self._rescue(frame, None)
        try:
            elements = self._raw_frame(payload).ticks
        except msgspec.ValidationError as error:
            try:
                message = message_of(payload)
            except NOT_JSON as broken:
                return self._rescue(frame, broken)
            answer = _answer(message)
            return Decoded([], [], [answer]) if answer else refused(payload, f"no ticks: {error}")
        except NOT_JSON as error:
            return self._rescue(frame, error)
        return self._sort(frame, elements)

    def _rescue(self, frame: Frame, error: Exception | None) -> Decoded:
        """A frame that is no JSON, or too large for its elements to be held all at once (``None``)."""
        payload = frame.payload
        merged = None if error is None else documents(payload)
        if merged is not None:
            return together(
                payload, merged, lambda document: self._patiently(Frame(document, frame.binary, frame.received))
            )
        found = pieces(payload)
        if found is None:
            if error is not None:
                return refused(payload, f"not JSON: {error}")
            return limited(payload, too_large(payload))
        self._mended = 0
        decoded = self._sort(frame, found.elements)
        explained = error is None or (bool(decoded.letters or self._mended) and is_json(found.envelope))
        if not (found.closed and explained) and not any(letter.part == "frame" for letter in decoded.letters):
            why = f"not JSON: {error or 'it never ends'}; {len(decoded.ticks)} readable ticks were forwarded"
            decoded.letters.append(Letter(payload, reason(why), "frame"))
        return decoded

    def _sort(self, frame: Frame, elements: Iterable[bytes | msgspec.Raw]) -> Decoded:
        """Read each element for itself."""

        def read(element: bytes | msgspec.Raw, decoded: Decoded) -> None:
            decoded.ticks.append(self._admit(self._element(element), frame.received))

        return one_by_one(frame.payload, elements, read)

    def _element(self, element: bytes | msgspec.Raw) -> _Pushed:
        """One tick, whatever its optional fields hold.

        Raises:
            msgspec.DecodeError, UnicodeDecodeError, RecursionError: it is none.
        """
        try:
            return self._tick(element)
        except msgspec.ValidationError:
            if not bytes(element).startswith(b"{"):
                raise
            return self._loose(element)
        except msgspec.DecodeError:
            text = quoted(bytes(element))
            if text is None:
                raise
            pushed = self._loose(text)
            self._mended += 1
            return pushed

    def _admit(self, tick: _Pushed, received: int) -> FeedTick:
        """The tick in the contract's units.

        Raises:
            RefusedError: code, price or time can't be read; the text names which.
        """
        place = self._places.get(tick.code) or self._places.find(tick.code)
        price = tick.price
        if isinstance(price, str):
            price = number(price, "price")
        if not LOWEST_PRICE <= price <= HIGHEST_PRICE:
            raise RefusedError(no_price(price))
        time = tick.time
        if not (isinstance(time, int) and self._earliest <= time < self._latest):
            time = self._moment(time, received)
        read = Fields()
        volume = tick.volume
        if volume is not None and not (self._one_to_one and isinstance(volume, int) and 0 <= volume <= MAX_VOLUME):
            volume = read("volume", shares, volume, place.shares)
        turnover = tick.turnover
        if self._units.turnover != "carried":
            turnover = read("turnover", computed, price, volume) if self._units.turnover == "computed" else None
        elif turnover is not None and not (isinstance(turnover, float) and 0 <= turnover <= MAX_TURNOVER):
            turnover = read("turnover", amount, turnover)
        side = None if tick.side is None else _SIDES.get(tick.side) or read("side", _side, tick.side)
        seq = tick.seq
        if seq is not None:
            seq = read("seq", sequence, seq)
        before = tick.previous_close or tick.pre_close or tick.prev_close or tick.last_close or None
        if before is not None and not (isinstance(before, float) and LOWEST_PRICE <= before <= HIGHEST_PRICE):
            before = read("previous_close", close, before)
        return FeedTick(
            place.code, place.exchange, price, time, volume, turnover, side, seq, before, unread=read.unread
        )

    def _place(self, code: str) -> str:
        """The exchange of a code that is written as it travels here, remembered.

        Raises:
            RefusedError: it names nothing that is let through.
            _SpeltError: it is written otherwise.
        """
        place = self._places.find(code)
        if place.code != code:
            raise _SpeltError
        if len(self._exchanges) >= CODES:
            self._exchanges.clear()
        self._exchanges[code] = place.exchange
        return place.exchange


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
        self.guard = Guard()
        self._decoder = PostDecoder(foreign=options.foreign, units=options.units, guard=self.guard)
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
        if self._unheard:
            greeting = None if frame.binary else sentence(frame.payload)
            if greeting is not None:
                return Decoded([], [], [Answer("other", greeting)])
            self._unheard = False
        return self._decoder.decode(frame)

    def reset(self) -> None:
        """A new connection may begin with a sentence."""
        self._unheard = True

    def _symbols(self, codes: Codes) -> Symbols:
        if codes is None:
            return "*"
        written = [self._options.spelling.get(code, code) for code in codes]
        return ",".join(written) if self._options.as_string else written


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
    codes = read_codes(symbols) if isinstance(symbols, list) else None
    if said & _REFUSALS or message.get("error"):
        return Answer(_CAUSES.get(cause, "refused") if isinstance(cause, str) else "refused", text, codes=codes)
    if said & _SUBSCRIBED:
        return Answer("subscribed", text, trades_only=message.get("trades_only") is True, codes=codes)
    if "pong" in said:
        return Answer("pong", text)
    return Answer("other", text) if said & _OTHERS else None


POST = Provider("post", CAPABILITIES, PostFeed)
