"""Values and containers as vendors write them: numbers, times of every unit, packed bytes, merged texts, codes."""

from __future__ import annotations

import gzip
import struct
import zipfile
import zlib
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from market.codes import Board
from producer.feeds import frames, values
from producer.feeds.broken import documents, sentence
from producer.feeds.codes import Listing, Listings, chunks, suffixed
from producer.feeds.cumulative import Differences
from producer.feeds.errors import PackedError, UnreadableError
from producer.feeds.provider import Units
from producer.feeds.repeats import SequenceNumbers
from producer.feeds.unpacking import unpacked
from producer.feeds.values import read_price, read_shares, time_reader, without_noise
from schemas import UsageError
from tests.producer.feeds.genuine import RECEIVED, TIME, zipped


@pytest.mark.parametrize(
    ("written", "yuan"),
    [
        (9.87, 9.87),
        ("9.870000", 9.87),
        (9.869999885559082, 9.87),
        (1700.010009765625, 1700.01),
        ("1.0045", 1.004),
        ("0.0035", 0.0035),
        (0, 0.0),
        ("0.00", 0.0),
    ],
)
def test_a_price_loses_a_floats_noise_and_nothing_else(written: float | str, yuan: float) -> None:
    """Price string, int, float noise, six decimals; 0 is none."""
    assert without_noise(read_price(written)) == yuan


@pytest.mark.parametrize("written", [-1, "-0.01", 1e10, "x", "", "nan", "1_0", 0.00001])
def test_what_is_no_price_is_refused(written: float | str) -> None:
    """Negative, too large, too small to compare, or no number."""
    with pytest.raises(UnreadableError, match=r"price: "):
        read_price(written)


@pytest.mark.parametrize(
    ("unit", "written", "ms"),
    [
        ("auto", 1_795_138_201, 1_795_138_201_000),
        ("auto", TIME, TIME),
        ("auto", TIME * 1000 + 7, TIME),
        ("auto", str(TIME * 1_000_000), TIME),
        ("auto", "20261120 09:30:01.123", TIME),
        ("auto", "2026-11-20T01:30:01.123456789Z", TIME),
        ("s", 1_795_138_201, 1_795_138_201_000),
        ("s", "1795138201.123", TIME),
        ("ms", TIME, TIME),
        ("ms", str(TIME), TIME),
        ("us", TIME * 1000 + 999, TIME),
        ("us", str(TIME * 1000 + 999), TIME),
        ("ns", TIME * 1_000_000 + 999_999, TIME),
        ("ms", "2026-11-20 09:30:01.123", TIME),
    ],
)
def test_a_time_is_read_by_its_magnitude_or_by_its_unit(unit: Any, written: float | str, ms: int) -> None:
    """S, ms, µs, ns, text time: by magnitude, or as the settings say; a text is Shanghai time in any case."""
    assert time_reader(unit)(written, RECEIVED) == ms


@pytest.mark.parametrize(
    ("unit", "written"), [("s", TIME), ("ms", 1_795_138_201), ("us", 0), ("ms", "noon"), ("s", 1e300), ("s", "1e999")]
)
def test_a_time_that_its_unit_makes_impossible_is_refused(unit: Any, written: float | str) -> None:
    """A wrong setting shows at once, and not as ticks of 1970."""
    with pytest.raises(UnreadableError, match=r"time: "):
        time_reader(unit)(written, RECEIVED)


@settings(deadline=None)
@given(
    st.floats(allow_nan=False) | st.integers() | st.text(max_size=20), st.sampled_from(["auto", "s", "ms", "us", "ns"])
)
def test_any_time_is_within_the_contract_or_refused(written: Any, unit: Any) -> None:
    """No other exception, whatever the unit."""
    try:
        ms = time_reader(unit)(written, RECEIVED)
    except UnreadableError:
        return
    assert isinstance(ms, int)
    assert 694_195_200_000 <= ms < 4_102_416_000_000


