"""XTick, message by message: packed binary maps by code, numbered packets, the subscription in the address."""

from __future__ import annotations

import gzip
import zipfile
from typing import Any
from urllib.parse import unquote

import orjson
import pytest

from producer.feeds.decoded import Packet
from producer.feeds.provider import Feed
from schemas import UsageError
from tests.producer.feeds.genuine import TIME, feed, fields, packet, read, snapshot, zipped

FIRST = {
    "code": "600000",
    "exchange": "SSE",
    "price": 9.87,
    "time": TIME,
    "previous_close": 9.75,
    "cumulative": 120_000,
}


@pytest.fixture
def live() -> Feed:
    return feed("xtick")


@pytest.mark.parametrize(
    "pack",
    [gzip.compress, zipped, lambda content: zipped(content, zipfile.ZIP_STORED), lambda content: content],
    ids=["gzip", "zip", "zip, stored", "not packed"],
)
def test_a_packet_is_told_by_its_first_bytes(live: Feed, pack: Any) -> None:
    """GZIP, ZIP (its first entry) or plain JSON; 9.869999885559082 is 9.87, and a code's first push has no volume."""
    decoded = read(live, pack(packet({"600000.SH": snapshot()})), binary=True)
    assert fields(decoded) == [FIRST]
    assert decoded.packet == Packet("tick.SH.1", 1)


def test_volume_is_the_difference_of_two_packets_in_shares(live: Feed) -> None:
    """Cumulative lots × 100; amount in yuan likewise."""
    read(live, packet({"600000.SH": snapshot()}), binary=True)
    later = snapshot(time=TIME + 3000, volume=1203, amount=1_187_361.0)
    (tick,) = read(live, packet({"600000.SH": later}, number=2), binary=True).ticks
    assert (tick.volume, tick.turnover, tick.cumulative) == (300, 2961.0, 120_300)


@pytest.mark.parametrize(
    ("key", "name", "code", "exchange"),
    [
        ("600000", "tick.SH.1", "600000", "SSE"),
        ("600000.SH", "tick.SH.1", "600000", "SSE"),
        ("000001", "tick.SZ.1", "000001", "SZSE"),
        ("920819", "tick.BJ.1", "920819", "BSE"),
        ("600519", "600519.SH", "600519", "SSE"),
    ],
)
def test_a_key_has_its_suffix_or_its_subscriptions_exchange(
    live: Feed, key: str, name: str, code: str, exchange: str
) -> None:
    """Exchange first: which of the two forms is pushed is not documented."""
    (tick,) = read(live, packet({key: snapshot()}, name=name), binary=True).ticks
    assert (tick.code, tick.exchange) == (code, exchange)


def test_the_same_digits_of_an_index_class_are_no_bank(live: Feed) -> None:
    """000001 under ``tick.SH.10`` is the index: refused without ``foreign``, and never 000001 of Shenzhen."""
    frame = packet({"000001": snapshot()}, name="tick.SH.10")
    assert "000001.SSE is not an A share" in read(live, frame, binary=True).letters[0].reason
    assert read(feed("xtick", foreign=True), frame, binary=True).ticks[0].code == "000001.SSE"


def test_a_map_of_lists_is_read_in_order(live: Feed) -> None:
    """As QMT's per-code form: several snapshots under a key."""
    several = [snapshot(), snapshot(time=TIME + 3000, volume=1201)]
    decoded = read(live, packet({"600000.SH": several, "600519.SH": snapshot()}), binary=True)
    assert [(tick.code, tick.volume) for tick in decoded.ticks] == [("600000", None), ("600000", 100), ("600519", None)]
    assert decoded.packet == Packet("tick.SH.1", 1)


def test_a_price_of_0_is_counted_and_is_no_tick(live: Feed) -> None:
    """Suspended, or before the auction: its zeros spoil no difference."""
    read(live, packet({"600000": snapshot()}), binary=True)
    zeros = dict.fromkeys(("lastPrice", "open", "high", "low", "amount", "volume"), 0)
    decoded = read(live, packet({"600000": snapshot(time=TIME + 3000, **zeros)}), binary=True)
    assert (decoded.ticks, decoded.letters, decoded.unpriced) == ([], [], 1)
    (tick,) = read(live, packet({"600000": snapshot(time=TIME + 6000, volume=1201)}), binary=True).ticks
    assert tick.volume == 100


def test_a_packet_that_comes_again_is_recognised(live: Feed) -> None:
    """Same time and day's volume; the packet's number is reported all the same."""
    frame = gzip.compress(packet({"600000": snapshot(), "600519": snapshot()}))
    read(live, frame, binary=True)
    decoded = read(live, frame, binary=True)
    assert (decoded.ticks, decoded.repeats, decoded.packet) == ([], 2, Packet("tick.SH.1", 1))


def test_a_bad_tick_costs_its_neighbours_nothing(live: Feed) -> None:
    """Its own bytes are the letter."""
    bad = snapshot(lastPrice="x")
    decoded = read(
        live, gzip.compress(packet({"600000": snapshot(), "600519": bad, "601398": snapshot()})), binary=True
    )
    assert [tick.code for tick in decoded.ticks] == ["600000", "601398"]
    (letter,) = decoded.letters
    assert (letter.part, orjson.loads(letter.payload)) == ("tick", bad)
    assert decoded.packet is not None


