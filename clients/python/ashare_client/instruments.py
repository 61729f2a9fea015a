"""What is known of instruments beside their trades: names, limits of the day, list dates, shares."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from ashare_client.readers import Names, Reader
from ashare_client.records import INSTRUMENTS, Instrument, Record
from ashare_client.repeats import Suspects
from ashare_client.selection import Selection


async def instruments(
    bootstrap: Names,
    *,
    codes: Names | None = None,
    boards: Names | None = None,
    patience: float = 30.0,
    topic: str = INSTRUMENTS,
    options: Mapping[str, Any] | None = None,
) -> dict[str, Instrument]:
    """What the pipeline's operator has applied, by code, as it is now; empty where nothing was.

    Records that can't be read are left out.

    Args:
        bootstrap: brokers, `HOST:PORT[,HOST:PORT]`.
        codes, boards: only these; both together: the codes, and what is on the boards.
        patience: seconds for which a broker that says nothing is waited for.
        topic: another topic of instruments.
        options: for `AIOKafkaConsumer`: TLS, passwords, time-outs.

    Raises:
        ArgumentError: an argument can't be meant; the text says how to write it.
        NoTopicError: the pipeline has no such topic, as older ones have not.
        NoBrokerError: no broker answers.
    """
    reader = _Instruments(
        bootstrap,
        topic,
        selection=Selection(codes, boards),
        repeats=_Nothing(),
        start="earliest",
        end="now",
        missing="skip",  # compaction takes records away by design
        malformed="skip",
        patience=patience,
        options=options,
    )
    found: dict[str, tuple[int, Instrument]] = {}
    async with reader:
        async for batch in reader.batches():
            for record, offset in zip(batch.records, batch.offsets, strict=True):
                found[record.code] = (offset, record)
    deleted = reader.deleted
    return {code: record for code, (offset, record) in found.items() if offset > deleted.get(code, -1)}


class _Nothing:
    """A compacted topic is read once, and each record in it holds until the next one of its code."""

    def __init__(self) -> None:
        self.suspects = Suspects()

    def seen(self, partition: int, record: Any) -> bool:  # noqa: ARG002 - the signature is that of `Repeats`
        return False

    def forget(self) -> None:
        pass


class _Instruments(Reader[Instrument]):
    """Reads the topic.

    Attributes:
        deleted: by code, where it was removed last.
    """

    record: ClassVar[type[Record]] = Instrument

    def __init__(self, *arguments: Any, **settings: Any) -> None:
        super().__init__(*arguments, **settings)
        self.deleted: dict[str, int] = {}

    def _gone(self, key: bytes | None, offset: int) -> None:
        self.deleted[(key or b"").decode("utf-8", "replace")] = offset

    def _hear(self, record: Instrument) -> None:
        pass
