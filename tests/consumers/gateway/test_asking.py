"""What clients ask with: subscriptions, tokens, frames, and those who read too slowly."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from websockets.frames import Frame
from websockets.streams import StreamReader

from consumers.gateway.connections import BACKLOG_BYTES, Connection, Connections
from consumers.gateway.frames import framed
from consumers.gateway.rows import FIELDS, named
from consumers.gateway.subscription import Subscribe, read
from consumers.gateway.tokens import NotEntitledError, read_tokens
from market.codes import Board
from schemas import UsageError
from tests.consumers.gateway.test_groups import row


def asked(**message: Any) -> Subscribe:
    return msgspec.convert({"type": "subscribe", **message}, Subscribe)


@pytest.mark.parametrize(
    ("message", "codes", "boards"),
    [
        ({}, None, None),
        ({"codes": "600519, sz000001"}, {"600519", "000001"}, None),
        ({"codes": ["600519", "000001.SZ"], "boards": "star,bse"}, {"600519", "000001"}, {Board.STAR, Board.BSE}),
        ({"codes": ["*"], "boards": ["MAIN"]}, None, {Board.MAIN}),
    ],
)
def test_codes_are_an_array_a_comma_string_or_a_wildcard(message: Any, codes: Any, boards: Any) -> None:
    found = read(asked(**message))
    assert (found.codes, found.boards) == (codes, boards)


@pytest.mark.parametrize(
    ("threshold", "before", "now", "is_larger"),
    [
        (0, 1_000, 1_000, False),
        (0, 1_000, 1_001, True),
        (0.05, 100_000, 100_500, False),
        (0.05, 100_000, 100_501, True),
        ({"yuan": 0.05}, 100_501, 100_000, True),
        ({"ticks": 2}, 100_000, 100_200, False),
        ({"ticks": 2}, 100_000, 100_300, True),
        ({"bp": 10}, 100_000, 100_100, False),
        ({"bp": 10}, 100_000, 100_101, True),
        ({"bp": 0.5}, 100_000, 100_006, True),
    ],
)
def test_a_threshold_is_exceeded_by_more_than_it(threshold: Any, before: int, now: int, is_larger: bool) -> None:
    from consumers.gateway.subscription import Move

    assert Move(read(asked(threshold=threshold)).threshold).larger("600519", before, now) is is_larger


@pytest.mark.parametrize(
    ("message", "said"),
    [
        ({"codes": "60051"}, "codes: "),
        ({"codes": ""}, "codes: give some, or * for all"),
        ({"codes": [f"{n}" for n in range(600_000, 610_001)]}, "more than 10,000"),
        ({"boards": ["NASDAQ"]}, "boards: give some of MAIN"),
        ({"boards": []}, "boards: give some of MAIN"),
        ({"threshold": {"yuan": 1.0, "bp": 1.0}}, "threshold: give one of"),
        ({"threshold": -1.0}, "threshold "),
        ({"threshold": {"ticks": 1.5}}, "ticks are whole"),
        ({"max_hz": 0}, "max_hz: 0 is not between"),
        ({"max_hz": 21}, "max_hz: 21 is not between"),
        ({"fields": ["prise"]}, "fields: prise is not one of code"),
        ({"id": ""}, "id: 1 to 32"),
        ({"id": "x" * 33}, "id: 1 to 32"),
        ({"id": "a\x1b[31m"}, "id: 1 to 32"),
    ],
)
def test_what_cannot_be_meant_is_refused_by_field(message: Any, said: str) -> None:
    with pytest.raises(UsageError, match=said.replace("*", r"\*")):
        read(asked(**message))


def test_fields_keep_their_order_and_the_code() -> None:
    assert read(asked(fields=["price", "name"])).fields == ("code", "price", "name")
    assert read(asked()).fields == FIELDS


@given(st.binary(max_size=400) | st.integers(100, 70_000).map(bytes))
def test_a_frame_is_read_back_as_it_was(message: bytes) -> None:
    """By the websockets library's own parser."""
    reader = StreamReader()
    reader.feed_data(framed(message))
    parser = Frame.parse(reader.read_exact, mask=False)
    with pytest.raises(StopIteration) as ended:
        next(parser)
    frame = ended.value.value
    assert (frame.opcode.name, frame.fin, bytes(frame.data)) == ("TEXT", True, message)


TOKENS = [
    {"name": "desk", "token": "d" * 24},
    {"name": "star", "token": "s" * 24, "boards": ["STAR"], "codes": ["600519"], "max_hz": 2},
    {"name": "narrow", "token": "n" * 24, "wildcard": False},
]


