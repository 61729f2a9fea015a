"""The base of every error that ``broker`` raises of its own.

A wrong setting or a broker that does not answer at start is ``schemas.UsageError``; what aiokafka raises is its
``KafkaError``.
"""

from __future__ import annotations


class BrokerError(Exception):
    """What was asked of Kafka was not done; the text says what and why.

    - ``publisher.DeliveryError``: records could not be delivered, and will not be.
    - ``publisher.AbandonedError``: records were dropped by ``Publisher.abandon``.
    - ``publisher.RecordTooLargeError``: a record is larger than its topic takes; nothing was queued.
    - ``reader.ReadError``: a range could not be read to its end.
    - ``probe.ProbeError``: a broker could not be asked which log stands behind a topic's name.
    """
