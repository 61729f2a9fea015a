"""Frames as misbehaving providers send them."""

from __future__ import annotations

import gzip
import random
from collections.abc import Callable
from typing import Any
from urllib.parse import quote

import orjson
import pytest

from simulator.feeds import PROVIDERS
from simulator.feeds.prints import Print
from simulator.feeds.provider import Form, Handshake, Sent, Session, Terms
from simulator.misbehaviour.frames import (
    FRAMES,
    BigFrames,
    CachedSnapshot,
    CutFrames,
    DecadesAhead,
    Fragments,
    MergedFrames,
    PriceZero,
    Repeats,
    Shapes,
    TextOrNumber,
    Unreadable,
    ZipBombs,
    unpacked,
)
from simulator.misbehaviour.kind import FrameKind

Read = Callable[..., list[Print]]
XTICK = "/ws/" + quote('{"token":"t","authCodes":["tick.SH.1","tick.SZ.1"]}')
EVERY = sorted(PROVIDERS)


def session(feed: str) -> Session:
    path = {"xtick": XTICK, "binance": "/ws/!miniTicker@arr"}.get(feed, "/")
    return PROVIDERS[feed].session(Terms(), Handshake(path), 0.0)


def played(kind: FrameKind, feed: str, prints: list[Print]) -> tuple[list[Sent], list[Sent]]:
    """The frames of a session without the trick, and with it."""
    one = session(feed)
    sent = one.encode(prints)
    recent = {print_.code: print_ for print_ in prints}
    return sent, kind.frames(list(sent), one, recent, PROVIDERS[feed], random.Random("t"))


def ticks(sent: list[Sent]) -> list[Any]:
    return [tick for one in sent for tick in one.ticks]


@pytest.mark.parametrize("feed", EVERY)
@pytest.mark.parametrize("kind", FRAMES)
def test_no_tick_is_lost_and_the_ledger_begins_with_the_very_ticks(
    kind: type[FrameKind], feed: str, tape: Read
) -> None:
    """Whatever is added, a right client makes all the round's ticks of it, in order, and perhaps copies of them."""
    if not kind().suits(PROVIDERS[feed]):
        assert kind in {Shapes, ZipBombs, MergedFrames, DecadesAhead, Unreadable}
        return
    sent, changed = played(kind(), feed, tape({}, {"code": "000001", "volume": 200}, {"code": "600000"}))
    if kind is Unreadable:
        assert len(changed) == len(sent)
        assert ticks(changed) == []
        return
    known = iter(ticks(changed))
    assert all(tick in known for tick in ticks(sent))
    if PROVIDERS[feed].knows_repeats:
        assert ticks(changed) == ticks(sent)


@pytest.mark.parametrize("feed", EVERY)
def test_a_piece_of_a_message_holds_no_whole_tick(feed: str, tape: Read) -> None:
    """It is the beginning of the message that follows, cut within the first tick."""
    sent, (stray, *rest) = played(CutFrames(), feed, tape({}, {"code": "000001"}))
    assert rest == sent
    assert sent[0].payload.startswith(stray.payload)
    with pytest.raises(ValueError, match=r"."):
        orjson.loads(stray.payload)


@pytest.mark.parametrize("feed", EVERY)
def test_a_big_frame_is_above_a_mebibyte_and_says_the_same(feed: str, tape: Read) -> None:
    """The zipped one after zipping."""
    sent, (big, *_) = played(BigFrames(), feed, tape({}))
    assert len(big.payload) > 1 << 20
    message, plain = orjson.loads(unpacked(big.payload)), orjson.loads(unpacked(sent[0].payload))
    assert message == (plain | {"note": message["note"]} if feed == "xtick" else plain)


def test_repeats_are_in_the_ledger_where_nobody_can_tell_them(tape: Read) -> None:
    """Three times for iTick, once where a number or a sum tells."""
    for feed, times in (("itick", 3), ("infoway", 3), ("post", 3), ("alltick", 1), ("tickflow", 1), ("massive", 1)):
        sent, changed = played(Repeats(), feed, tape({}))
        assert [one.payload for one in changed] == [sent[0].payload] * 3
        assert len(ticks(changed)) == times


def test_a_cached_snapshot_is_what_was_sent_last(tape: Read) -> None:
    """Each code once."""
    sent, changed = played(CachedSnapshot(), "tickflow", tape({}, {"code": "000001"}))
    cached = [quote for one in changed[len(sent) :] for quote in orjson.loads(one.payload)["data"]]
    assert [quote["symbol"] for quote in cached] == ["600519.SH", "000001.SZ"]


@pytest.mark.parametrize("feed", EVERY)
def test_a_price_of_zero_is_no_tick(feed: str, tape: Read) -> None:
    """It stands in the frames, and not in the ledger."""
    sent, changed = played(PriceZero(), feed, tape({}))
    (zero,) = changed[len(sent) :]
    assert zero.ticks == []
    message = unpacked(zero.payload)
    assert any(text in message for text in (b":0.0", b":0,", b'"0"', b'"0.000000"'))
    assert b"1690" not in message.replace(b'"o":"1690.01","h":"1690.01","l":"1690.01"', b"")


def test_a_bomb_is_small_until_it_is_unpacked(tape: Read) -> None:
    """A thousandth of what is in it."""
    _, (*_, bomb) = played(ZipBombs(), "xtick", tape({}))
    assert len(bomb.payload) < 1 << 20
    assert int.from_bytes(bomb.payload[-4:], "little") == 256 << 20  # gzip's own note of the size
    assert bomb.ticks == []


def test_merged_messages_are_one_json_text_behind_the_other(tape: Read) -> None:
    """A line each."""
    sent, (merged,) = played(MergedFrames(), "alltick", tape({}, {}))
    assert merged.payload.split(b"\n") == [one.payload for one in sent]


def test_forms_change_for_a_second_and_fragments_are_three(tape: Read) -> None:
    """The others change nothing about how a frame is written."""
    assert TextOrNumber().form(Form()) == Form(swapped=True)
    assert Shapes().form(Form()) == Form(shape=1)
    assert PriceZero().form(Form()) == Form()
    _, (fragments,) = played(Fragments(), "post", tape({}))
    assert fragments.pieces == 3


def test_unpacking_reads_all_binary_forms() -> None:
    """As the tests need it."""
    assert unpacked(gzip.compress(b"x")) == b"x"
    assert unpacked(b"{}") == b"{}"
