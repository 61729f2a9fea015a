"""Frames of the post's protocol become ticks, dead letters or answers; any bytes are one of the three."""

from __future__ import annotations

from typing import Any

import msgspec
import orjson
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from market.times import EARLIEST, LATEST, parse_time
from producer.feeds import post
from producer.feeds.decoded import Decoded, FeedTick, Frame
from producer.feeds.post import PostFeed
from producer.feeds.provider import Options

RECEIVED = 1_795_138_201_250_000  # 2026-11-20 09:30:01.25 in Shanghai
GOOD = b'{"code":"600519","price":1700.01,"time":1795138201000}'
TICK = FeedTick("600519", "SSE", 1700.01, 1_795_138_201_000)


def read(payload: bytes, *, binary: bool = False, foreign: bool = False) -> Decoded:
    return connected(foreign=foreign).decode(Frame(payload, binary, RECEIVED))


def connected(**options: Any) -> PostFeed:
    """A feed that has heard JSON, so that no sentence is a greeting."""
    live = PostFeed(Options(**options))
    assert live.decode(Frame(b'{"type":"pong"}', False, RECEIVED)).answers
    return live


def one(**fields: Any) -> bytes:
    return orjson.dumps({"code": "600519", "price": 1700.01, "time": 1_795_138_201_000} | fields)


def only_tick(element: bytes) -> FeedTick:
    decoded = read(b'{"ticks":[' + element + b"]}")
    assert not decoded.letters, decoded.letters
    (tick,) = decoded.ticks
    return tick


def test_a_frame_of_good_ticks_is_read_in_its_order() -> None:
    """Exchange from the code, everything that is not carried is null."""
    decoded = read(b'{"ticks":[' + GOOD + b', {"code":"000001","price":10,"time":1795138202}]}')
    assert decoded.ticks == [TICK, FeedTick("000001", "SZSE", 10.0, 1_795_138_202_000)]
    assert not decoded.letters
    assert not decoded.answers


@pytest.mark.parametrize(
    ("written", "ms"),
    [
        (1_795_138_201, 1_795_138_201_000),
        (1_795_138_201.25, 1_795_138_201_250),
        ("1795138201", 1_795_138_201_000),
        (1_795_138_201_250, 1_795_138_201_250),
        ("1795138201250", 1_795_138_201_250),
        (1_795_138_201_250_000, 1_795_138_201_250),
        ("1795138201250000", 1_795_138_201_250),
        (1_795_138_201_250_000_000, 1_795_138_201_250),
        ("09:30:01.250", 1_795_138_201_250),
        ("2026-11-20 09:30:01", 1_795_138_201_000),
        ("2026-11-20T09:30:01.25", 1_795_138_201_250),
        ("2026-11-20T01:30:01Z", 1_795_138_201_000),
        ("2026-11-20T10:30:01+09:00", 1_795_138_201_000),
    ],
)
def test_a_time_is_read_in_whatever_form_it_comes(written: object, ms: int) -> None:
    """Epoch s, ms, µs, ns, as number or text; Shanghai time without a zone; today's date for a bare time of day."""
    assert only_tick(one(time=written)).time == ms


