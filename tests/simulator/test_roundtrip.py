"""The contract with the producer's adapters: what the simulator pushes, an adapter reads as the ledger has it.

Both follow the vendors' documentation and share no code. Market → the simulator's frames → the adapter's ticks must
equal the ledger's, whatever is misbehaved with on the way.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from itertools import count
from typing import Any
from urllib.parse import urlsplit

import msgspec
import pytest

from producer.feeds import provider as row
from producer.feeds.decoded import Answer, Decoded, FeedTick, Frame
from producer.feeds.provider import Feed, Options
from producer.gaps.gap import Gap
from producer.gaps.sequence import PacketNumbers
from producer.gaps.volume import CumulativeVolumes
from simulator.feed import Source
from simulator.feeds import PROVIDERS
from simulator.feeds.prints import Print, Tape
from simulator.feeds.provider import Form, Handshake, Json, Reply, Sent, Session, Terms, Trouble
from simulator.misbehaviour import KINDS
from simulator.misbehaviour.frames import (
    FRAMES,
    CutFrames,
    DecadesAhead,
    ManyDocuments,
    PriceZero,
    Unreadable,
    ZipBombs,
)
from simulator.misbehaviour.kind import FrameKind, PrintKind
from simulator.misbehaviour.trading import TRADING, CumulativeReset, Late
from simulator.run import generated, with_equal_trades
from simulator.universe import universe

FEEDS = tuple(PROVIDERS)
TOKEN = "s3cret"
CODES = 300
FIELDS = ("code", "price", "time", "volume", "turnover", "side", "seq", "previous_close")
BESIDE = {"day_open": "open", "day_high": "high", "day_low": "low"}
"""What the ledger calls otherwise than the record."""
_STEP = 10.0
"""Seconds between a client's messages: slower than any limit."""


def market(*, books: bool = False) -> Source:
    """Trading for some days, so that sums begin anew; one fifth of the trades is equal to another."""
    source = generated(rate="0.4", codes=CODES, seed=11, start="2026-11-20 14:00", books=books)
    return with_equal_trades(source, 0.2, 11)


class Line:
    """An adapter and a session that talk to each other as over a socket."""

    def __init__(self, feed: str, *, token: str = TOKEN, codes: Sequence[str] | None = None, **terms: Any) -> None:
        """Connected, logged in and subscribed; ``None`` is the whole market."""
        self.provider = PROVIDERS[feed]
        self.adapter: Feed = row(feed).make(Options())
        self.answers: list[Answer] = []
        self.decoded: list[Decoded] = []
        self._clock = count(1)
        address = self.adapter.address("ws://market", token, codes)
        split = urlsplit(address)
        path = f"{split.path or '/'}?{split.query}" if split.query else split.path or "/"
        handshake = Handshake(path, tuple(self.adapter.headers(token).items()))
        self.terms = Terms(TOKEN, **terms)
        self.refusal = self.provider.admit(self.terms, handshake)
        self.session: Session = self.provider.session(self.terms, handshake, 0.0)
        if self.refusal is not None:
            return
        self.hear(self.session.greet())
        for message in self.adapter.greeting(token):
            self.say(message)
        if not any(answer.kind == "unauthorised" for answer in self.answers):
            for message in self.adapter.subscribe(codes):
                self.say(message)

    def say(self, message: str | bytes) -> None:
        """A message of the client's."""
        self.hear(self.session.receive(message, _STEP * next(self._clock)))

    def hear(self, reply: Reply) -> None:
        """Words of the server's."""
        for frame in reply.frames:
            decoded = self.read(frame if isinstance(frame, bytes) else frame.encode(), binary=isinstance(frame, bytes))
            assert not decoded.letters, decoded.letters
            self.answers += decoded.answers

    def read(self, payload: bytes, *, binary: bool) -> Decoded:
        """A frame, decoded."""
        decoded = self.adapter.decode(Frame(payload, binary, 1_795_150_800_000_000))
        self.decoded.append(decoded)
        return decoded

    def holes(self) -> list[Gap]:
        """What the stream's own figures say is missing."""
        packets, volumes = PacketNumbers(), CumulativeVolumes()
        found = []
        for at, decoded in enumerate(self.decoded):
            if decoded.packet is not None and (hole := packets.came(decoded.packet.number, at, decoded.packet.channel)):
                found.append(hole)
            found += volumes.came(decoded.ticks, at)
        return found

    def push(self, prints: Sequence[Print]) -> list[Sent]:
        """The frames of the market's ticks."""
        return self.session.encode(self.session.select(prints))

    def ticks(self, sent: Sequence[Sent]) -> list[FeedTick]:
        """What the adapter makes of frames."""
        return [tick for one in sent for tick in self.read(one.payload, binary=one.binary).ticks]

    @property
    def kinds(self) -> list[str]:
        """What was answered so far."""
        return [answer.kind for answer in self.answers]


