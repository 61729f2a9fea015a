"""Only code, price and time can refuse a tick; any other field that can't be read is null, and named."""

from __future__ import annotations

import re
from typing import Any

import msgspec
import orjson
import pytest

from market.times import EARLIEST, LATEST
from producer.feeds import provider
from producer.feeds.decoded import FeedTick
from producer.feeds.provider import Units
from producer.pipeline.numbering import Numbering
from schemas import Tick
from tests.producer.feeds.genuine import RECEIVED, feed
from tests.producer.feeds.pushes import FIELDS, NAMES, decode, frame, tick

NEEDED = ("code", "price", "time")
OPTIONAL = [
    (name, field)
    for name in NAMES
    for field in FIELDS[name]
    if field not in NEEDED and not (field == "turnover" and provider(name).capabilities.units.turnover == "computed")
]
STRANGE: list[Any] = ["unknown", "N", "abc", "1_0", "٣", True, [], {}, [1], {"a": 1}, -1.5, 1e300, "nan", "-"]
RAW = [b"NaN", b"Infinity", b"-Infinity", b"1e999", b"9" * 5_000, b"nan"]


def with_raw(name: str, field: str, raw: bytes) -> bytes:
    """A push whose field is this JSON, or what is none."""
    payload = frame(name, tick(name))
    own = FIELDS[name][field].encode()
    if b'"' + own + b'"' not in payload:
        payload = frame(name, tick(name, **{field: 1}))
    return re.sub(rb'"%s":("[^"]*"|[^,}\]]+)' % own, b'"' + own + b'":' + raw, payload, count=1)


def beside_less(one: FeedTick, field: str) -> dict[str, Any]:
    """What came beside a tick, without a field: the volume of a snapshot is the day's as well."""
    return {} if one.beside is None else msgspec.structs.asdict(one.beside) | {field: None}


@pytest.mark.parametrize(("name", "field"), OPTIONAL)
@pytest.mark.parametrize("value", STRANGE, ids=repr)
def test_a_value_that_nothing_understands_costs_its_field_alone(name: str, field: str, value: Any) -> None:
    """The tick goes on, with its price, its time and all other fields as they were."""
    plain = decode(feed(name), name, frame(name, tick(name)))
    live = feed(name)
    decoded = decode(live, name, frame(name, tick(name, **{field: value})))
    (one,), (other,) = decoded.ticks, plain.ticks
    assert not decoded.letters
    assert one.unread == f"unread_{field}"
    assert live.guard.unread == {field: 1}
    column = "cumulative" if field == "volume" and provider(name).capabilities.volume_is == "cumulative" else field
    lost = {"unread", column} | ({"turnover"} if live.capabilities.units.turnover == "computed" else set())
    kept = [at for at in one.__struct_fields__ if at not in {*lost, "beside"}]
    assert [getattr(one, at) for at in kept] == [getattr(other, at) for at in kept]
    assert getattr(one, column) is None
    assert beside_less(one, f"day_{field}") == beside_less(other, f"day_{field}")


@pytest.mark.parametrize(("name", "field"), OPTIONAL)
@pytest.mark.parametrize("raw", RAW)
def test_what_some_libraries_write_for_a_number_costs_its_field_alone(name: str, field: str, raw: bytes) -> None:
    """NaN and Infinity are not JSON, and a number of thousands of digits is read by nobody."""
    live = feed(name)
    payload = with_raw(name, field, raw)
    assert raw in payload
    decoded = decode(live, name, payload)
    assert not decoded.letters
    assert [one.unread for one in decoded.ticks] == [f"unread_{field}"]