def test_a_bare_time_of_day_is_of_the_shanghai_date_of_its_receipt() -> None:
    """Not of the machine's own date, nor of the day on which the decoder was made."""
    decoder = connected()
    payload = b'{"ticks":[' + one(time="00:00:01") + b"]}"
    for day in ("2026-11-20", "2026-11-21"):
        midnight = parse_time(f"{day} 00:00:00")
        (tick,) = decoder.decode(Frame(payload, binary=False, received=midnight * 1000)).ticks
        assert tick.time == midnight + 1_000


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"price": "1700.01"}, {"price": 1700.01}),
        ({"price": 1700}, {"price": 1700.0}),
        ({"volume": 300.0}, {"volume": 300}),
        ({"volume": 300.5}, {"volume": 300.5}),
        ({"volume": "300"}, {"volume": 300}),
        ({"volume": 0}, {"volume": 0}),
        ({"volume": None}, {"volume": None}),
        ({"volume": ""}, {"volume": None}),
        ({"turnover": 510003}, {"turnover": 510003.0}),
        ({"turnover": "510003.5"}, {"turnover": 510003.5}),
        ({"turnover": ""}, {"turnover": None}),
        ({"side": "buy"}, {"side": "buy"}),
        ({"side": "S"}, {"side": "sell"}),
        ({"side": ""}, {"side": None}),
        ({"seq": 7}, {"seq": 7}),
        ({"seq": "9223372036854775807"}, {"seq": 2**63 - 1}),
        ({"seq": ""}, {"seq": None}),
        ({"previous_close": 1690}, {"previous_close": 1690.0}),
        ({"pre_close": 1690.5}, {"previous_close": 1690.5}),
        ({"prev_close": "1690.5"}, {"previous_close": 1690.5}),
        ({"last_close": 1690.5}, {"previous_close": 1690.5}),
        ({"previous_close": 0}, {"previous_close": None}),
        ({"previous_close": "0"}, {"previous_close": None}),
        ({"anything": {"else": [1, None]}}, {}),
    ],
)
def test_an_optional_field_is_read_as_number_or_text(fields: dict[str, Any], expected: dict[str, Any]) -> None:
    """What is not carried is null and never 0, whole volumes are integers."""
    tick = only_tick(one(**fields))
    for name, value in expected.items():
        assert getattr(tick, name) == value
        assert type(getattr(tick, name)) is type(value)


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        (b'{"price":1,"time":1795138201}', "`code`"),
        (b'{"code":"600519","time":1795138201}', "`price`"),
        (b'{"code":"600519","price":1}', "`time`"),
        (b"7", "Expected `object`"),
        (b"null", "Expected `object`"),
        (b"[]", "Expected `object`"),
        (one(code=600519), "$.code"),
        (one(code="999999"), "code: 999999"),
        (one(code="900901"), "B share"),
        (one(code="000001.SSE"), "--foreign"),
        (one(code=""), "code: "),
        (one(price="abc"), "price: 'abc'"),
        (one(price="nan"), "price: 'nan'"),
        (one(price="1_0"), "price: '1_0'"),
        (one(price=-1), "price: -1"),
        (one(price=0), "price: 0 is not a price"),
        (one(price="0.00"), "price: 0 is not a price"),
        (one(price=1e10), "price: 1"),
        (one(price=True), "$.price"),
        (one(price=None), "$.price"),
        (one(price=[1]), "$.price"),
        (b'{"code":"600519","price":1e999,"time":1795138201}', "$.price"),
        (one(time=0), "time: "),
        (one(time=-1), "time: "),
        (one(time="noon"), "time: "),
        (one(time="25:00:00"), "time: "),
        (one(time=None), "$.time"),
        (b'{"code":"600519","price":1,"time":' + b"9" * 5_000 + b"}", ""),
        (b'{"code":"600519","price":NaN,"time":1795138201}', "not JSON"),
        (b'{"code":"600519","price":-Infinity,"time":1795138201}', "not JSON"),
        (b"{'code':'600519','price':1,'time':1795138201}", "not JSON"),
        (b'{"code":"\xff\xfe","price":1,"time":1795138201}', "not JSON"),
        (b'{"code":"\\ud800","price":1,"time":1795138201}', "not JSON"),
        (b'{"code":"600519","price":1,"time":1795138201,"x":' + b"[" * 80 + b"]" * 80 + b",}", "not JSON"),
    ],
)
def test_a_bad_tick_becomes_a_dead_letter_and_its_neighbours_go_on(bad: bytes, reason: str) -> None:
    """Exactly the bad tick's bytes, with a reason that names the field; the good ones beside it arrive in order."""
    decoded = read(b'{"x":[1,{}],"ticks" : [' + GOOD + b" ,  " + bad + b"\n, " + GOOD + b' ] , "y": null}')
    assert decoded.ticks == [TICK, TICK]
    (letter,) = decoded.letters
    assert (letter.payload, letter.part) == (bad, "tick")
    assert reason in letter.reason
    assert letter.reason.isprintable()
    assert len(letter.reason) <= 300


