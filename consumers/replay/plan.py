"""What to read from where: bounds against what log and archive hold. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from consumers.replay.bounds import Bound, Edge, ExchangeTime, Offsets, Received

AHEAD_MS = 86_400_000
"""By how much an exchange's time may be ahead of its receipt: a market that is simulated today may open tomorrow."""


@dataclass(frozen=True)
class Piece:
    """Offsets ``start`` to before ``end`` of one partition, in the log or in the archive."""

    archived: bool
    start: int
    end: int


@dataclass(frozen=True)
class Holdings:
    """What there is of each partition: the log's first and next offset, the archive's spans, merged and rising."""

    log: Mapping[int, tuple[int, int]]
    archive: Mapping[int, Sequence[tuple[int, int]]] = field(default_factory=dict)

    def earliest(self, partition: int) -> int:
        """The first offset that either holds."""
        begin, end = self.log[partition]
        spans = self.archive.get(partition, ())
        first = spans[0][0] if spans else begin
        return min(first, begin) if end > begin else first

    def end(self, partition: int) -> int:
        """The offset behind the last: the log's, or the archive's where the log has never held anything."""
        log_end = self.log[partition][1]
        spans = self.archive.get(partition, ())
        return spans[-1][1] if spans and not log_end else log_end

    def pieces(self, partition: int, start: int, end: int) -> tuple[list[Piece], list[tuple[int, int]]]:
        """A range as pieces in order, the log's own where it has them, and what neither holds."""
        begin, log_end = self.log[partition]
        held = [Piece(archived=False, start=begin, end=log_end)]
        for low, high in self.archive.get(partition, ()):
            held.append(Piece(archived=True, start=low, end=min(high, begin)))
            held.append(Piece(archived=True, start=max(low, log_end), end=high))
        pieces: list[Piece] = []
        missing: list[tuple[int, int]] = []
        at = start
        for piece in sorted((piece for piece in held if piece.start < piece.end), key=lambda piece: piece.start):
            low, high = max(piece.start, at), min(piece.end, end)
            if low >= high:
                continue
            if low > at:
                missing.append((at, low))
            pieces.append(Piece(piece.archived, low, high))
            at = high
        if at < end:
            missing.append((at, end))
        return pieces, missing


@dataclass(frozen=True)
class Plan:
    """Pieces of each partition, and the ranges that were asked for and neither holds."""

    pieces: Mapping[int, Sequence[Piece]]
    missing: Mapping[int, Sequence[tuple[int, int]]]

    @property
    def records(self) -> int:
        """Offsets to read."""
        return sum(piece.end - piece.start for pieces in self.pieces.values() for piece in pieces)

    @property
    def archived(self) -> int:
        """Those of them that come from the archive."""
        return sum(piece.end - piece.start for pieces in self.pieces.values() for piece in pieces if piece.archived)


def lookups(start: Bound, end: Bound, *, now: int, scan: bool, lateness: int | None) -> dict[str, int]:
    """The receive times (ms) whose offsets ``resolve`` wants, by what they are for.

    ``floor``: no record received before it belongs to the range. ``ceiling``: none received from it on does. ``claim``:
    from there on the user expects records, so that a log that begins later has lost some.

    The log is indexed by receipt, and a bound may be of exchange time. A tick is never received before it happened,
    but for a clock that is ahead: so from below the index narrows, with ``AHEAD_MS`` to spare, unless the bound lies in
    the future or ``scan`` says that times may be ahead by any amount. From above it says nothing: a recording of last
    year, played today, was received today. Only ``lateness`` (ms), the user's word, narrows from above.
    """
    wanted: dict[str, int] = {}
    if isinstance(start, Received):
        wanted["floor"] = wanted["claim"] = start.ms
    elif isinstance(start, ExchangeTime):
        if not scan and start.ms - AHEAD_MS < now:
            wanted["floor"] = start.ms - AHEAD_MS
        wanted["claim"] = start.ms
    if isinstance(end, Received):
        # Timestamps need not rise: the exact cut is the selection's, and this one leaves room.
        wanted["ceiling"] = end.ms + 60_000
    elif isinstance(end, ExchangeTime) and lateness is not None:
        wanted["ceiling"] = end.ms + lateness
    return wanted


def resolve(
    start: Bound, end: Bound, holdings: Holdings, found: Mapping[str, Mapping[int, int]], *, partial: bool = False
) -> Plan:
    """The plan of a range.

    Args:
        found: for each of ``lookups``, the first offset received from then on, by partition.
        partial: what neither holds is not a fault.
    """
    pieces: dict[int, Sequence[Piece]] = {}
    missing: dict[int, Sequence[tuple[int, int]]] = {}
    for partition in sorted(holdings.log):
        if not (_named(start, partition) and _named(end, partition)):
            continue
        earliest, last = holdings.earliest(partition), holdings.end(partition)
        low = _start(start, partition, earliest, last, found)
        high = max(low, _end(end, partition, last, found))
        parts, holes = holdings.pieces(partition, low, high)
        claim = found.get("claim", {}).get(partition)
        if claim is not None and claim <= earliest and earliest > 0:
            holes = [(0, earliest), *holes]
        pieces[partition] = parts
        if holes and not partial:
            missing[partition] = holes
    unknown = [p for bound in (start, end) if isinstance(bound, Offsets) for p in bound.by_partition]
    for partition in unknown:
        if partition not in holdings.log:
            missing[partition] = [(0, 0)]
    return Plan(pieces, missing)


def _named(bound: Bound, partition: int) -> bool:
    return not isinstance(bound, Offsets) or bound.every is not None or partition in bound.by_partition


def _start(bound: Bound, partition: int, earliest: int, last: int, found: Mapping[str, Mapping[int, int]]) -> int:
    if isinstance(bound, Offsets):
        # One offset for partitions of unequal length is past the end of some.
        return bound.by_partition[partition] if bound.every is None else min(bound.every, last)
    if bound is Edge.END:
        return last
    return max(earliest, found.get("floor", {}).get(partition, earliest))


def _end(bound: Bound, partition: int, last: int, found: Mapping[str, Mapping[int, int]]) -> int:
    if isinstance(bound, Offsets):
        return bound.by_partition[partition] if bound.every is None else min(bound.every, last)
    if bound is Edge.EARLIEST:
        return 0
    return min(last, found.get("ceiling", {}).get(partition, last))