@pytest.mark.parametrize(
    ("written", "per_unit", "expected"),
    [
        ("12", 100, 1200),
        (0.07, 100, 7),
        ("12.345", 100, 1234.5),
        (300.0, 1, 300),
        ("", 100, None),
        (0, 100, 0),
    ],
)
def test_lots_are_shares_times_a_hundred(written: Any, per_unit: int, expected: float | None) -> None:
    """Whole where only a float's error makes it none; an empty text is null and 0 is 0."""
    found = read_shares(written, per_unit)
    assert found == expected
    assert type(found) is type(expected)


def test_a_unit_of_volume_may_differ_by_board() -> None:
    """Shares for 688 codes, lots for the others, as at one vendor: units by board."""
    listings = Listings(Units("lots", {Board.STAR: "shares"}), foreign=False)
    assert [listings.find(code).shares for code in ("688981.SH", "600519.SH", "300750.SZ")] == [1, 100, 100]


@pytest.mark.parametrize(
    "written",
    ["600519", "600519.SH", "600519.SSE", "600519.XSHG", "SH.600519", "SH600519", "sh600519", "600519$SH", "1.600519"],
)
def test_every_form_of_a_code_is_one_code(written: str) -> None:
    """Code forms: one normaliser for all feeds."""
    assert Listings(Units(), foreign=False).find(written) == Listing("600519", "SSE", 1)


@pytest.mark.parametrize("written", ["sys_nxkey", "999999.SH", "600519.XX.SH", "600519.SZ", "", "000001.SH"])
def test_a_phantom_code_is_refused(written: str) -> None:
    """Unknown or phantom codes, and an index where only A shares pass."""
    with pytest.raises(UnreadableError, match=r"code: "):
        Listings(Units(), foreign=False).find(written)


def test_codes_are_written_in_the_vendors_form() -> None:
    """A suffix of two letters; what is not a code is an error before it is sent."""
    assert [suffixed(code) for code in ("600519", "000001", "920819", "000001.SSE", "sh600519", "AAPL.US")] == [
        *("600519.SH", "000001.SZ", "920819.BJ", "000001.SH", "600519.SH", "AAPL.US"),
    ]
    assert suffixed("600519", "$") == "600519$SH"
    assert [list(some) for some in chunks(["a", "b", "c"], 2)] == [["a", "b"], ["c"]]
    assert not list(chunks([], None))
    with pytest.raises(UsageError, match="999999"):
        suffixed("999999")


@pytest.mark.parametrize(
    ("payload", "found"),
    [
        (b'{"a":1}{"b":2}', [b'{"a":1}', b'{"b":2}']),
        (b'[1]\r\n{"b":"}{"}\n', [b"[1]", b'{"b":"}{"}']),
        (b'{"a":1}', None),
        (b'{"a":1}x', None),
        (b'{"a":1}{"b":', None),
        (b"1 2", None),
        (b"\xff", None),
        (b"", None),
        (b"[" * 200_000, None),
    ],
)
def test_merged_texts_are_told_from_broken_ones(payload: bytes, found: list[bytes] | None) -> None:
    """Frames merged: only whole texts, nothing between them but blanks."""
    assert documents(payload) == found


@pytest.mark.parametrize(
    ("payload", "words"),
    [
        (b"Welcome, you are connected.\n", "Welcome, you are connected."),
        ("连接成功".encode(), "连接成功"),
        (b'{"a":1', None),
        (b" [1", None),
        (b"\x00\x01", None),
        (b"\xff\xfe", None),
        (b"", None),
        (b"a" * 2_000, None),
    ],
)
def test_a_sentence_is_told_from_broken_json(payload: bytes, words: str | None) -> None:
    """Greetings are short, printable and no JSON."""
    assert sentence(payload) == words


