"""Which records of a chunk belong to a replay: by time, by code, by board. Pure."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field

from broker.chunk import Chunk
from market.codes import Board, UnknownCode, instrument, normalise
from schemas import UsageError

_CODE_KEYED = ("tick", "snapshot", "price-change", "change-state", "bar", "bar-state", "")
END_HEADER = "ashare_replay_end"
"""The header of the record that ends an earlier replay: it is none of the topic's own."""


class _Boards(dict[bytes | None, bool]):
    """Whether a key's board is wanted, remembered."""

    def __init__(self, boards: Collection[Board]) -> None:
        super().__init__()
        self._boards = boards

    def __missing__(self, key: bytes | None) -> bool:
        try:
            found = instrument((key or b"").decode()).board in self._boards
        except (UnknownCode, UnicodeDecodeError):
            found = False
        if len(self) < 65_536:
            self[key] = found
        return found


@dataclass
class Selection:
    """Bounds on times (ms since the epoch, the end excluded) and on the records' keys.

    ``time_*`` is about exchange time, ``received_*`` about Kafka's timestamp.
    """

    time_from: int | None = None
    time_to: int | None = None
    received_from: int | None = None
    received_to: int | None = None
    codes: frozenset[bytes] = frozenset()
    boards: frozenset[Board] = frozenset()
    left_out: int = 0
    _on_board: _Boards = field(init=False, repr=False)

    def __post_init__(self) -> None:
        """Prepare the lookup of boards."""
        self._on_board = _Boards(self.boards)

    @property
    def by_time(self) -> bool:
        """Whether exchange times are needed to decide."""
        return self.time_from is not None or self.time_to is not None

    def apply(self, chunk: Chunk, times: list[int] | None) -> list[int] | None:
        """Leave in a chunk what belongs to the replay; gives the times (exchange) of what stays.

        Args:
            times: exchange times of the chunk's records; may be ``None`` where ``by_time`` is false.
        """
        before = len(chunk)
        if self.codes or self.boards:
            times = self._keep(chunk, times, self._keyed(chunk))
        if self.by_time and len(chunk):
            assert times is not None
            times = self._within(chunk, times, times, self.time_from, self.time_to)
        if (self.received_from is not None or self.received_to is not None) and len(chunk):
            times = self._within(chunk, times, chunk.timestamps, self.received_from, self.received_to)
        if chunk.headers and b"" in chunk.values:
            ends = [any(name == END_HEADER for name, _ in headers) for headers in chunk.headers]
            times = self._keep(chunk, times, [i for i, end in enumerate(ends) if not end])
        self.left_out += before - len(chunk)
        return times

    def _keyed(self, chunk: Chunk) -> list[int]:
        codes, on_board = self.codes, self._on_board
        if not self.boards:
            return [i for i, key in enumerate(chunk.keys) if key in codes]
        if not codes:
            return [i for i, key in enumerate(chunk.keys) if on_board[key]]
        return [i for i, key in enumerate(chunk.keys) if key in codes or on_board[key]]

    def _within(
        self, chunk: Chunk, times: list[int] | None, by: list[int], start: int | None, end: int | None
    ) -> list[int] | None:
        least, most = min(by), max(by)
        if (start is None or least >= start) and (end is None or most < end):
            return times
        low = least if start is None else start
        high = most + 1 if end is None else end
        return self._keep(chunk, times, [i for i, time in enumerate(by) if low <= time < high])

    @staticmethod
    def _keep(chunk: Chunk, times: list[int] | None, indexes: list[int]) -> list[int] | None:
        if len(indexes) == len(chunk):
            return times
        chunk.select(indexes)
        return None if times is None else [times[i] for i in indexes]


def read_codes(text: str, kind: str) -> frozenset[bytes]:
    """The codes of ``600519,000001.SZ`` as keys.

    Raises:
        UsageError: no code, or a topic that is not keyed by code.
    """
    try:
        codes = frozenset(normalise(code.strip()).encode() for code in text.split(",") if code.strip())
    except UnknownCode as error:
        raise UsageError(f"--codes: {error}") from error
    if codes:
        _check(kind, "--codes")
    return codes


def read_boards(text: str, kind: str) -> frozenset[Board]:
    """The boards of ``STAR,CHINEXT``.

    Raises:
        UsageError: no board, or a topic that is not keyed by code.
    """
    names = [name.strip().upper() for name in text.split(",") if name.strip()]
    for name in names:
        if name not in Board.__members__:
            raise UsageError(f"--boards: {name!r} is not a board; there are {', '.join(Board.__members__)}")
    if names:
        _check(kind, "--boards")
    return frozenset(Board[name] for name in names)


def _check(kind: str, flag: str) -> None:
    if kind not in _CODE_KEYED:
        raise UsageError(f"{flag} is for topics that are keyed by code, and records of {kind!r} are not: leave it out")
