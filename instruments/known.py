"""What is known of instruments, by code: ``ashare.instruments.v1`` as its readers hold it. No I/O."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator

from market.codes import UnknownCode, instrument
from schemas import Instrument

WHOLE = {"SSE": 2_000, "SZSE": 2_500, "BSE": 200}
"""A list with so many A shares of an exchange has all of them: in 2026 there are 2,300, 2,900 and 280."""
CODES = 98_304
"""Codes that are held; those beyond are left out. The exchanges list some 20,000 instruments of all kinds."""


class Known:
    """The latest record of each code.

    Attributes:
        whole: exchanges all of whose A shares are in the list, so that one that is not in it is not listed.
        refused: records that were left out, for want of room.
    """

    def __init__(self, records: Iterable[Instrument] = ()) -> None:
        """Hold some records, or none yet."""
        self._records: dict[str, Instrument] = {}
        self.whole: frozenset[str] = frozenset()
        self.refused = 0
        self.take((record.code, record) for record in records)

    def __len__(self) -> int:
        """How many codes are known."""
        return len(self._records)

    def __iter__(self) -> Iterator[str]:
        """The codes."""
        return iter(self._records)

    def get(self, code: str) -> Instrument | None:
        """What is known of a code."""
        return self._records.get(code)

    def take(self, changes: Iterable[tuple[str, Instrument | None]]) -> list[str]:
        """Take records, ``None`` for a code that was removed; gives the codes of which something is new."""
        records, changed = self._records, []
        for code, record in changes:
            if record is None:
                if records.pop(code, None) is not None:
                    changed.append(code)
            elif code not in records and len(records) >= CODES:
                self.refused += 1
            elif records.get(code) != record:
                records[code] = record
                changed.append(code)
        if changed:
            self.whole = self._counted()
        return changed

    def lists(self, code: str, exchange: str) -> bool | None:
        """Whether an A share is listed; ``None`` where the list has not all of the exchange, and so does not say."""
        if code in self._records:
            return True
        return False if exchange in self.whole else None

    def _counted(self) -> frozenset[str]:
        shares: Counter[str] = Counter()
        for code in self._records:
            try:
                named = instrument(code)
            except UnknownCode:
                continue
            shares[named.exchange] += named.a_share
        return frozenset(exchange for exchange, least in WHOLE.items() if shares[exchange] >= least)
