"""Which records belong to a replay."""

from __future__ import annotations

import pytest

from broker.chunk import Chunk
from consumers.replay.selection import END_HEADER, Selection, read_boards, read_codes
from market.codes import Board
from schemas import UsageError

CODES = [b"600519", b"688001", b"300750", b"000001", None, b"\xff"]


def chunk() -> Chunk:
    made = Chunk("topic", 0, 10)
    made.offsets = [10 + index for index in range(len(CODES))]
    made.end = 10 + len(CODES)
    made.timestamps = [1_000 + index for index in range(len(CODES))]
    made.keys = list(CODES)
    made.values = [b"{}"] * len(CODES)
    return made


def kept(selection: Selection, times: list[int] | None = None) -> list[int]:
    made = chunk()
    left = selection.apply(made, times)
    assert left is None or len(left) == len(made)
    assert selection.left_out == len(CODES) - len(made)
    return [offset - 10 for offset in made.offsets]


def test_codes_and_boards_add_up() -> None:
    """A record that either names is in; one without a readable code is on no board."""
    codes, boards = frozenset({b"600519"}), frozenset({Board.STAR})
    assert kept(Selection()) == [0, 1, 2, 3, 4, 5]
    assert kept(Selection(codes=codes)) == [0]
    assert kept(Selection(boards=boards)) == [1]
    assert kept(Selection(codes=codes, boards=boards)) == [0, 1]


def test_the_end_of_a_time_range_is_not_in_it() -> None:
    """Exchange time and receipt alike; times need not rise."""
    assert kept(Selection(time_from=5, time_to=8), [7, 4, 5, 8, 9, 6]) == [0, 2, 5]
    assert kept(Selection(received_from=1_001, received_to=1_003)) == [1, 2]
    both = Selection(time_from=6, received_to=1_005, codes=frozenset({b"600519", b"000001"}))
    assert kept(both, [7, 4, 5, 8, 9, 6]) == [0, 3]


def test_the_end_marker_of_an_earlier_replay_is_no_record() -> None:
    """An empty value alone is one."""
    made = chunk()
    made.values[2] = made.values[3] = b""
    made.headers = [(), (), (), ((END_HEADER, b"complete"),), (), ()]
    Selection().apply(made, None)
    assert [offset - 10 for offset in made.offsets] == [0, 1, 2, 4, 5]


def test_codes_are_read_in_any_spelling_and_boards_in_any_case() -> None:
    assert read_codes("sh600519, 000001.SZ", "tick") == frozenset({b"600519", b"000001"})
    assert read_boards("star,MAIN", "price-change") == frozenset({Board.STAR, Board.MAIN})
    assert read_codes("", "feed-event") == frozenset()


def test_what_is_no_code_no_board_or_no_topic_of_codes_is_refused() -> None:
    with pytest.raises(UsageError, match="--codes"):
        read_codes("6005", "tick")
    with pytest.raises(UsageError, match="--boards: 'NASDAQ' is not a board; there are MAIN"):
        read_boards("nasdaq", "tick")
    with pytest.raises(UsageError, match="keyed by code"):
        read_codes("600519", "feed-event")
    with pytest.raises(UsageError, match="--boards"):
        read_boards("STAR", "dead-letter")