@pytest.mark.parametrize(
    ("payload", "reason"),
    [
        (b"", "not JSON"),
        (b"welcome to the feed", "not JSON"),
        (b"\x00\x01\xff", "not JSON"),
        (b"[]", "no ticks"),
        (b"42", "no ticks"),
        (b"[" + GOOD + b"]", "no ticks"),
        (GOOD, "no ticks"),
        (b"{}", "no ticks"),
        (b'{"data":[1]}', "no ticks"),
        (b'{"ticks":null}', "$.ticks"),
        (b'{"ticks":{"code":"600519"}}', "$.ticks"),
        (b'{"type":"ticks","ticks":"none"}', "$.ticks"),
        (b'{"deep":' + b"[" * 100_000 + b"]" * 100_000 + b"}", "not JSON"),
        (b'{"a":{"ticks":[' + GOOD + b"]},}", "not JSON"),
        (b"x" * 10_000_000, "not JSON"),
    ],
)
def test_a_frame_without_readable_ticks_is_a_dead_letter_whole(payload: bytes, reason: str) -> None:
    """Byte for byte, of whatever size."""
    decoded = read(payload)
    assert not decoded.ticks
    assert not decoded.answers
    (letter,) = decoded.letters
    assert (letter.payload, letter.part) == (payload, "frame")
    assert reason in letter.reason


@pytest.mark.parametrize(
    ("payload", "good"),
    [
        (b'{"ticks":[' + GOOD + b',{"code":"0000', 1),
        (b'{"ticks":[' + GOOD + b",]}", 1),
        (b'{"ticks":[' + GOOD + b"]} and more", 1),
        (b'{"ticks":[' + GOOD + b"],}", 1),
        (b'{"ticks":[{"code":"000001,"price":1,"time":1},' + GOOD + b"," + GOOD + b"]}", 2),
        (b'{"ticks":[' + GOOD + b"}", 1),
        (b'{"bad":nul,"ticks":[' + GOOD + b"]}", 1),
    ],
)
def test_a_broken_frame_is_kept_whole_and_its_good_ticks_arrive(payload: bytes, good: int) -> None:
    """Cut short, followed by something, a quote missing: no byte is lost, and no readable tick either."""
    decoded = read(payload)
    assert decoded.ticks == [TICK] * good
    letter = decoded.letters[-1]
    assert (letter.payload, letter.part) == (payload, "frame")
    assert f"{good} readable" in letter.reason


def test_a_binary_frame_is_a_dead_letter_whatever_it_holds() -> None:
    """The protocol is text; a binary frame is of another one."""
    payload = b'{"ticks":[' + GOOD + b"]}"
    decoded = read(payload, binary=True)
    assert decoded.ticks == []
    assert [(letter.payload, letter.part) for letter in decoded.letters] == [(payload, "frame")]
    assert "binary" in decoded.letters[0].reason


def test_a_frame_of_ten_megabytes_of_ticks_is_read() -> None:
    """A large frame is a frame like any other."""
    count = 10_000_000 // (len(GOOD) + 1)
    decoded = read(b'{"ticks":[' + b",".join([GOOD] * count) + b"]}")
    assert len(decoded.ticks) == count
    assert not decoded.letters


