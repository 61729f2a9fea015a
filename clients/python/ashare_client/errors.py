"""What can go wrong, each with a text that names what to do."""

from __future__ import annotations


class ClientError(Exception):
    """The root of everything that this library raises by itself."""


class ArgumentError(ClientError, ValueError):
    """An argument that can't be meant; the text says how to write it."""


class NoBrokerError(ClientError):
    """No broker answers, or one has stopped answering for longer than `patience`."""


class NoTopicError(ClientError):
    """The broker does not have the topic, or does not let this user read it."""


class RangeError(ClientError):
    """Records that were asked for are not there any more, or not there yet; the text names what is."""


class RecordError(ClientError):
    """A record that is not what its topic promises; the text names its place and the field."""


class StateError(ClientError):
    """Used in a way that its state does not allow: before it was opened, after it was closed, or twice at once."""
