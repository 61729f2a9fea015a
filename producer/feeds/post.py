"""The post's protocol: ``{"action":"subscribe","symbols":…}`` out, ``{"ticks":[{"code","price","time",…}]}`` in.

What a tick may look like:

- ``code``, in any form that ``market.codes.normalise`` reads, ``price`` and ``time`` must be there and be readable;
  nothing else refuses a tick.
- ``price``, ``volume``, ``turnover``, ``seq`` and the previous close are numbers or the text of one. An optional field
  that is ``null`` or ``""`` is not carried. One that can't be read, or is negative, is null, and marked
  ``unread_FIELD``.
- the previous close is ``previous_close``, ``pre_close``, ``prev_close`` or ``last_close``; 0 means that there is none.
- ``side`` is buy or sell, or their first letters, in any case. Numbers are not read: vendors give them opposite
  meanings.
- a price of 0 is how feeds say suspended or not traded yet: not a tick, and so a dead letter.
- ``time`` is whatever ``market.times.parse_time`` reads, numbers in the unit of the settings where one is given; a bare
  time of day is of the Shanghai date of its receipt.
- ``bids`` and ``asks`` are the book, best first: arrays of ``[price, volume]`` or of objects with these two. ``open``,
  ``high``, ``low``, ``day_volume``, ``day_turnover`` and ``average`` are the day's; their volumes count what ``volume``
  does.

Nothing here does I/O.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import msgspec
import orjson

from producer.feeds.beside import BESIDE, Written
from producer.feeds.broken import is_json, pieces, quoted
from producer.feeds.codes import read_codes
from producer.feeds.decoded import Answer, AnswerKind, Beside, Decoded, FeedTick, Frame, Letter
from producer.feeds.errors import NOT_JSON, UnreadableError
from producer.feeds.frames import Element, answered, message_of, one_by_one, reason, refused, too_large, words
from producer.feeds.json_feed import JsonFeed
from producer.feeds.limits import ANSWER_BYTES
from producer.feeds.post_ticks import Full, Text, Tick, Ticks, Usual, WithMore
from producer.feeds.provider import Capabilities, Codes, Message, Options, Provider

_UNUSUAL_FRAMES = 1_000
"""So many frames are read in a slower way after one that had to be: what a feed writes, it mostly writes always."""

CAPABILITIES = Capabilities(
    about="whatever the server has; the protocol of the post that the project grew from",
    url="ws://127.0.0.1:8765",
    login="query",
    login_optional=True,
    second_login="allowed",
    array=True,
    string=True,
    wildcard=True,
    trades_filter=True,
    changes="add_remove",
    acknowledgement="codes",
    heartbeat_reply=True,
    carries=("volume", "turnover", "side", "seq", "previous_close", *BESIDE),
    time_unit="s, ms, µs or ns, number or text",
    price_form="number or text",
    side_codes='"buy", "sell"',
)


_NOTHING, _BARE = Written(), Beside()


class PostFeed(JsonFeed):
    """The post's protocol."""

    capabilities = CAPABILITIES
    push = Tick
    sides = {"": None, "buy": "buy", "b": "buy", "sell": "sell", "s": "sell"}  # noqa: RUF012 - read only
    yuan = False
    login_parameter = "token"

    def __init__(self, options: Options) -> None:
        """See ``Feed``."""
        super().__init__(options)
        units = self._units
        in_shares = units.volume == "shares" and not units.volume_by_board
        as_written = in_shares and units.turnover == "carried" and bool(self._latest)
        self._usual_ticks = msgspec.json.Decoder(Ticks[Usual]).decode
        self._more_ticks = msgspec.json.Decoder(Ticks[WithMore]).decode
        self._full_ticks = msgspec.json.Decoder(Ticks[Full]).decode
        self._text_ticks = msgspec.json.Decoder(Ticks[Text]).decode
        self._ticks = msgspec.json.Decoder(Ticks[Tick]).decode
        quick = (self._usual, self._with_more, self._full) if as_written else ()
        self._ways: tuple[Callable[[bytes, int], Decoded], ...] = (*quick, self._text, self._any)
        self._way = self._left = 0
        self._raw_ticks = msgspec.json.Decoder(Ticks[msgspec.Raw]).decode

    def subscribe(self, codes: Codes) -> list[Message]:
        """One request, with the wildcard for the whole market; ``trades_only`` is asked for only where it is wanted."""
        request = {"action": "subscribe", "symbols": self._symbols(codes)}
        return [orjson.dumps(request | ({"trades_only": True} if self._options.trades_only else {})).decode()]

    def unsubscribe(self, codes: Codes) -> list[Message]:
        """One request."""
        return [orjson.dumps({"action": "unsubscribe", "symbols": self._symbols(codes)}).decode()]

    def decode(self, frame: Frame) -> Decoded:
        """A binary frame is of another protocol."""
        if frame.binary:
            return self.guard.keep(refused(frame.payload, "binary frame: this protocol is text"), frame.received)
        return super().decode(frame)

    def strict(self, payload: bytes, received: int) -> Decoded:
        """A frame of ticks, the usual ones at once."""
        way = self._way
        if way:
            self._left -= 1
            if not self._left:
                way = self._way = 0
        while True:
            try:
                decoded = self._ways[way](payload, received)
            except (UnreadableError, msgspec.ValidationError):
                way += 1
                if way == len(self._ways):
                    raise
                continue
            if way != self._way:
                self._way, self._left = way, _UNUSUAL_FRAMES
            return decoded

    def lenient(self, payload: bytes, received: int, error: Exception) -> Decoded:  # noqa: ARG002 - said anew
        """An answer, or a frame with a bad tick."""
        if len(payload) > ANSWER_BYTES:  # its elements are too many to be held all at once
            found = self.salvage(Frame(payload, binary=False, received=received), None)
            if found is None:
                raise too_large(payload)
            return found
        try:
            elements = self._raw_ticks(payload).ticks
        except msgspec.ValidationError as why:
            answer = _answer(message_of(payload))
            return answered(answer) if answer else refused(payload, f"no ticks: {why}")
        return self.each(payload, elements, received)

    def salvage(self, frame: Frame, error: Exception | None) -> Decoded | None:
        """The readable ticks of a frame that is broken; the frame is a dead letter, unless its bad ticks explain it."""
        found = pieces(frame.payload)
        if found is None:
            return None
        mended = 0

        def read(element: Element, decoded: Decoded) -> None:
            nonlocal mended
            try:
                push = self._lenient(element)
            except NOT_JSON:
                text = quoted(bytes(element))
                if text is None:
                    raise
                push = self._lenient(text)
                mended += 1
            self.enter(self.tick(push, frame.received), decoded, frame.received)

        decoded = one_by_one(frame.payload, found.elements, read)
        explained = error is None or (bool(decoded.letters or mended) and is_json(found.envelope))
        if not (found.closed and explained) and not any(letter.part == "frame" for letter in decoded.letters):
            why = f"not JSON: {error or 'it never ends'}; {len(decoded.ticks)} readable ticks were forwarded"
            decoded.letters.append(Letter(frame.payload, reason(why), "frame"))
        return decoded

    def tick(self, push: Tick, received: int) -> FeedTick:
        """One tick.

        Raises:
            UnreadableError: code, price or time can't be read, or the price is 0.
        """
        written = Written(
            push.bids, push.asks, push.open, push.high, push.low, push.day_volume, push.day_turnover, push.average
        )
        return self._read(push, received, None if written == _NOTHING else written)

    def _read(self, push: Text, received: int, written: Written | None) -> FeedTick:
        side = push.side
        if side is not None:
            side = side.strip().lower()
        close = push.previous_close or push.pre_close or push.prev_close or push.last_close or None
        tick = self.read(
            push.code, push.price, push.time, received, push.volume, push.turnover, side, push.seq, close, written
        )
        if tick is None:
            raise UnreadableError("price: 0 is not a price (suspended, or not traded yet)")
        return tick

    # The ways to read a frame, the quickest first. Each raises UnreadableError, msgspec.DecodeError, UnicodeDecodeError
    # or RecursionError where it is not such a frame.

    def _usual(self, payload: bytes, received: int) -> Decoded:  # noqa: ARG002 - as all of them
        return self._as_written(self._usual_ticks(payload).ticks)

    def _with_more(self, payload: bytes, received: int) -> Decoded:  # noqa: ARG002
        return self._as_written(self._more_ticks(payload).ticks)

    def _full(self, payload: bytes, received: int) -> Decoded:  # noqa: ARG002
        get, find = self._listings.get, self._listings.find
        ticks: list[FeedTick] = []
        for tick in self._full_ticks(payload).ticks:
            listing = get(tick.code) or find(tick.code)
            beside = Beside(
                tick.bids, tick.asks, tick.open, tick.high, tick.low, tick.day_volume, tick.day_turnover, tick.average
            )
            ticks.append(
                FeedTick(
                    listing.code, listing.exchange, tick.price, tick.time, tick.volume, tick.turnover, tick.side,
                    tick.seq, tick.previous_close, None, None, None if beside == _BARE else beside,
                )
            )  # fmt: skip
        return Decoded(ticks, [], [])

    def _text(self, payload: bytes, received: int) -> Decoded:
        return self.entered([self._read(tick, received, None) for tick in self._text_ticks(payload).ticks], received)

    def _any(self, payload: bytes, received: int) -> Decoded:
        return self.entered([self.tick(tick, received) for tick in self._ticks(payload).ticks], received)

    def _as_written(self, pushes: Sequence[Usual]) -> Decoded:
        get, find = self._listings.get, self._listings.find
        ticks = [
            FeedTick(
                (listing := get(tick.code) or find(tick.code)).code,
                listing.exchange,
                tick.price,
                tick.time,
                tick.volume,
                tick.turnover,
                tick.side,
                tick.seq,
                tick.previous_close,
            )
            for tick in pushes
        ]
        return Decoded(ticks, [], [])

    def _symbols(self, codes: Codes) -> str | list[str]:
        if codes is None:
            return "*"
        written = [self._options.spelling.get(code, code) for code in codes]
        return ",".join(written) if self._options.as_string else written


# The protocol does not define answers, and servers write them differently: one of these under one of these keys is an
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
    text, cause = words(message), message.get("code")
    codes = read_codes(message.get("symbols"))
    if said & _REFUSALS or message.get("error"):
        return Answer(_CAUSES.get(cause, "refused") if isinstance(cause, str) else "refused", text, codes=codes)
    if said & _SUBSCRIBED:
        return Answer("subscribed", text, trades_only=message.get("trades_only") is True, codes=codes)
    if "pong" in said:
        return Answer("pong", text)
    return Answer("other", text) if said & _OTHERS else None


POST = Provider("post", CAPABILITIES, PostFeed)
