"""What the producer raises by itself, as one tree; a setting that is wrong is ``schemas.UsageError``, as everywhere.

``ProducerError``
    ``TaskEndedError``: a task that the producer needs has ended; the process ends with it.
    ``ReconnectNeededError``: the list of codes can change only with a new connection; the line makes one.
    ``ForeignRedirectError``: the server redirects to another origin; no credential goes there.
    ``RefusedAgainError``: what worked before in this run is refused; it is tried again. Also a ``UsageError``, since
    its text is written for the user.
    ``UnreadableError`` (``producer.feeds.errors``): what a frame holds can't be read; it becomes a dead letter.
"""

from __future__ import annotations

from schemas import UsageError


class ProducerError(Exception):
    """The base of all errors that the producer raises by itself."""


class TaskEndedError(ProducerError):
    """A task that a connection, or the producer, needs has ended without a reason of its own."""


class ReconnectNeededError(ProducerError):
    """The provider lets the list of codes change only with a new connection."""


class ForeignRedirectError(ProducerError):
    """The server answers the handshake with the address of another origin; the text names both origins and no more."""


class RefusedAgainError(ProducerError, UsageError):
    """What looks like the user's to mend, though the address and the token worked before in this run.

    It is tried again, with growing pauses: servers refuse what they took before while they are being deployed.
    """
