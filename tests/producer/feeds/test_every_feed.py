"""What holds for every provider: any bytes are ticks, letters or answers, and requests keep within what is declared."""

from __future__ import annotations

import functools
import json
from collections.abc import Callable
from importlib import import_module
from pkgutil import iter_modules
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import producer.feeds as package
from producer.feeds import feeds, provider
from producer.feeds.broken import documents
from producer.feeds.decoded import Decoded, Frame
from producer.feeds.errors import LimitError, PackedError, UnreadableError
from producer.feeds.json_feed import JsonFeed
from producer.feeds.provider import Feed, Units
from schemas import UsageError
from tests.producer.feeds.genuine import GENUINE, RECEIVED, TIME, feed

NAMES = list(feeds())
CODES = ["600519", "000001", "300750", "688981", "920819"]


def codes_of(name: str, count: int) -> list[str]:
    if name == "massive":
        return [f"S{i}.US" for i in range(count)]
    if name == "binance":
        return [f"S{i}USDT.BINANCE" for i in range(count)]
    return [f"{600_000 + i}" for i in range(count)]


def checked(decoded: Decoded, payload: bytes) -> None:
    """Everything forwarded is within the contract, and a letter is of the bytes that came."""
    for tick in decoded.ticks:
        assert 0.0001 <= tick.price <= 1e9
        assert 1e11 < tick.time < 5e12
        assert tick.volume is None or tick.volume >= 0
        assert tick.turnover is None or tick.turnover >= 0
        assert tick.side in {"buy", "sell", None}
        assert tick.exchange
        assert 1 <= len(tick.code) <= 32
    for letter in decoded.letters:
        assert letter.reason
        assert letter.reason.isprintable()
        assert len(letter.reason) <= 300
        assert letter.part == "tick" or letter.payload == payload
    for answer in decoded.answers:
        assert answer.text.isprintable()
        assert len(answer.text) <= 300
    said = decoded.ticks or decoded.letters or decoded.answers or decoded.repeats or decoded.unpriced or decoded.packet
    # Empty arrays of ticks, one or several, are the only frames that give nothing.
    assert said or all(orjson.loads(one) is not None for one in documents(payload) or [payload])


def hold(name: str, payload: bytes, binary: bool, *, foreign: bool = False) -> None:
    decoded = feed(name, foreign=foreign).decode(Frame(payload, binary, RECEIVED))
    checked(decoded, payload)


def test_a_provider_is_known_by_the_name_of_its_row() -> None:
    """The eight of the table; any other is an error that lists them."""
    assert NAMES == ["post", "alltick", "xtick", "itick", "infoway", "tickflow", "massive", "binance"]
    assert all(provider(name).name == name for name in NAMES)
    with pytest.raises(UsageError, match="--feed sina is none of: post, alltick"):
        provider("sina")


def test_every_feed_reads_its_values_by_one_base() -> None:
    """A provider names its fields; code, price, time and the optional fields are read in one place for all of them."""
    for name in NAMES:
        kind = type(feed(name))
        assert issubclass(kind, JsonFeed)
        assert kind.read is JsonFeed.read
        assert kind._leniently is JsonFeed._leniently


def test_every_error_of_the_feeds_has_one_base() -> None:
    """Whoever calls a reader of values or frames catches ``UnreadableError`` and what msgspec raises, and no more."""
    modules = [import_module(f"producer.feeds.{module.name}") for module in iter_modules(package.__path__)]
    errors = {
        value
        for module in modules
        for value in vars(module).values()
        if isinstance(value, type) and issubclass(value, Exception) and value.__module__ == module.__name__
    }
    assert errors == {UnreadableError, LimitError, PackedError}
    assert all(issubclass(error, UnreadableError) for error in errors)


@pytest.mark.parametrize("name", NAMES)
def test_genuine_frames_hold_what_they_hold(name: str) -> None:
    """Each documented frame is ticks or an answer, and no letter; the damage that follows is done to good frames."""
    for payload, binary in GENUINE[name]:
        decoded = feed(name).decode(Frame(payload, binary, RECEIVED))
        if name != "post":
            assert not decoded.letters
        assert decoded.ticks or decoded.answers


@pytest.mark.parametrize("name", NAMES)
@settings(deadline=None, max_examples=60)
@given(payload=st.binary(max_size=300), binary=st.booleans())
def test_any_bytes_are_ticks_letters_or_answers(name: str, payload: bytes, binary: bool) -> None:
    """Nothing raises, whatever comes off the socket."""
    hold(name, payload, binary)


