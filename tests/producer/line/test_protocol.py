"""A line's protocol runs without a socket and without a clock: what comes goes in, what is to be done comes out."""

from __future__ import annotations

import random
from collections.abc import Iterable
from typing import Any

import orjson
import pytest

from market.times import parse_time
from producer.feeds import provider
from producer.feeds.decoded import FeedTick, Frame
from producer.feeds.provider import Options
from producer.line.backoff import Backoff
from producer.line.effects import Close, DeadLetters, Effect, Send, Ticks
from producer.line.endpoint import Endpoint
from producer.line.pacing import Pace
from producer.line.protocol import LineProtocol
from producer.pipeline.event import Event

CODES = ["600519", "000001", "300750", "688981", "920002"]


class Recorded:
    """A line whose time is that of a recording, and all that it wanted done."""

    def __init__(self, begin: str, codes: list[str] | None = None) -> None:
        """It is ``begin``, and nothing is connected."""
        self.ms = parse_time(begin)
        self.ticks: list[FeedTick] = []
        self.sent: list[Any] = []
        self.events: list[tuple[str, Event]] = []
        self.letters = self.connections = 0
        self.end: Close | None = None
        self.line = LineProtocol(
            Endpoint(provider("post").make(Options()), "ws://127.0.0.1:1"),
            codes,
            Pace(backoff=Backoff(1.0, 1.0, random.Random(1))),
            name="day",
            position=lambda: len(self.ticks),
            clock=lambda: self.ms / 1000,
            wall=lambda: self.ms * 1000,
        )
        self.carry(self.line.start())

    @property
    def now(self) -> str:
        """The time in Shanghai."""
        seconds = (self.ms // 1000 + 8 * 3_600) % 86_400
        return f"{seconds // 3_600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}"

    def carry(self, effects: Iterable[Effect]) -> None:
        """Carry effects out, as a driver does."""
        for effect in effects:
            match effect:
                case Ticks(ticks=ticks):
                    self.ticks += ticks
                case DeadLetters(letters=letters):
                    self.letters += len(letters)
                case Event():
                    self.events.append((self.now, effect))
                case Close():
                    self.end = effect
                case Send():
                    raise AssertionError("messages are asked for with outgoing()")

    def connect(self) -> None:
        """Dial, and send what is due."""
        self.end = None
        self.connections += 1
        self.line.dial()
        self.carry(self.line.connected())
        self.send()

    def send(self) -> None:
        """Send what is due now."""
        while isinstance(effect := self.line.outgoing(0.0), Send):
            self.sent.append(effect.message)

    def receive(self, *payloads: Any) -> None:
        """Frames come in one read of the socket."""
        texts = [one if isinstance(one, bytes) else orjson.dumps(one) for one in payloads]
        self.carry(self.line.receive([Frame(text, binary=False, received=self.ms * 1000) for text in texts]))

    def acknowledge(self, codes: list[str]) -> None:
        """The server takes the subscription."""
        self.receive({"type": "subscribed", "symbols": codes})

    def trade(self, codes: Iterable[str]) -> None:
        """One tick of each code comes."""
        ticks = [{"code": code, "price": 10.0, "time": self.ms, "volume": 100} for code in codes]
        self.receive({"ticks": ticks})

    def lose(self, code: int | None, closed: str) -> None:
        """The connection ends; the next one is dialled after the pause."""
        self.carry(self.line.lost(code, closed, None, 0.0))
        self.ms += round(self.line.pause() * 1000)
        self.connect()

    def of(self, *kinds: str) -> list[tuple[str, str, str | None]]:
        """When which event was announced, and why."""
        return [(at, event.kind, event.reason) for at, event in self.events if event.kind in kinds]


def in_session(now: str) -> bool:
    return "09:30" <= now < "11:30" or "13:00" <= now < "15:00"


def test_a_recorded_day_without_a_socket_or_a_clock() -> None:
    """From before the opening to after the close: a loss, a silence, lunch, another list, bad frames, the end."""
    day, codes = Recorded("2026-11-20 09:00:00", CODES), list(CODES)
    day.connect()
    day.acknowledge(codes)
    while day.now < "15:10":
        day.ms += 1_000
        quiet = day.connections == 2 and day.now >= "10:30:00"
        if in_session(day.now) and not quiet:
            day.trade(codes)
        match day.now:
            case "10:05:00":
                day.lose(None, "no close frame received or sent")
                day.acknowledge(codes)
            case "13:30:00":
                codes = [*CODES[1:], "601318"]
                day.line.want(codes)
                day.send()
                day.acknowledge(codes)
            case "14:00:00":
                day.receive(b"no JSON", b'{"ticks":[{"code":"600519","price":"?","time":1}]}')
        day.carry(day.line.look())
        day.send()
        if day.end is not None:
            day.lose(1000, "sent 1000 (OK)")
            day.acknowledge(codes)
    day.carry(day.line.stop("told to stop", ending=True))

    assert day.of("started", "connected", "subscribed", "resubscribed", "disconnected", "stopped") == [
        ("09:00:00", "started", None),
        ("09:00:00", "connected", "ws://127.0.0.1:1"),
        ("09:00:00", "subscribed", "acknowledged"),
        ("10:05:00", "disconnected", "no close frame received or sent"),
        ("10:05:00", "connected", "ws://127.0.0.1:1"),
        ("10:05:00", "resubscribed", "acknowledged"),
        ("10:30:29", "disconnected", "no tick of the board MAIN for 30 s of trading"),
        ("10:30:30", "connected", "ws://127.0.0.1:1"),
        ("10:30:30", "resubscribed", "acknowledged"),
        ("13:30:00", "subscribed", "the list of codes changed"),
        ("15:10:00", "stopped", "told to stop"),
    ]
    gaps = [event for _, event in day.events if event.kind == "gap"]
    assert [(gap.detected, gap.codes) for gap in gaps] == [("disconnect", CODES), ("silence", CODES)]
    assert gaps[1].start is not None
    assert gaps[1].start // 1_000_000 == parse_time("2026-11-20 10:29:59") // 1_000, "the last tick's second"
    assert day.letters == 2
    assert [tick.code for tick in day.ticks[:5]] == CODES
    assert day.ticks[-1].code == "601318"
    assert [event.n for _, event in day.events] == sorted(event.n for _, event in day.events)
    assert not day.of("never_seen", "refused")


def test_an_effect_is_carried_out_before_the_next_is_worked_out() -> None:
    """So memory holds one effect, and an event's number is that of the last tick that went on before it."""
    day = Recorded("2026-11-20 10:00:00")
    day.connect()
    payload = orjson.dumps({"ticks": [{"code": "600519", "price": 10.0, "time": day.ms}]})
    frames = [Frame(text, binary=False, received=day.ms * 1000) for text in (payload, b"no JSON", payload)]
    effects = day.line.receive(frames)
    first = next(effects)
    assert isinstance(first, Ticks)
    assert day.line.state.readability.frames == 2, "the third frame is not read yet"
    day.carry([first, *effects])
    assert [event.n for _, event in day.events if event.kind == "subscribed"] == [0]
    assert (len(day.ticks), day.letters) == (2, 1)


@pytest.mark.parametrize("bad", [False, True])
def test_time_that_kafka_takes_is_not_the_feeds_silence(bad: bool) -> None:
    """Ticks, or dead letters, that wait for minutes in trading hours end no connection."""
    day = Recorded("2026-11-20 10:00:00")
    day.connect()
    day.trade(CODES)
    ticks = orjson.dumps({"ticks": [{"code": "600519", "price": 10.0, "time": day.ms}]})
    frame = Frame(b"no JSON" if bad else ticks, binary=False, received=day.ms * 1000)
    for effect in day.line.receive([frame]):
        for _ in range(600):
            day.ms += 200
            day.carry(day.line.look())
        day.carry([effect])
    day.carry(day.line.look())
    assert day.end is None
    for _ in range(60):
        day.ms += 200
        day.carry(day.line.look())
    assert day.end is not None, "silence of the feed itself still does"


def test_a_heartbeat_is_due_from_when_the_connection_stands() -> None:
    """However long dialling took: nothing goes before the login and the subscription."""
    day = Recorded("2026-11-20 10:00:00")
    day.line.dial()
    day.ms += 60_000
    day.carry(day.line.connected())
    day.send()
    assert [orjson.loads(message)["action"] for message in day.sent] == ["subscribe"]
    assert day.line.outgoing_wait() == pytest.approx(20.0)
