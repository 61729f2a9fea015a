"""Whatever a server sends, one frame and one minute cost bounded time and memory, and what is left out is counted."""

from __future__ import annotations

import resource
import time
from collections.abc import Callable

import pytest

from producer.feeds import limits
from producer.feeds.decoded import Decoded, Frame, Letter
from producer.feeds.guard import POLICIES, Guard
from tests.producer.feeds.genuine import RECEIVED, feed
from tests.producer.feeds.pushes import NAMES, decode, frame, tick

LARGE = 15 << 20
HOSTILE: dict[str, Callable[[], bytes]] = {
    "documents": lambda: b"{}" * (LARGE // 2),
    "a million documents": lambda: b"{}" * 1_000_000,
    "arrays": lambda: b"[]\n" * (LARGE // 3),
    "empty ticks": lambda: b'{"ticks":[' + b"{}," * (LARGE // 3) + b"{}]}",
    "numbers for ticks": lambda: b'{"ticks":[' + b"1," * (LARGE // 2) + b"1]}",
    "an endless list": lambda: b'{"ticks":[' + b"{}," * (LARGE // 3),
    "one element of millions": lambda: b'{"ticks":[[' + b"[]," * (LARGE // 3) + b"[]]]}",
    "a list": lambda: b"[" + b"{}," * (LARGE // 3) + b"{}]",
    "a map": lambda: b'{"data":{' + b",".join(b'"%d":{}' % i for i in range(LARGE // 12)) + b"}}",
    "quotes": lambda: b'{"op":"quotes","data":[' + b"[]," * (LARGE // 3) + b"[]]}",
    "answers": lambda: b"[" + b'{"ev":"status"},' * (LARGE // 16) + b"{}]",
    "no answer": lambda: b'{"type":"subscribed","symbols":[' + b"[]," * (LARGE // 3) + b"[]]}",
    "not numbers": lambda: b'{"cmd_id":22998,"data":{"x":[' + b"NaN," * (LARGE // 4) + b"1]}}",
    "escapes": lambda: b'{"ticks":["' + b'\\"' * (LARGE // 2),
    "depth": lambda: b"[" * LARGE,
    "objects in objects": lambda: b'{"a":' * (LARGE // 5),
    "closed depth": lambda: b'{"ticks":[' + b"[" * 100_000 + b"]" * 100_000 + b"]}",
}


@pytest.mark.parametrize("name", NAMES)
def test_a_hostile_frame_costs_bounded_time_and_memory(name: str) -> None:
    """15 MB of each shape: no error, few letters, and the next push is read. It took 90 s and 2.6 GB."""
    live = feed(name)
    for minute, (shape, make) in enumerate(HOSTILE.items()):
        payload = make()
        held, began = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.process_time()
        decoded = live.decode(Frame(payload, name == "xtick", RECEIVED + minute * 60_000_000))
        spent, more = time.process_time() - began, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - held
        assert spent < 20, shape
        assert more < 400_000, shape  # kB
        assert not decoded.ticks
        assert len(decoded.letters) + len(decoded.answers) <= limits.LETTERS_A_FRAME + limits.ANSWERS_A_FRAME
        assert decoded.letters or decoded.answers
        assert sum(len(letter.payload) for letter in decoded.letters) <= len(payload)
    assert decode(live, name, frame(name, tick(name))).ticks


@pytest.mark.parametrize("name", NAMES)
def test_documents_that_are_not_read_are_counted_and_one_large_message_is_not(name: str) -> None:
    """Of the first nobody knows what they held; the second is a dead letter like any other."""
    live = feed(name)
    decode(live, name, b"{}" * (limits.MERGED_BYTES // 2 + 1))
    assert live.guard.limited == {"documents": 1}
    decode(live, name, b'{"no":"' + b"x" * limits.MERGED_BYTES + b'"}')
    assert live.guard.limited == {"documents": 1}


@pytest.mark.parametrize("depth", [100, 900, 1_200, 50_000])
@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(("start", "end"), [(b"[", b"]"), (b'{"a":', b"}")], ids=["arrays", "objects"])
def test_depth_raises_nothing(name: str, depth: int, start: bytes, end: bytes) -> None:
    """Beside the ticks, within one, and as the whole frame."""
    deep = start * depth + b"1" + end * depth
    push = frame(name, tick(name))
    beside = push[:-1] + (b"," + deep if push.startswith(b"[") else b',"more":' + deep) + push[-1:]
    within = push.replace(b"{", b'{"more":' + deep + b",", 1)
    for payload in (deep, beside, within):
        live = feed(name)
        decoded = decode(live, name, payload)
        assert decoded.ticks or decoded.letters or decoded.answers
        again = decode(live, name, push)
        assert again.ticks or again.repeats


def test_more_documents_than_the_bound_are_one_letter_and_the_first_are_read() -> None:
    """Their ticks go on; what was left out is counted by the bound's name."""
    push = frame("post", tick("post"))
    live = feed("post")
    payload = push * (limits.DOCUMENTS_A_FRAME + 1)
    decoded = decode(live, "post", payload)
    assert len(decoded.ticks) == limits.DOCUMENTS_A_FRAME
    assert [(letter.payload, letter.part) for letter in decoded.letters] == [(payload, "frame")]
    assert live.guard.limited == {"documents": 1}
    whole = decode(feed("post"), "post", push * limits.DOCUMENTS_A_FRAME)
    assert (len(whole.ticks), whole.letters) == (limits.DOCUMENTS_A_FRAME, [])


@pytest.mark.parametrize("name", ["post", "tickflow", "massive", "binance", "xtick"])
def test_bad_ticks_beyond_the_bound_are_one_letter(name: str) -> None:
    """A good one between them goes on."""
    live, bad = feed(name), [{"": f"{n}.SH", "x": 1} for n in range(limits.LETTERS_A_FRAME + 1)]
    payload = frame(name, *bad, tick(name))
    decoded = decode(live, name, payload)
    assert len(decoded.ticks) == 1
    assert [(letter.payload, letter.part) for letter in decoded.letters] == [(payload, "frame")]
    assert live.guard.limited == {"ticks": limits.LETTERS_A_FRAME + 1}


def test_answers_beyond_the_bound_are_dropped_and_counted() -> None:
    """A hundred of one frame are enough to know what a server says."""
    live = feed("massive")
    decoded = decode(live, "massive", b"[" + b'{"ev":"status","status":"error"},' * 500 + b'{"ev":"status"}]')
    assert len(decoded.answers) == limits.ANSWERS_A_FRAME
    assert live.guard.limited == {"answers": 401}


def letters(count: int, size: int = 1) -> Decoded:
    return Decoded([], [Letter(b"x" * size, "price: 0", "tick")] * count, [])


def test_dead_letters_of_a_minute_are_rationed_by_number_and_by_size() -> None:
    """Those beyond are dropped and counted; the next minute has its own."""
    guard = Guard()
    assert len(guard.keep(letters(limits.LETTERS_A_MINUTE - 1), RECEIVED).letters) == limits.LETTERS_A_MINUTE - 1
    assert len(guard.keep(letters(5), RECEIVED).letters) == 1
    assert guard.limited == {"letters": 4}
    assert len(guard.keep(letters(5), RECEIVED + 60_000_000).letters) == 5
    guard = Guard()
    large = limits.LETTER_BYTES_A_MINUTE // 4
    assert len(guard.keep(letters(6, large), RECEIVED).letters) == 4
    assert guard.limited == {"letters": 2}


def test_every_bound_that_leaves_something_out_has_its_words() -> None:
    """They are the reason of the event ``limited``."""
    assert set(POLICIES) == {"documents", "parts", "ticks", "answers", "letters", "codes"}


def judged(guard: Guard, good: int, bad: int, at: float, before: int = 0) -> bool:
    """So many frames came, and it is looked at; times in seconds."""
    for _ in range(bad):
        guard.keep(Decoded([], [Letter(b"", "code: 600519.XX is not a code", "frame")], []), int(at * 1e6))
    return guard.judge(before + good + bad, int(at * 1e6))


def test_a_line_of_which_most_frames_cant_be_read_is_doubted_by_its_most_frequent_reason() -> None:
    """Not for a single frame, nor for a few among many; and no longer once most can be read."""
    guard = Guard()
    assert not judged(guard, 0, 2, 1.0)
    assert not judged(guard, 100, 30, 2.0, 2)
    assert guard.doubt is None
    guard = Guard()
    guard.keep(Decoded([], [Letter(b"", "not JSON: x", "frame")], []), RECEIVED)
    assert judged(guard, 5, 25, 1.0, 1)
    assert guard.doubt is not None
    assert "26 of the last 31 frames can't be read, most often: code: 600519.XX is not a code" in guard.doubt
    assert not judged(guard, 0, 5, 2.0, 31)
    assert judged(guard, 100, 0, 40.0, 36)
    assert guard.doubt is None


def test_a_slow_feed_is_doubted_after_ten_seconds() -> None:
    """Three frames of three."""
    guard = Guard()
    assert not judged(guard, 0, 1, 1.0)
    assert not judged(guard, 0, 2, 4.0, 1)
    assert judged(guard, 0, 1, 12.0, 3)


@pytest.mark.parametrize("name", NAMES)
def test_the_guard_sees_every_frame_that_cant_be_read_and_no_other(name: str) -> None:
    """Whichever way it took through the decoder."""
    live = feed(name)
    for payload in (b"", b"{}", b"[]", b"\xff", b"{" * 50, b'{"x":NaN}', frame(name, tick(name, price="x"))):
        decoded = live.decode(Frame(payload, name == "xtick", RECEIVED))
        assert decoded.letters or decoded.answers or payload == b"[]"
    before = live.guard.unreadable
    assert before >= 5
    for _ in range(3):
        decode(live, name, frame(name, tick(name)))
    assert live.guard.unreadable == before
