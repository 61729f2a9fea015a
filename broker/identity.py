"""The producer that a partition's batches come from, where it is not the client's own (``broker.fencing``)."""

from __future__ import annotations

import asyncio

from aiokafka.errors import ProducerFenced

_FENCED = (47, 90)
"""INVALID_PRODUCER_EPOCH, PRODUCER_FENCED."""
_MOST = (1 << 31) - 1


class Identity:
    """A producer id and epoch that the broker has given to a transactional id, and the count of what was sent.

    Attributes:
        sequence: the number of the next record; the broker takes a batch only if it follows the one before.
        broken: the broker may lack a number: nothing may be sent before the identity is renewed.
        lost: another member has taken the partition over: nothing may be sent any more.
        lock: held while the coordinator is asked for the identity.
    """

    __slots__ = ("broken", "epoch", "lock", "lost", "producer_id", "sequence", "transactional_id")

    def __init__(self, transactional_id: str) -> None:
        """One that the broker does not know yet."""
        self.transactional_id = transactional_id
        self.producer_id, self.epoch = -1, -1
        self.sequence = 0
        self.broken = self.lost = False
        self.lock = asyncio.Lock()

    def next_sequence(self, records: int) -> int:
        """The number of a batch's first record."""
        first = self.sequence
        self.sequence = (first + records) & _MOST
        return first


def is_fenced(error: BaseException | int | None) -> bool:
    """Whether an error of a client, or an error code, says that another producer has a higher epoch."""
    code = error if isinstance(error, int) else getattr(error, "errno", None)
    return code in _FENCED or isinstance(error, ProducerFenced)
