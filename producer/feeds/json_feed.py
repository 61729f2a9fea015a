"""What the providers that speak JSON have in common: each frame is tried at once, else looked at piece by piece.

Pure, like all of this room.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping

import msgspec

from producer.feeds.codes import Places
from producer.feeds.decoded import Answer, Decoded, Frame, Letter
from producer.feeds.guard import Guard
from producer.feeds.limits import MERGED_BYTES
from producer.feeds.optional import quoted, unquoted
from producer.feeds.provider import Capabilities, Codes, Message, Options
from producer.feeds.values import (
    NOT_JSON,
    LimitError,
    RefusedError,
    amount,
    at_once_between,
    clock,
    computed,
    documents,
    limited,
    refused,
    sentence,
    together,
    too_large,
)

_NOT_AT_ONCE = (RefusedError, *NOT_JSON)

LATER_SECONDS = 60.0
"""How long to ask nothing of a server that is throttling, where it does not say."""


class JsonFeed(ABC):
    """A ``Feed`` whose frames are JSON. A subclass says how its provider's messages look."""

    capabilities: Capabilities

    def __init__(self, options: Options) -> None:
        """See ``Feed``."""
        self._options = options
        self._units = options.units or self.capabilities.units
        self._places = Places(self._units, foreign=options.foreign)
        self._moment = clock(self._units.time)
        self._earliest, self._latest = at_once_between(self._units.time)
        self._unheard = True
        self.guard = Guard()
        self.attend = True
        """Whether a frame that is read at once is to be looked at: it is the first, or has an unread field."""

    @abstractmethod
    def at_once(self, payload: bytes, received: int) -> Decoded:
        """Read a frame of ticks that are all well.

        Raises:
            msgspec.ValidationError, RefusedError: it is another message, or a tick in it is bad.
            msgspec.DecodeError, UnicodeDecodeError, RecursionError: it is no JSON.
        """

    @abstractmethod
    def piece_by_piece(self, payload: bytes, received: int, error: Exception) -> Decoded:
        """Read any JSON message; ``error`` is what ``at_once`` said of it.

        Raises:
            RefusedError, msgspec.DecodeError, UnicodeDecodeError, RecursionError: it can't be read.
        """

    def address(self, url: str, token: str | None, codes: Codes) -> str:  # noqa: ARG002 - most need no more
        """The base address as it is."""
        return url

    def headers(self, token: str | None) -> Mapping[str, str]:  # noqa: ARG002 - most send none
        """None."""
        return {}

    def greeting(self, token: str | None) -> list[Message]:  # noqa: ARG002 - most begin with the subscription
        """None."""
        return []

    def heartbeat(self) -> Message | None:
        """None."""
        return None

    def turnover(self, given: float | str | None, value: float, volume: float | None) -> float | None:
        """The turnover by the rule of the units, in yuan.

        Raises:
            RefusedError: what was given is none.
        """
        rule = self._units.turnover
        if rule == "computed":
            return computed(value, volume)
        return None if rule == "none" or given is None else amount(given)

    def decode(self, frame: Frame) -> Decoded:
        """Ticks, letters and answers of a frame; nothing raises."""
        try:
            decoded = self.at_once(frame.payload, frame.received)
        except _NOT_AT_ONCE as error:
            decoded = self.guard.keep(self._patiently(frame, error), frame.received)
            self.guard.count(decoded.ticks)
            return decoded
        if self.attend:
            self.attend = self._unheard = False
            self.guard.count(decoded.ticks)
        return decoded

    def reset(self) -> None:
        """Forget the last connection."""
        self.attend = self._unheard = True

    def _patiently(self, frame: Frame, error: Exception) -> Decoded:
        """A frame that could not be read at once."""
        try:
            if isinstance(error, RefusedError | msgspec.ValidationError):
                decoded = self.piece_by_piece(frame.payload, frame.received, error)
                self._unheard = False
                return decoded
        except RefusedError as bad:
            return limited(frame.payload, bad)
        except NOT_JSON as bad:
            error = bad
        return self._unreadable(frame, error)

    def _one_of(self, frame: Frame) -> Decoded:
        """A frame, or a document of one."""
        try:
            decoded = self.at_once(frame.payload, frame.received)
        except _NOT_AT_ONCE as error:
            return self._patiently(frame, error)
        self._unheard = False
        return decoded

    def _unreadable(self, frame: Frame, error: Exception) -> Decoded:
        """A greeting in words, several messages in one frame, a number that is none, or a dead letter."""
        payload = frame.payload
        if self._unheard and not frame.binary:
            greeting = sentence(payload)
            if greeting is not None:
                return Decoded([], [], [Answer("other", greeting)])
        merged = documents(payload)
        if merged is not None:
            return together(
                payload, merged, lambda document: self._one_of(Frame(document, frame.binary, frame.received))
            )
        mended = quoted(payload)
        if mended is not None:
            decoded = self._one_of(Frame(mended, frame.binary, frame.received))
            decoded.letters = [
                Letter(payload if letter.part == "frame" else unquoted(letter.payload), letter.reason, letter.part)
                for letter in decoded.letters
            ]
            return decoded
        if len(payload) > MERGED_BYTES and isinstance(beyond := too_large(payload), LimitError):
            return limited(payload, beyond)
        return refused(payload, f"{'binary frame, ' if frame.binary else ''}not JSON: {error}")