def rounds(source: Source, ticks: int) -> Iterator[list[Print]]:
    tape = Tape()
    while ticks > 0:
        batch = source.take(float("inf"), min(23, ticks))
        ticks -= len(batch.texts)
        yield tape.read(batch)


def ledger(sent: Sequence[Sent]) -> list[Json]:
    return [{name: value for name, value in tick.items() if value is not None} for one in sent for tick in one.ticks]


def shown(tick: FeedTick, *, books: bool = False) -> Json:
    found = {name: value for name in FIELDS if (value := getattr(tick, name)) is not None}
    if books and tick.beside is not None:
        beside = msgspec.to_builtins(tick.beside)
        found |= {BESIDE.get(name, name): value for name, value in beside.items() if value is not None}
    return found


def subscribed(feed: str, **options: Any) -> Line:
    """A line with the whole market, or with all of its codes where there is no wildcard."""
    whole = row(feed).capabilities.wildcard
    codes = None if whole else [listing.code for listing in universe(CODES, 11)]
    line = Line(feed, codes=None if codes is None else [*map(PROVIDERS[feed].writes, codes)], **options)
    assert line.session.subscription
    return line


@pytest.mark.parametrize("books", [False, True], ids=["bare", "books"])
@pytest.mark.parametrize("feed", FEEDS)
def test_every_tick_arrives_as_the_ledger_has_it(feed: str, books: bool) -> None:
    """Over some trading days: every field of the trade, in order; with books, what the feed carries of them too."""
    line = subscribed(feed)
    sent = [one for prints in rounds(market(books=books), 6_000) for one in line.push(prints)]
    got = [shown(tick, books=books) for tick in line.ticks(sent)]
    assert got == ledger(sent)
    carried = {BESIDE.get(name, name) for name in row(feed).capabilities.carries} - set(FIELDS)
    assert {name for tick in got for name in tick} - set(FIELDS) == (carried if books else set())
    assert bool([tick for tick in got if tick.get("volume") == 0]) is volume_zero(feed)
    assert len(got) > 4_000
    assert not any(decoded.letters for decoded in line.decoded)
    assert line.holes() == []
    assert len({day_start_of(tick["time"]) for tick in got}) > 1


def volume_zero(feed: str) -> bool:
    """Whether a feed pushes what was only quoted; of some the ticks have no volume at all."""
    return not PROVIDERS[feed].trades_only and "volume" in row(feed).capabilities.carries


def day_start_of(time: int) -> int:
    return (time + 8 * 3_600_000) // 86_400_000


CARRYING = [feed for feed in FEEDS if "day_volume" in row(feed).capabilities.carries]