def test_a_flood_of_bad_ticks_is_kept_as_its_frame() -> None:
    """Memory is bounded: millions of bad ticks are one letter of the bytes that came, and the good one arrives."""
    payload = b'{"ticks":[' + b"{}," * 50_000 + GOOD + b"]}"
    decoded = read(payload)
    assert decoded.ticks == [TICK]
    assert [(letter.payload, letter.part) for letter in decoded.letters] == [(payload, "frame")]
    assert "50000 ticks" in decoded.letters[0].reason


@pytest.mark.parametrize("payload", [b'{"ticks":["' + b'\\"' * 2_000_000, b'{"ticks":[' + b"{" * 4_000_000])
def test_hostile_nesting_and_quoting_costs_time_in_proportion(payload: bytes) -> None:
    """Quadratic scanning would take hours here (the suite's own limit would end it)."""
    assert read(payload).letters[-1].payload == payload


def test_what_is_no_a_share_passes_with_foreign_in_its_full_form_only() -> None:
    """An index carries its exchange; bare digits stay an A share and nothing else."""
    decoded = read(b'{"ticks":[' + one(code="000001.SSE") + b"," + one(code="900901") + b"]}", foreign=True)
    assert [(tick.code, tick.exchange) for tick in decoded.ticks] == [("000001.SSE", "SSE")]
    assert len(decoded.letters) == 1


@pytest.mark.parametrize(
    ("payload", "kind", "trades_only"),
    [
        (b'{"type":"subscribed","symbols":"*","trades_only":true}', "subscribed", True),
        (b'{"type":"subscribed","symbols":["600519"],"trades_only":false}', "subscribed", False),
        (b'{"action":"subscribe","status":"ok"}', "subscribed", False),
        (b'{"action":"subscribe","status":"error","message":"no such tier"}', "refused", False),
        (b'{"type":"error","code":"unknown_symbol","message":"no such code: 999999"}', "refused", False),
        (b'{"error":"bad token"}', "refused", False),
        (b'{"type":"pong"}', "pong", False),
        (b'{"status":"OK"}', "other", False),
    ],
)
def test_an_answer_is_told_from_a_bad_frame(payload: bytes, kind: str, trades_only: bool) -> None:
    """An acknowledgement, a refusal or a greeting is not a dead letter."""
    decoded = read(payload)
    assert not decoded.ticks
    assert not decoded.letters
    (answer,) = decoded.answers
    assert (answer.kind, answer.trades_only) == (kind, trades_only)


# Pieces that frames are made of, whole and broken, so that most of what is drawn is nearly right.
PIECES = st.one_of(
    st.sampled_from(
        [
            GOOD,
            b'{"ticks":[',
            b"]}",
            b",",
            b"]",
            b"}",
            b"{",
            b"[",
            b'"',
            b"\\",
            b":",
            b'"ticks"',
            b"NaN",
            b" ",
            b'{"code":"',
        ]
    ),
    st.binary(max_size=12),
    st.builds(
        one,
        code=st.sampled_from(["600519", "1", ""]) | st.text(max_size=6),
        price=st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=6) | st.integers(-(2**63), 2**64 - 1),
        time=st.integers(-(2**63), 2**64 - 1) | st.floats(allow_nan=False) | st.text(max_size=12),
        volume=st.none()
        | st.integers(-(2**63), 2**64 - 1)
        | st.floats(allow_nan=False, allow_infinity=False)
        | st.text(max_size=4),
        seq=st.none() | st.text(alphabet="0123456789-+ e", max_size=22),
        side=st.none() | st.text(max_size=5),
        pre_close=st.none() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=6),
    ),
)


@settings(deadline=None, max_examples=300)
@given(st.lists(PIECES, max_size=12).map(b"".join))
@example(b'{"ticks":[' + GOOD + b'"]}')
def test_any_bytes_are_ticks_or_letters_or_answers(payload: bytes) -> None:
    """Nothing raises, nothing vanishes, and what is forwarded is within the contract."""
    decoded = read(payload)
    for tick in decoded.ticks:
        assert 0 < tick.price < 1e10
        assert tick.time > 0
        assert tick.volume is None or tick.volume >= 0
    if not (decoded.letters or decoded.answers):
        assert len(decoded.ticks) == len(orjson.loads(payload)["ticks"])
    for letter in decoded.letters:
        assert letter.payload in payload
        assert letter.part == "tick" or letter.payload == payload


