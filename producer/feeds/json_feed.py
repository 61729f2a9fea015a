"""What the providers that speak JSON have in common: each frame is tried at once, else looked at piece by piece.

Pure, like all of this room.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping

import msgspec

from producer.feeds.decoded import Answer, Decoded, Frame
from producer.feeds.forms import Places
from producer.feeds.provider import Capabilities, Codes, Message, Options
from producer.feeds.reading import (
    NOT_JSON,
    RefusedError,
    amount,
    clock,
    computed,
    documents,
    refused,
    sentence,
    together,
)

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
        self._unheard = True

    @abstractmethod
    def at_once(self, payload: bytes, received: int) -> Decoded:
        """Read a frame of ticks that are all well.

        Raises:
            msgspec.ValidationError, RefusedError: it is another message, or a tick in it is bad.
        """

    @abstractmethod
    def piece_by_piece(self, payload: bytes, received: int, error: Exception) -> Decoded:
        """Read any JSON message; ``error`` is what ``at_once`` said of it."""

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
        payload, received = frame.payload, frame.received
        try:
            try:
                decoded = self.at_once(payload, received)
            except (msgspec.ValidationError, RefusedError) as error:
                decoded = self.piece_by_piece(payload, received, error)
        except NOT_JSON as error:
            return self._unreadable(frame, error)
        self._unheard = False
        return decoded

    def reset(self) -> None:
        """Forget the last connection."""
        self._unheard = True

    def _unreadable(self, frame: Frame, error: Exception) -> Decoded:
        """A greeting in words, several messages in one frame, or a dead letter."""
        if self._unheard and not frame.binary:
            greeting = sentence(frame.payload)
            if greeting is not None:
                return Decoded([], [], [Answer("other", greeting)])
        merged = documents(frame.payload)
        if merged is not None:
            return together(self.decode(Frame(part, frame.binary, frame.received)) for part in merged)
        return refused(frame.payload, f"{'binary frame, ' if frame.binary else ''}not JSON: {error}")
