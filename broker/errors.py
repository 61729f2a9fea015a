"""The base of every error that ``broker`` raises of its own.

A wrong setting or a broker that does not answer at start is ``schemas.UsageError``; what aiokafka raises is its
``KafkaError``.
"""

from __future__ import annotations


class BrokerError(Exception):
    """What was asked of Kafka was not done; the text says what and why.

    - ``DeliveryError``, ``RefusedError``, ``AbandonedError``, ``RecordTooLargeError``: of ``broker.publisher``.
    - ``FencedError``: of ``broker.fencing``.
    - ``ReadError``: of ``broker.reader``.
    - ``ProbeError``: of ``broker.probe``.
    """


class RecordTooLargeError(BrokerError, ValueError):
    """A record that its topic's ``max.message.bytes`` does not admit; the broker would only say so after the send."""


class DeliveryError(BrokerError):
    """Records will not be delivered: the publisher failed, or the time to stop was up. The text says how many."""


class RefusedError(DeliveryError):
    """The broker does not take them from this user, until somebody mends something; the text says what."""


class AbandonedError(BrokerError):
    """Records were dropped by ``Publisher.abandon`` before they were acknowledged.

    A batch that was in flight then may have arrived all the same; none is sent again.
    """


class FencedError(AbandonedError):
    """Another member has taken the partition over: the broker refuses this one's records, and they were dropped."""
