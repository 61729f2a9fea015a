"""What the providers have in common that push one tick a frame, as an object under ``data``."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any

import msgspec

from producer.feeds.decoded import Decoded
from producer.feeds.frames import message_of, refused
from producer.feeds.json_feed import JsonFeed
from producer.feeds.provider import Options


class SingleFeed(JsonFeed):
    """A ``JsonFeed`` of single ticks.

    Attributes:
        envelope: a frame with a tick, ``push`` under ``data``.
        shape: what every message of the provider's is, in a few words.
    """

    envelope: type[msgspec.Struct]
    shape: str

    def __init__(self, options: Options) -> None:
        """See ``Feed``."""
        super().__init__(options)
        self._envelope: Any = msgspec.json.Decoder(self.envelope).decode
        raw = [
            (field.name, msgspec.Raw if field.name == "data" else field.type)
            for field in msgspec.structs.fields(self.envelope)
        ]
        self._raw_envelope: Any = msgspec.json.Decoder(msgspec.defstruct("RawEnvelope", raw, gc=False)).decode

    @abstractmethod
    def message(self, payload: bytes, message: dict[str, Any], error: Exception) -> Decoded:
        """A message that is not a readable tick: an answer, or a dead letter; ``error`` is why."""

    def strict(self, payload: bytes, received: int) -> Decoded:
        """One tick."""
        tick = self.tick(self._envelope(payload).data, received)
        if tick is None:
            return Decoded([], [], [], unpriced=1)
        return Decoded([], [], [], repeats=1) if self.repeated(tick) else Decoded([tick], [], [])

    def lenient(self, payload: bytes, received: int, error: Exception) -> Decoded:
        """An answer, or a tick whose optional fields hold something strange."""
        try:
            push = self._lenient(self._raw_envelope(payload).data)
        except msgspec.ValidationError as why:
            error = why
        else:
            return self.entered([self.tick(push, received)], received)
        message = message_of(payload)
        if not isinstance(message, dict):
            return refused(payload, f"not a message of {self.shape}")
        return self.message(payload, message, error)
