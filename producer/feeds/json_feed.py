"""What all providers have in common: a frame is read strictly and at once, or else leniently and part by part.

A subclass says how its provider's messages look. Pure, like all of this package.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

import msgspec

from producer.feeds.beside import Written, read_beside
from producer.feeds.broken import documents, quoted, sentence, unquoted
from producer.feeds.codes import Listings
from producer.feeds.decoded import Decoded, FeedTick, Frame, Letter
from producer.feeds.errors import NOT_JSON, UNREADABLE, LimitError, UnreadableError
from producer.feeds.frames import Element, answer, answered, limited, one_by_one, refused, together, too_large
from producer.feeds.guard import Guard
from producer.feeds.limits import MERGED_BYTES
from producer.feeds.optional import Fields, Lenient
from producer.feeds.provider import Capabilities, Codes, Message, Options, with_query
from producer.feeds.values import (
    Sides,
    computed_turnover,
    ms_between,
    read_previous_close,
    read_price,
    read_sequence,
    read_shares,
    read_turnover,
    time_reader,
    without_noise,
)


class JsonFeed(ABC):
    """A ``Feed`` whose frames are JSON.

    Attributes:
        capabilities: what the provider can do.
        push: a tick as the provider writes it; optional fields have a default.
        sides: how it writes the side.
        yuan: prices are yuan, and are freed of a float's noise.
        login_parameter: under which name the token goes into the query of the address; empty where it does not.
    """

    capabilities: Capabilities
    push: type[msgspec.Struct]
    sides: Sides = MappingProxyType({})
    yuan: bool = True
    login_parameter: str = ""

    def __init__(self, options: Options) -> None:
        """See ``Feed``."""
        self._options = options
        self._units = options.units or self.capabilities.units
        self._rule = self._units.turnover
        self._sides, self._yuan = self.sides, self.yuan  # once a tick: those of an instance are found sooner
        self._listings = Listings(
            self._units, foreign=options.foreign, home=self.capabilities.home, kinds=options.kinds
        )
        self._time = time_reader(self._units.time)
        self._earliest, self._latest = ms_between(self._units.time)
        self._greeted = False
        self._lenient: Lenient[Any] = Lenient(self.push)
        self.guard = Guard()
        self._counted = False
        """Whether nothing of the last frame remains to be counted: it was not the first, and every field was read."""

    @abstractmethod
    def strict(self, payload: bytes, received: int) -> Decoded:
        """Read a frame all of whose ticks can be read.

        Raises:
            UnreadableError, msgspec.ValidationError: it is another message, or a tick in it can't be read.
            msgspec.DecodeError, UnicodeDecodeError, RecursionError: it is not JSON.
        """

    @abstractmethod
    def lenient(self, payload: bytes, received: int, error: Exception) -> Decoded:
        """Read any JSON message part by part; ``error`` is what ``strict`` said of it.

        Raises:
            UnreadableError, msgspec.DecodeError, UnicodeDecodeError, RecursionError: it can't be read.
        """

    @abstractmethod
    def tick(self, push: Any, received: int) -> FeedTick | None:
        """The tick that a push is, by ``read``; ``None`` without a price.

        Raises:
            UnreadableError: code, price or time can't be read.
        """

    def salvage(self, frame: Frame, error: Exception | None) -> Decoded | None:  # noqa: ARG002 - most have no way to
        """Find ticks in a frame that is not JSON; ``None`` where there are none."""
        return None

    def address(self, url: str, token: str | None, codes: Codes) -> str:  # noqa: ARG002 - most ask for them in a request
        """The base address, with the token where it belongs there."""
        return with_query(url, self.login_parameter, token) if token and self.login_parameter else url

    def headers(self, token: str | None) -> Mapping[str, str]:  # noqa: ARG002 - most send none
        """None."""
        return {}

    def greeting(self, token: str | None) -> list[Message]:  # noqa: ARG002 - most begin with the subscription
        """None."""
        return []

    def heartbeat(self) -> Message | None:
        """None."""
        return None

    def reset(self) -> None:
        """Forget the last connection."""
        self._greeted = self._counted = False

    def decode(self, frame: Frame) -> Decoded:
        """Ticks, letters and answers of a frame; nothing raises."""
        try:
            decoded = self.strict(frame.payload, frame.received)
        except UNREADABLE as error:
            decoded = self.guard.keep(self._leniently(frame, error), frame.received)
            self.guard.count(decoded.ticks)
            return decoded
        if not self._counted:
            self._counted = self._greeted = True
            self.guard.count(decoded.ticks)
        return decoded

    def read(  # noqa: C901, PLR0917 - once a tick: calls and arguments by name cost more
        self,
        code: str,
        price: float | str,
        time: float | str,
        received: int,
        volume: float | str | None = None,
        turnover: float | str | None = None,
        side: int | str | None = None,
        seq: int | str | None = None,
        previous_close: float | str | None = None,
        written: Written | None = None,
    ) -> FeedTick | None:
        """The tick of these values in the contract's units, ``None`` without a price.

        Args:
            written: the book and the figures of the day, where the push has any.

        Raises:
            UnreadableError: code, price or time can't be read; the text names which.
        """
        listing = self._listings.get(code) or self._listings.find(code)
        value = read_price(price)
        if not value:
            return None
        if self._yuan:
            value = without_noise(value)
        if not (isinstance(time, int) and self._earliest <= time < self._latest):
            time = self._time(time, received)
        shares = which = number = close = unread = None
        try:
            if volume is not None:
                shares = read_shares(volume, listing.shares)
            amount = self.turnover(value, shares, turnover)
            if side is not None:
                which = self._sides[side]
            if seq is not None:
                number = read_sequence(seq)
            if previous_close is not None:
                close = self.previous_close(previous_close)
        except (UnreadableError, KeyError):
            self._counted, field = False, Fields()
            shares = field("volume", read_shares, volume, listing.shares)
            amount = field("turnover", self.turnover, value, shares, turnover)
            which = field("side", self._sides.__getitem__, side)
            number = field("seq", read_sequence, seq)
            close = field("previous_close", self.previous_close, previous_close)
            unread = field.unread
        beside = None
        if written is not None:
            beside, named = read_beside(written, listing.shares, unread, without_noise if self._yuan else float)
            if named is not unread:
                self._counted, unread = False, named
        return FeedTick(
            listing.code, listing.exchange, value, time, shares, amount, which, number, close, None, unread, beside
        )

    def turnover(self, price: float, shares: float | None, given: float | str | None) -> float | None:
        """The turnover by the rule of the units, in yuan.

        Raises:
            UnreadableError: what was given is not one.
        """
        rule = self._rule
        if rule == "computed":
            return computed_turnover(price, shares)
        return None if given is None or rule == "none" else read_turnover(given)

    def previous_close(self, given: float | str) -> float | None:
        """The previous close, ``None`` where there is none.

        Raises:
            UnreadableError: what was given is not one.
        """
        close = read_previous_close(given)
        return without_noise(close) if close is not None and self._yuan else close

    def enter(self, tick: FeedTick | None, decoded: Decoded, received: int) -> None:  # noqa: ARG002 - for snapshots
        """Put a tick into the result, or count it as what it is instead: without a price, or sent before."""
        if tick is None:
            decoded.unpriced += 1
        elif self.repeated(tick):
            decoded.repeats += 1
        else:
            decoded.ticks.append(tick)

    def repeated(self, tick: FeedTick) -> bool:  # noqa: ARG002 - many feeds carry nothing that shows it
        """Whether a tick was sent before on this connection; if not, it is remembered."""
        return False

    def entered(self, ticks: Sequence[FeedTick | None], received: int) -> Decoded:
        """A frame of these ticks. All are read before any is entered: the frame may be read again, leniently."""
        decoded = Decoded([], [], [])
        for tick in ticks:
            self.enter(tick, decoded, received)
        return decoded

    def each(self, payload: bytes, elements: Iterable[Element], received: int) -> Decoded:
        """A frame of these pushes, each read for itself."""

        def read(element: Element, decoded: Decoded) -> None:
            self.enter(self.tick(self._lenient(element), received), decoded, received)

        return one_by_one(payload, elements, read)

    def _leniently(self, frame: Frame, error: Exception) -> Decoded:
        """A frame that could not be read strictly."""
        try:
            if isinstance(error, UnreadableError | msgspec.ValidationError):
                decoded = self.lenient(frame.payload, frame.received, error)
                self._greeted = True
                return decoded
        except UnreadableError as bad:
            return limited(frame.payload, bad)
        except NOT_JSON as bad:
            error = bad
        return self._not_json(frame, error)

    def _one_of(self, frame: Frame) -> Decoded:
        """A frame, or a document of one."""
        try:
            decoded = self.strict(frame.payload, frame.received)
        except UNREADABLE as error:
            return self._leniently(frame, error)
        self._greeted = True
        return decoded

    def _not_json(self, frame: Frame, error: Exception) -> Decoded:
        """A greeting in words, several messages in one frame, NaN for a number, some ticks, or a dead letter."""
        payload = frame.payload
        if not (self._greeted or frame.binary):
            greeting = sentence(payload)
            if greeting is not None:
                return answered(answer("other", greeting))
        merged = documents(payload)
        if merged is not None:
            return together(payload, merged, lambda part: self._one_of(Frame(part, frame.binary, frame.received)))
        mended = quoted(payload)
        if mended is not None:
            decoded = self._one_of(Frame(mended, frame.binary, frame.received))
            decoded.letters = [
                Letter(payload if letter.part == "frame" else unquoted(letter.payload), letter.reason, letter.part)
                for letter in decoded.letters
            ]
            return decoded
        found = self.salvage(frame, error)
        if found is not None:
            return found
        if len(payload) > MERGED_BYTES and isinstance(beyond := too_large(payload), LimitError):
            return limited(payload, beyond)
        return refused(payload, f"{'binary frame, ' if frame.binary else ''}not JSON: {error}")