def damaged() -> st.SearchStrategy[Callable[[bytes], bytes]]:
    """Ways to spoil a frame: bytes changed, cut out, put in, doubled, or all behind a place cut off."""

    def change(at: float, length: int, new: bytes) -> Callable[[bytes], bytes]:
        def spoil(payload: bytes) -> bytes:
            start = int(at * len(payload))
            return payload[:start] + new + payload[start + length :]

        return spoil

    pieces = st.binary(max_size=6) | st.sampled_from(
        [
            b"null",
            b"{}",
            b"[]",
            b"-1",
            b"1e400",
            b"NaN",
            b'""',
            b'"x"',
            b"true",
            b"9" * 30,
            b'"' + b"9" * 30 + b'"',
            b",",
        ]
    )
    return st.one_of(
        st.builds(change, st.floats(0, 1), st.integers(0, 12), pieces),
        st.floats(0, 1).map(lambda at: lambda payload: payload[: int(at * len(payload))]),
        st.just(lambda payload: payload + payload),
    )


@pytest.mark.parametrize("name", NAMES)
@settings(deadline=None, max_examples=100)
@given(data=st.data())
def test_damaged_frames_are_ticks_letters_or_answers(name: str, data: st.DataObject) -> None:
    """Genuine frames, spoilt once or several times, on one connection: nothing raises there either."""
    live = feed(name)
    for _ in range(data.draw(st.integers(1, 3))):
        payload, binary = data.draw(st.sampled_from(GENUINE[name]))
        for spoil in data.draw(st.lists(damaged(), max_size=3)):
            payload = spoil(payload)
        checked(live.decode(Frame(payload, binary, RECEIVED)), payload)


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=8)
    | st.sampled_from(
        ["600519", "600519.SH", "AAPL", str(TIME), "9.87", "", "tick", "T", "quotes", "status", "auth", "error"]
    ),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=6,
)


def changed(value: Any, draw: Callable[[st.SearchStrategy[Any]], Any]) -> Any:
    """JSON in which values stand that do not belong there."""
    if isinstance(value, dict) and value and draw(st.integers(0, 3)):
        key = draw(st.sampled_from(sorted(value)))
        return value | {key: changed(value[key], draw)}
    if isinstance(value, list) and value and draw(st.integers(0, 3)):
        at = draw(st.integers(0, len(value) - 1))
        return [*value[:at], changed(value[at], draw), *value[at + 1 :]]
    return draw(JSON)


def big(value: Any) -> bytes:
    """JSON with integers of any size."""
    return json.dumps(value, ensure_ascii=False).encode("utf-8", "replace")


@pytest.mark.parametrize("name", [name for name in NAMES if name != "post"])
@settings(deadline=None, max_examples=100)
@given(data=st.data())
def test_values_of_any_kind_in_any_place_are_ticks_letters_or_answers(name: str, data: st.DataObject) -> None:
    """A list for a text, an object for a number, 2**70 for a command: read, or refused by name."""
    frames = [payload for payload, _ in GENUINE[name] if payload[:1] in {b"{", b"["}]
    payload = big(changed(orjson.loads(data.draw(st.sampled_from(frames))), data.draw))
    hold(name, payload, binary=name == "xtick", foreign=data.draw(st.booleans()))


@pytest.mark.parametrize("name", [name for name in NAMES if name not in {"massive", "binance"}])
def test_a_token_travels_where_it_is_declared_to(name: str) -> None:
    """In the address, in a header or in the first frame, and nowhere else; without one, nothing is made up."""
    live = feed(name)
    login = live.capabilities.login
    address = live.address("ws://host/path", "s3cret", ["600519"])
    assert ("s3cret" in address) is (login in {"query", "address"})
    assert ("s3cret" in str(live.headers("s3cret"))) is (login == "header")
    assert not live.greeting("s3cret")
    assert "None" not in live.address("ws://host/path", None, ["600519"])
    assert not live.headers(None)