@pytest.mark.parametrize(("name", "field"), OPTIONAL)
@pytest.mark.parametrize("value", [None, ""])
def test_what_is_not_carried_is_no_flaw(name: str, field: str, value: Any) -> None:
    """Null and an empty text say that there is nothing."""
    (one,) = decode(feed(name), name, frame(name, tick(name, **{field: value}))).ticks
    assert one.unread is None


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("field", NEEDED)
@pytest.mark.parametrize("raw", [b"NaN", b"null", b"[]", b'"?"', b"true"])
def test_code_price_and_time_refuse_a_tick_as_it_came(name: str, field: str, raw: bytes) -> None:
    """Byte for byte, NaN included."""
    if field not in FIELDS[name]:
        return
    payload = with_raw(name, field, raw)
    decoded = decode(feed(name), name, payload)
    assert not decoded.ticks
    (letter,) = decoded.letters
    assert raw in letter.payload
    assert letter.payload in payload


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("raw", [b"NaN", b"-Infinity"])
def test_a_field_that_nobody_reads_costs_nothing(name: str, raw: bytes) -> None:
    """Beside the ticks or within one: what stands there is not JSON, and ticks are those of the frame without it."""
    push = frame(name, tick(name))
    plain = decode(feed(name), name, push)
    within = push.replace(b"{", b'{"more":' + raw + b",", 1)
    beside = push[:-1] + b',"more":' + raw + push[-1:]
    for payload in (within,) if push.startswith(b"[") else (within, beside):
        decoded = decode(feed(name), name, payload)
        assert not decoded.letters
        assert decoded.ticks == plain.ticks


@pytest.mark.parametrize("name", [name for name in NAMES if name not in {"alltick", "itick", "infoway"}])
def test_neighbours_are_as_they_were(name: str) -> None:
    """One tick of a frame has a field that is not JSON, one a bad price: the third goes on, and each is told apart."""
    codes = {"massive": ["A", "B", "C"], "binance": ["AUSDT", "BUSDT", "CUSDT"]}
    first, second, third = codes.get(name, ["688981.SH", "600519.SH", "600000.SH"])
    bad = tick(name, code=second, price="none")
    field = next((field for field in FIELDS[name] if field not in NEEDED), None)
    odd = tick(name, code=first, **({} if field is None else {field: "NaN"}))
    payload = frame(name, odd, bad, tick(name, code=third)).replace(b'"NaN"', b"NaN", 1)
    live = feed(name)
    decoded = decode(live, name, payload)
    assert [one.unread for one in decoded.ticks] == [None if field is None else f"unread_{field}", None]
    (letter,) = decoded.letters
    assert letter.payload in payload
    assert "'none'" in letter.reason


def test_several_fields_of_a_tick_are_all_named() -> None:
    """In the order of the record, with a comma between."""
    strange = tick("post", volume="x", turnover="x", side="x", seq="x", previous_close="x")
    (one,) = decode(feed("post"), "post", frame("post", strange)).ticks
    assert one.unread == "unread_volume,unread_turnover,unread_side,unread_seq,unread_previous_close"


def test_a_record_carries_what_the_gate_found_and_what_was_not_read() -> None:
    """In one ``quality``, with or without a gate."""
    (one,) = decode(feed("post"), "post", frame("post", tick("post", volume=-1))).ticks
    numbering = Numbering("post-1", 1_795_138_000_000)
    plain = msgspec.json.decode(numbering.stamp([one], RECEIVED)[0], type=Tick)
    both = msgspec.json.decode(numbering.stamp([one], RECEIVED, {0: "off_grid"})[0], type=Tick)
    assert (plain.quality, plain.volume) == ("unread_volume", None)
    assert both.quality == "off_grid,unread_volume"


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("time", [EARLIEST - 1, LATEST, 0, -1, "1970-01-01 08:00:00", "2150-01-01 09:30:00", 10**25])
def test_a_time_beyond_any_calendar_is_a_dead_letter(name: str, time: Any) -> None:
    """Before 1992, after 2099, or of a unit that nobody has."""
    decoded = decode(feed(name), name, frame(name, tick(name, time=str(time))))
    assert not decoded.ticks
    assert "time: " in decoded.letters[0].reason


def test_a_computed_turnover_beyond_the_contract_is_none() -> None:
    """10^9 yuan × 10^15 shares."""
    live = feed("post", units=Units(turnover="computed"))
    (one,) = decode(live, "post", frame("post", tick("post", price=1e9, volume=10**15))).ticks
    assert (one.volume, one.turnover, one.unread) == (10**15, None, "unread_turnover")


def test_an_envelopes_own_fields_cost_no_tick() -> None:
    """XTick's packet number, name and period may hold anything; a packet without a number is read."""
    for field, value in (("seqNo", 1.5), ("seqNo", []), ("authCode", 7), ("period", None)):
        message = orjson.loads(frame("xtick", tick("xtick"))) | {field: value}
        decoded = decode(feed("xtick"), "xtick", orjson.dumps(message))
        assert [one.code for one in decoded.ticks] == ["688981"]