@settings(deadline=None, max_examples=200)
@given(
    st.lists(
        st.sampled_from([GOOD, b"NaN", b'{"code":1}', b'{"a":["]",NaN,{"}":[","]}]}', b'"x"', b"[[],{}]"]), max_size=8
    )
)
def test_every_element_is_accounted_for(elements: list[bytes]) -> None:
    """In a frame with whole elements, each is a tick or, byte for byte, a letter of its own, in order."""
    decoded = read(b'{"ticks":[' + b" ,".join(elements) + b"]}")
    assert len(decoded.ticks) == elements.count(GOOD)
    assert [letter.payload for letter in decoded.letters] == [element for element in elements if element != GOOD]


# At the edges of what is usual, from both sides; most of what is drawn has one or two of these.
WRITTEN = st.fixed_dictionaries(
    {},
    optional={
        "code": st.sampled_from(["000001", "920819", "600519.SH", "000001.SSE", "1"]),
        "price": st.sampled_from([10, 0, 0.0001, 0.00009, 1e9, 1e9 + 1]),
        "time": st.sampled_from([EARLIEST, EARLIEST - 1, LATEST, LATEST - 1, 1_795_138_201, 1_795_138_201_000.0]),
        "volume": st.sampled_from([None, 0, -1, 100, 100.0, 0.5, 2**53, 2**53 + 1, "100"]),
        "turnover": st.sampled_from([None, 0, -0.5, 100, 100.5, 2.0**53, 2.0**53 + 2, "100"]),
        "side": st.sampled_from([None, "buy", "sell", "BUY", "s", ""]),
        "seq": st.sampled_from([None, 5, 5.0, -(2**63), 2**63 - 1, 2**63, "5"]),
        "previous_close": st.sampled_from([None, 10, 9.9, 0, -1.0, 1e9, 1e9 + 1, "9.9"]),
        **{name: st.sampled_from([None, 9.9, "", 0]) for name in ("pre_close", "prev_close", "last_close")},
    },
)


@settings(deadline=None, max_examples=1_000)
@given(st.lists(WRITTEN.map(lambda fields: one(**fields)), max_size=2))
def test_what_is_written_as_usual_is_read_as_it_is_beside_what_is_not(elements: list[bytes]) -> None:
    """The quick way gives what the patient one does, to the type of each number."""
    alone = read(b'{"ticks":[' + b",".join(elements) + b"]}")
    beside = read(b'{"ticks":[' + b",".join([*elements, one(price="1700.01")]) + b"]}")
    assert beside.ticks.pop() == TICK
    assert msgspec.json.encode(alone.ticks) == msgspec.json.encode(beside.ticks)
    assert alone.letters == beside.letters


def test_frames_of_both_kinds_are_read_one_after_the_other() -> None:
    """Through one feed, for longer than it remembers that a frame was unusual; then the quick way is taken again."""
    decoder = connected()
    usual, other = b'{"ticks":[' + GOOD + b"]}", b'{"ticks":[' + one(price="1700.01") + b"]}"
    for payload in [usual, other, *[usual] * (post._UNUSUAL_FRAMES + 2), other, usual, b'{"type":"pong"}', usual]:
        decoded = decoder.decode(Frame(payload, False, RECEIVED))
        assert decoded.ticks == ([] if decoded.answers else [TICK])
        assert not decoded.letters
    assert decoder._left == post._UNUSUAL_FRAMES - 3
    for _ in range(post._UNUSUAL_FRAMES):
        decoder.decode(Frame(usual, False, RECEIVED))
    assert decoder._way == 0
