"""What a replay gives its records to."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from consumers.replay.merge import Batch


class Output(Protocol):
    """Takes records in the order of the replay. ``open`` comes first, then writes, then ``close``, whatever happened.

    Attributes:
        typed: wants ``Batch.ticks`` where the records are ticks.
        headers: wants the records' headers.
        apart: can tell the order within each partition alone: flat out, a batch may be of one partition.
        seekable: a replay may jump within the range; else what was written has to be the range, each record once.
    """

    typed: bool
    headers: bool
    apart: bool
    seekable: bool

    @property
    def unreadable(self) -> int:
        """Records that could not be given out in this output's form, and were left out."""

    async def open(self, partitions: Sequence[int]) -> None:
        """Get ready for records of these partitions.

        Raises:
            UsageError: this output can't be had.
        """

    async def write(self, batch: Batch) -> None:
        """Take records; returns when there is room for more."""

    async def jumped(self) -> None:
        """The next records are not those that follow."""

    async def close(self, *, complete: bool) -> None:
        """All is given out, or, when not ``complete``, the replay was ended before."""
