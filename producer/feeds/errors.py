"""The errors of the feeds. Readers of values and frames raise them; ``Feed.decode`` catches all of them."""

from __future__ import annotations

import msgspec

from producer.errors import ProducerError


class UnreadableError(ProducerError, ValueError):
    """Something that a frame holds can't be read: the base of all errors of this package.

    The text begins with the field's name and becomes the reason of a dead letter. An unreadable code, price or time
    refuses the tick; any other field is null, and named in the tick's ``unread``.
    """


class LimitError(UnreadableError):
    """A frame exceeds a bound of ``producer.feeds.limits``; ``bound`` is its name. The whole frame is a dead letter."""

    def __init__(self, bound: str, text: str) -> None:
        """A frame that exceeds ``bound``."""
        super().__init__(text)
        self.bound = bound


class PackedError(UnreadableError):
    """A packed frame can't be unpacked; the text says why."""


NOT_JSON = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
"""What a decoder of JSON raises; ``msgspec.ValidationError`` is a ``DecodeError`` of a frame that is JSON."""

UNREADABLE = (UnreadableError, *NOT_JSON)