def test_a_message_with_numbers_beyond_64_bits_can_still_be_named() -> None:
    """What can't be shown is said so, and raises nothing."""
    assert "can't be shown" in frames.words({"code": 2**70})
    assert values.small(2**70) is None
    assert values.small(True) is None


def test_a_zip_whose_sizes_follow_its_content_is_whole() -> None:
    """As streams write it: sizes and checksum 0 in front, and behind the content."""
    content = b"{}" * 500
    packer = zlib.compressobj(wbits=-15)
    packed = packer.compress(content) + packer.flush()
    front = struct.pack("<4sHHHHHIIIHH", b"PK\x03\x04", 20, 8, 8, 0, 0, 0, 0, 0, 1, 0) + b"x"
    behind = struct.pack("<4sIII", b"PK\x07\x08", zlib.crc32(content), len(packed), len(content))
    assert unpacked(front + packed + behind) == content
    assert unpacked(front + packed + behind[4:]) == content
    with pytest.raises(PackedError, match="wrong checksum"):
        unpacked(front + packed + b"\x00" * 16)
    with pytest.raises(PackedError, match="cut short behind"):
        unpacked(front + packed)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (zipped(b"x" * 50)[:20], "cut short in its header"),
        (zipped(b"x" * 50, zipfile.ZIP_STORED)[:60], "cut short"),
        (zipped(b"x" * 50, zipfile.ZIP_BZIP2), "method 12"),
        (zipped(b"x" * 50)[:6] + b"\x01" + zipped(b"x" * 50)[7:], "encrypted"),
        (zipped(b"x" * 2_000), "more than 1,000 bytes"),
        (zipped(b"x" * 2_000, zipfile.ZIP_STORED), "more than 1,000"),
        (gzip.compress(b"x" * 2_000), "more than 1,000 bytes"),
        (b"x" * 2_000, "more than 1,000"),
        (gzip.compress(b"x")[:-8] + b"\x00" * 8, "can't be unpacked"),
        (b"\x1f\x8bnonsense", "can't be unpacked"),
    ],
)
def test_what_can_not_be_unpacked_says_why(data: bytes, reason: str) -> None:
    """Cut short, encrypted, another method, a wrong checksum, too large."""
    with pytest.raises(PackedError, match=reason):
        unpacked(data, 1_000)


@settings(deadline=None)
@given(
    st.binary(max_size=80),
    st.sampled_from([b"", b"\x1f\x8b\x08\x00", b"PK\x03\x04", b"PK\x03\x04\x14\x00\x00\x00\x08\x00"]),
)
def test_any_bytes_are_unpacked_or_refused(tail: bytes, head: bytes) -> None:
    """No other exception, and never more than the limit."""
    try:
        assert len(unpacked(head + tail, 200)) <= 200
    except PackedError:
        assert (head + tail).startswith((b"\x1f\x8b", b"PK"))


def test_memory_of_what_was_seen_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """A feed of made-up codes begins anew instead of growing; a code remembers its last 16 numbers."""
    monkeypatch.setattr("producer.feeds.cumulative.CODES", 10)
    monkeypatch.setattr("producer.feeds.repeats.CODES", 10)
    monkeypatch.setattr("producer.feeds.codes.CODES", 10)
    numbers, differences, listings = SequenceNumbers(), Differences(0), Listings(Units(), foreign=False)
    for i in range(25):
        assert not numbers.repeats(f"c{i}", 1, TIME)
        assert differences.take(f"c{i}", TIME, 1.0, None, RECEIVED) is not None
        listings.find(f"{600_000 + i}.SH")
    assert len(numbers._seen) <= 10
    assert len(differences._seen) <= 10
    assert len(listings._known) <= 10
    one = SequenceNumbers()
    assert not any(one.repeats("a", number, TIME) for number in range(40))
    assert one.repeats("a", 24, TIME)
    assert not one.repeats("a", 3, TIME)
    assert not one.repeats("a", None, TIME)