@pytest.mark.parametrize(
    ("token", "message", "refused"),
    [
        ("d", {}, None),
        ("s", {}, "the token of star has boards STAR and 1 codes"),
        ("s", {"boards": ["STAR"]}, None),
        ("s", {"boards": ["STAR", "MAIN"]}, "the token of star has"),
        ("s", {"codes": ["600519", "688001"]}, None),
        ("s", {"codes": ["600036"]}, "does not have 600036"),
        ("n", {}, "may not ask for all"),
        ("n", {"codes": ["600036"]}, None),
    ],
)
def test_a_token_has_what_it_is_entitled_to(tmp_path: Path, token: str, message: Any, refused: str | None) -> None:
    path = tmp_path / "tokens.json"
    path.write_text(json.dumps(TOKENS))
    rights = read_tokens(path).of(token * 24)
    assert rights is not None
    wanted = read(asked(**message))
    boards = {code: named(code)[0] for code in wanted.codes or ()}
    if refused is None:
        rights.check(wanted, boards)
    else:
        with pytest.raises(NotEntitledError, match=refused):
            rights.check(wanted, boards)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("", "write "),
        ("[]", "there is no token in it"),
        ('[{"name":"a","token":"short"}]', "a: its token is shorter than 16"),
        ('[{"name":"a","token":"aaaaaaaaaaaaaaaaaaaa"},{"name":"b","token":"aaaaaaaaaaaaaaaaaaaa"}]', "also another's"),
        ('[{"name":"a","token":"aaaaaaaaaaaaaaaaaaaa","boards":["X"]}]', "a: boards: give some of"),
        ('[{"name":"a","tokn":"aaaaaaaaaaaaaaaaaaaa"}]', "write "),
    ],
)
def test_a_file_of_tokens_that_cannot_be_meant_is_refused_without_a_token(
    tmp_path: Path, content: str, said: str
) -> None:
    path = tmp_path / "tokens.json"
    path.write_text(content)
    with pytest.raises(UsageError, match="--tokens") as refused:
        read_tokens(path)
    assert said in str(refused.value)
    assert "aaaaaaaaaaaaaaaaaaaa" not in str(refused.value)
    with pytest.raises(UsageError, match="can't be read"):
        read_tokens(tmp_path / "none.json")


class Pipe(asyncio.Transport):
    """A transport whose reader takes what the test lets it."""

    def __init__(self) -> None:
        """Nothing waits."""
        super().__init__()
        self.waiting: list[bytes] = []

    def write(self, data: Any) -> None:
        """Keep it."""
        self.waiting.append(bytes(data))

    def get_write_buffer_size(self) -> int:
        """Bytes that were not read."""
        return sum(map(len, self.waiting))

    def is_closing(self) -> bool:
        """Never."""
        return False


def test_a_client_that_does_not_read_costs_a_bound_and_gets_the_newest(monkeypatch: pytest.MonkeyPatch) -> None:
    """Beside one that reads, which misses nothing. In the end it is closed."""
    clock = [1_000.0]
    monkeypatch.setattr("consumers.gateway.connections.time.monotonic", lambda: clock[0])
    connections = Connections()
    slow, quick = Connection(Pipe()), Connection(Pipe())
    codes = [f"{n}" for n in range(600_000, 602_000)]
    connections.take([row(code, 1_000, 1) for code in codes])
    for connection in (slow, quick):
        connections.add(connection)
        connections.subscribe(connection, read(asked(max_hz=20)), snapshot=True)
    read_by_quick = 0
    for turn in range(2, 60):
        clock[0] += 0.05
        connections.take([row(code, 1_000 + turn, turn) for code in codes])
        connections.flush()
        read_by_quick += len(quick.transport.waiting)  # type: ignore[attr-defined]
        quick.transport.waiting.clear()  # type: ignore[attr-defined]
    assert read_by_quick == 2 + 58  # a snapshot is written in two parts
    assert slow.transport.get_write_buffer_size() < 3 * BACKLOG_BYTES
    assert slow.behind is not None
    slow.transport.waiting.clear()  # type: ignore[attr-defined]
    clock[0] += 0.05
    connections.flush()
    _head, body = slow.transport.waiting  # type: ignore[attr-defined]
    message = json.loads(body)
    assert (message["type"], message["reason"], len(message["rows"])) == ("snapshot", "behind", 2_000)
    assert {one["ticks"] for one in message["rows"]} == {59}
    for turn in range(60, 360):
        clock[0] += 0.05
        connections.take([row(code, 1_000 + turn, turn) for code in codes])
        connections.flush()
        quick.transport.waiting.clear()  # type: ignore[attr-defined]
    assert slow.closing.is_set()
    assert not quick.closing.is_set()
    connections.remove(slow)
    connections.remove(quick)
    assert connections.hub.groups == 0