@pytest.mark.parametrize(("number", "expected"), [("41", 41), (41, 41), (None, None), ("x", None), (2**70, None)])
def test_the_packets_number_is_text_or_number_or_not_there(live: Feed, number: Any, expected: int | None) -> None:
    """``int(str(x))``, empty or unreadable is none; the ticks arrive in any case."""
    if number == 2**70:
        frame = packet({"600000": snapshot()}, number=1).replace(b'"seqNo":1', b'"seqNo":%d' % number)
    else:
        frame = packet({"600000": snapshot()}, number=number)
    decoded = read(live, frame, binary=True)
    assert (decoded.packet and decoded.packet.number) == expected
    assert decoded.ticks


def test_a_frame_above_1_mib_is_a_frame(live: Feed) -> None:
    """A whole exchange, packed and not."""
    codes = [f"{prefix}{i:03}.SH" for prefix in ("600", "601", "603", "605", "688") for i in range(1_000)]
    content = packet({code: snapshot() for code in codes})
    assert len(content) > 1 << 20
    for frame in (content, gzip.compress(content, 1)):
        live.reset()
        assert len(read(live, frame, binary=True).ticks) == len(codes)


@pytest.mark.parametrize("pack", [gzip.compress, zipped], ids=["gzip", "zip"])
def test_a_bomb_is_a_dead_letter_and_takes_no_memory(live: Feed, pack: Any) -> None:
    """100 kB that would be 100 MB: unpacking stops at the limit, and the next frame is read."""
    bomb = pack(b" " * (100 << 20))
    (letter,) = read(live, bomb, binary=True).letters
    assert (letter.payload, letter.part) == (bomb, "frame")
    assert "more than 16,777,216 bytes" in letter.reason
    assert read(live, gzip.compress(packet({"600000": snapshot()})), binary=True).ticks


@pytest.mark.parametrize(
    ("frame", "reason"),
    [
        (b"", "not JSON"),
        (b"\x1f\x8b", "cut short"),
        (gzip.compress(packet({}))[:-4], "cut short"),
        (zipped(packet({"600000": snapshot()}))[:60], "cut short"),
        (b"PK\x03\x04", "cut short"),
        (gzip.compress(b"no JSON"), "not JSON"),
        (gzip.compress(b"[1]"), "no packet"),
        (gzip.compress(b'{"period":"tick"}'), "no packet"),
        (packet({"600000": snapshot()})[:100], "not JSON"),
    ],
)
def test_what_is_no_packet_is_a_dead_letter_as_it_came(live: Feed, frame: bytes, reason: str) -> None:
    """Packed, byte for byte: not what was unpacked of it."""
    (letter,) = read(live, frame, binary=True).letters
    assert (letter.payload, letter.part) == (frame, "frame")
    assert reason in letter.reason


def test_a_packet_of_another_period_is_no_tick(live: Feed) -> None:
    """Bars were not asked for."""
    decoded = read(live, packet({"600000": snapshot()}, period="kline.1m"), binary=True)
    assert not decoded.ticks
    assert [answer.kind for answer in decoded.answers] == ["other"]


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("connected", "other"),
        ("kicked: the token is in use elsewhere", "kicked"),
        ('{"msg":"too many requests"}', "throttled"),
        ('{"msg":"internal error"}', "refused"),
        ("token invalid", "unauthorised"),
        ("\x00\x07", "other"),
    ],
)
def test_a_text_frame_is_a_message(live: Feed, text: str, kind: str) -> None:
    """Binary frames are data, text frames are words, at any time."""
    decoded = read(live, text)
    assert not decoded.letters
    assert [answer.kind for answer in decoded.answers] == [kind]


def test_the_subscription_is_the_address(live: Feed) -> None:
    """Token and classes or single codes, as encoded JSON; nothing is asked for on the socket."""
    whole = live.address("ws://ws.xtick.top/ws", "s&3", None)
    assert whole.startswith("ws://ws.xtick.top/ws/%7B")
    assert orjson.loads(unquote(whole.rpartition("/")[2])) == {
        "token": "s&3",
        "authCodes": ["tick.SH.1", "tick.SZ.1", "tick.BJ.1"],
    }
    some = live.address("ws://127.0.0.1:9/ws/", "t", ["600519", "920819"])
    assert orjson.loads(unquote(some.rpartition("/")[2]))["authCodes"] == ["600519.SH", "920819.BJ"]
    one = live.address("ws://h/ws?authCodes=tick.BJ.1", "t", None)
    assert orjson.loads(unquote(one.rpartition("/")[2]))["authCodes"] == ["tick.BJ.1"]
    assert not live.subscribe(None)
    assert not live.unsubscribe(["600519"])
    assert live.capabilities.changes == "reconnect"
    with pytest.raises(UsageError, match="50 single codes a connection, not 51"):
        live.address("ws://h", "t", [f"600{i:03}" for i in range(51)])