@pytest.mark.parametrize(("feed", "books"), [(feed, False) for feed in FEEDS] + [(feed, True) for feed in CARRYING])
@pytest.mark.parametrize("name", [kind.name for kind in (*FRAMES, *TRADING) if not kind.standing])
def test_misbehaviour_changes_no_tick(feed: str, books: bool, name: str) -> None:
    """Each kind in every fourth round: ticks are the ledger's, broken frames dead letters, and no gap is found."""
    kind, provider = KINDS[name], PROVIDERS[feed]
    if not kind.suits(provider):
        of_trades = {"days-ahead", "decades-ahead", "unreadable"}
        assert name in {"zip-bombs", "shapes", "merged-frames", "cumulative-reset", "volume-glitch"} | of_trades
        return
    line, draw, source, tape = subscribed(feed), random.Random("strikes"), market(books=books), Tape()
    recent: dict[str, Print] = {}
    held: list[Print] = []
    expected: list[Json] = []
    got: list[Json] = []
    letters = 0
    for number in range(60):
        strike = number % 4 == 1
        if strike and isinstance(kind, CumulativeReset):
            tape.forget_sums()
        prints = tape.read(source.take(float("inf"), 23)) + held
        held = []
        if strike and isinstance(kind, PrintKind):
            prints, held = kind.prints(prints, draw)
        if strike and isinstance(kind, FrameKind):
            line.session.form = kind.form(Form())
        sent = line.push(prints)
        for one in line.session.select(prints):
            recent.pop(one.code, None)
            recent[one.code] = one
        if strike and isinstance(kind, FrameKind) and sent:
            sent = kind.frames(sent, line.session, recent, provider, draw)
        line.session.form = Form()
        expected += ledger(sent)
        got += [shown(tick, books=books) for tick in line.ticks(sent)]
    letters = sum(len(decoded.letters) for decoded in line.decoded)
    assert got == expected
    assert isinstance(kind, Late) or line.holes() == []
    broken = CutFrames | ZipBombs | DecadesAhead | Unreadable | ManyDocuments
    if feed == "xtick" and isinstance(kind, ManyDocuments):  # its text frames are messages
        return
    assert bool(letters) is isinstance(kind, broken) or (feed == "post" and isinstance(kind, PriceZero))


@pytest.mark.parametrize("feed", FEEDS)
def test_a_subscription_is_acknowledged_and_a_heartbeat_answered_as_declared(feed: str) -> None:
    """Nothing in the greeting and in the answers is a dead letter."""
    line, capabilities = subscribed(feed), row(feed).capabilities
    asked = bool(line.adapter.subscribe(None)) if capabilities.wildcard else True
    assert ("subscribed" in line.kinds) is (asked and capabilities.acknowledgement != "none")
    assert ("logged_in" in line.kinds) is capabilities.logged_in_by_answer
    assert not {"refused", "unauthorised", "kicked", "throttled"} & set(line.kinds)
    beat = line.adapter.heartbeat()
    assert (beat is not None) is (capabilities.heartbeat_seconds is not None)
    if beat is not None:
        line.say(beat)
        assert ("pong" in line.kinds) is capabilities.heartbeat_reply


@pytest.mark.parametrize("feed", FEEDS)
def test_a_wrong_token_is_refused_in_a_way_that_the_adapter_declares(feed: str) -> None:
    """At the handshake, by an answer, or by a close without a word."""
    if feed == "binance":
        assert row(feed).capabilities.login == "none"
        return
    line = Line(feed, token="wrong", codes=None if row(feed).capabilities.wildcard else ["600519"])
    ways = row(feed).capabilities.token_refused
    if line.refusal is not None:
        assert line.refusal.status in {401, 403}
        assert "handshake" in ways
    elif line.answers:
        assert line.kinds[-1] == "unauthorised"
        assert "answer" in ways
    else:
        assert line.session.greet().close is not None
        assert "close" in ways


@pytest.mark.parametrize("feed", FEEDS)
@pytest.mark.parametrize(("trouble", "kind"), [("kicked", "kicked"), ("throttled", "throttled"), ("error", None)])
def test_words_of_trouble_are_understood(feed: str, trouble: Trouble, kind: str | None) -> None:
    """What ends a connection says so in its own words, where the provider has any; an error is only told."""
    line = subscribed(feed)
    line.answers.clear()
    reply = line.session.says(trouble)
    line.hear(reply)
    if trouble == "throttled" and PROVIDERS[feed].throttled_seconds is None:
        return
    assert not kind or not reply.frames or line.kinds == [kind]
    assert "unauthorised" not in line.kinds