@pytest.mark.parametrize("name", NAMES)
def test_requests_keep_within_the_codes_of_a_message(name: str) -> None:
    """As many messages as it takes; every code is asked for once, in the order given."""
    live = feed(name)
    can = live.capabilities
    count = min(can.codes_per_connection or 1_200, 1_200)
    codes = codes_of(name, count)
    messages = live.subscribe(codes)
    if name == "xtick":
        assert not messages
        return
    per_message = can.codes_per_message or count
    assert len(messages) == -(-count // per_message)
    together = "".join(str(message) for message in messages).upper()
    places = [together.find(code.partition(".")[0]) for code in codes]
    assert -1 not in places
    assert places == sorted(places)


@pytest.mark.parametrize("name", [name for name in NAMES if not feeds()[name].capabilities.wildcard])
def test_the_whole_market_is_refused_by_name_where_there_is_no_wildcard(name: str) -> None:
    """Said before anything is sent, with what to do instead."""
    with pytest.raises(UsageError, match=f"{name} has no subscription to the whole market: give --symbols"):
        feed(name).subscribe(None)


@pytest.mark.parametrize("name", NAMES)
def test_no_code_that_is_none_is_asked_for(name: str) -> None:
    """A misspelt code is an error that names it (the post's own servers judge for themselves)."""
    live = feed(name)
    if name == "post":
        assert "999999" in str(live.subscribe(["999999"]))
        return
    # What is asked for in the address is judged there.
    ask = live.subscribe if name != "xtick" else functools.partial(live.address, "ws://host", "token")
    with pytest.raises(UsageError, match=r"(?i)nonsense"):
        ask(["nonsense"])


@pytest.mark.parametrize("name", NAMES)
def test_a_sentence_first_is_a_greeting_and_later_a_dead_letter(name: str) -> None:
    """Non-JSON greeting: noted once, not kept as a letter. After JSON it is something that could not be read."""
    live = feed(name)
    payload, binary = GENUINE[name][0]
    hello = Frame(b"Welcome, you are connected", binary=False, received=RECEIVED)
    greeting = live.decode(hello)
    assert [answer.kind for answer in greeting.answers] == ["other"]
    assert not greeting.letters
    live.decode(Frame(payload, binary, RECEIVED))
    if name == "xtick":  # where text is for words at any time
        assert live.decode(hello).answers
        return
    assert [letter.payload for letter in live.decode(hello).letters] == [hello.payload]
    live.reset()
    assert not live.decode(hello).letters


@pytest.mark.parametrize("name", NAMES)
def test_messages_merged_into_one_frame_are_all_read(name: str) -> None:
    """Two texts behind one another, with or without a line's end between them."""
    payload, binary = next(one for one in GENUINE[name] if one[0][:1] in {b"{", b"["} and b'"result"' not in one[0])
    alone = feed(name).decode(Frame(payload, binary, RECEIVED))
    merged = feed(name).decode(Frame(payload + b"\n" + payload, binary, RECEIVED))
    again = merged.repeats + len(merged.ticks) - len(alone.ticks)
    assert merged.ticks[: len(alone.ticks)] == alone.ticks
    assert again == len(alone.ticks)


@pytest.mark.parametrize("name", NAMES)
def test_a_cut_message_is_a_dead_letter_and_the_whole_one_is_read(name: str) -> None:
    """A piece of a message as a message of its own loses nothing of the next."""
    live = feed(name)
    payload, binary = GENUINE[name][0]
    whole = feed(name).decode(Frame(payload, binary, RECEIVED))
    cut = payload[: len(payload) // 3]
    decoded = live.decode(Frame(cut, binary, RECEIVED))
    assert [letter.payload for letter in decoded.letters if letter.part == "frame"] == [cut]
    assert live.decode(Frame(payload, binary, RECEIVED)).ticks == whole.ticks


@pytest.mark.parametrize(
    ("name", "units", "expected"),
    [
        ("alltick", Units("lots", turnover="computed"), (1200, 11844.0)),
        ("alltick", Units("shares", turnover="carried"), (12, 118.44)),
        ("alltick", Units("lots", turnover="none"), (1200, None)),
        ("infoway", Units("lots"), (30_000, 510003.0)),
        ("infoway", Units("shares", turnover="computed"), (300, 510003.0)),
        ("itick", Units("lots", turnover="computed"), (30_000, 51_000_300.0)),
    ],
)
def test_settings_override_a_feeds_units(name: str, units: Units, expected: tuple[float, float | None]) -> None:
    """Volume in lots or shares, turnover carried, computed or none: what vendors leave open is the user's to say."""
    (tick,) = feed(name, units=units).decode(Frame(GENUINE[name][0][0], binary=False, received=RECEIVED)).ticks
    assert (tick.volume, tick.turnover) == expected


@pytest.mark.parametrize("name", ["alltick", "itick", "infoway"])
def test_an_index_passes_with_foreign_alone(name: str) -> None:
    """The same digits name two instruments: 000001.SH is the index, 000001.SZ the bank; exchange first."""
    field = {"alltick": "code", "itick": "s", "infoway": "s"}[name]
    frames = []
    for written in ("000001.SH", "000001.SZ"):
        message = orjson.loads(GENUINE[name][0][0])
        message["data"][field] = written
        frames.append(Frame(orjson.dumps(message), binary=False, received=RECEIVED))
    strict, open_ = feed(name), feed(name, foreign=True)
    (letter,) = strict.decode(frames[0]).letters
    assert "000001.SSE is not an A share; --foreign lets it through" in letter.reason
    assert [tick.code for frame in frames for tick in open_.decode(frame).ticks] == ["000001.SSE", "000001"]


@pytest.mark.parametrize("name", NAMES)
def test_what_is_declared_can_be_kept(name: str) -> None:
    """Limits are positive, heartbeats come often enough, and a token's refusal is said where it shows."""
    can = provider(name).capabilities
    live: Feed = feed(name)
    assert (live.heartbeat() is not None) is (can.heartbeat_seconds is not None)
    if can.silence_limit is not None:
        assert can.heartbeat_seconds is not None
        assert can.heartbeat_seconds * 2 <= can.silence_limit
    if can.messages is not None and can.heartbeat_seconds is not None:
        assert can.messages / can.messages_seconds > 2 / can.heartbeat_seconds
    assert can.array or can.string
    assert can.url.startswith(("ws://", "wss://"))
    assert (can.login == "none") is (not can.token_refused)
    assert can.volume_is == "trade" or "volume" in can.carries
