"""What a provider's server side is: facts of the provider, and one pure session a connection.

A session takes a client's messages and gives frames; nothing here does I/O, and time (``now``, seconds of a clock that
only rises) comes from outside. Shapes, units and limits are those that the vendors document; where they leave a choice,
the module of the feed says what it chose.
"""

from __future__ import annotations

import hmac
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple
from urllib.parse import parse_qs, urlsplit

import orjson

from simulator.feed import Subscription
from simulator.feeds.prints import Print

Json = dict[str, Any]
Trouble = Literal["error", "throttled", "kicked", "too_many_codes", "unauthorised"]
"""What a provider can say of a line in trouble, each in its own words."""

POLICY_VIOLATION = 1008
GOING_AWAY = 1001


@dataclass(frozen=True)
class Handshake:
    """The client's first request: its path with the query, and its headers."""

    path: str
    headers: Sequence[tuple[str, str]] = ()

    def query(self, name: str) -> str | None:
        """A parameter of the address."""
        return next(iter(parse_qs(urlsplit(self.path).query).get(name, [])), None)

    def header(self, name: str) -> str | None:
        """A header."""
        return next((value for key, value in self.headers if key.lower() == name), None)


@dataclass(frozen=True)
class Refusal:
    """A handshake that is answered with an HTTP error, or sent elsewhere."""

    status: int
    body: bytes
    headers: tuple[tuple[str, str], ...] = ()


@dataclass
class Reply:
    """Frames for the client, in order, and the close code and reason that follow them, if any; ``beat`` answers one."""

    frames: Sequence[str | bytes] = field(default_factory=list)
    close: tuple[int, str] | None = None
    beat: bool = False


class Sent(NamedTuple):
    """One frame; ``ticks`` is what a right client makes of it, in the post's fields and units; sent in ``pieces``."""

    payload: bytes
    binary: bool
    ticks: list[Json]
    pieces: int = 1


@dataclass
class Form:
    """How frames are written: ``swapped`` turns text to numbers and numbers to text, ``shape`` counts the shapes."""

    swapped: bool = False
    shape: int = 0


@dataclass(frozen=True)
class Terms:
    """What a server grants: settings of the run, over what the provider documents.

    Attributes:
        token: the one that is right, ``None`` lets everybody in.
        knows: whether the market has a code.
        ticks_per_frame: the most of one frame, where a frame holds several.
        codes_per_connection: the most, ``None`` as the provider documents it.
        all_market: whether the whole market may be had at once, where the provider has that.
    """

    token: str | None = None
    knows: Callable[[str], bool] = lambda _: True
    ticks_per_frame: int = 50
    codes_per_connection: int | None = None
    all_market: bool = True

    def takes(self, token: str | None) -> bool:
        """Whether a token is the right one."""
        return self.token is None or (
            token is not None and hmac.compare_digest(token.encode("utf-8", "surrogateescape"), self.token.encode())
        )


class Session(ABC):
    """One connection. ``subscription`` is what it is to be pushed.

    Attributes:
        account: whose connections are counted together.
        fresh: codes that the last message subscribed, for servers that push what they last knew of them.
    """

    def __init__(self, terms: Terms, handshake: Handshake, now: float) -> None:
        """A connection that has just shaken hands."""
        self.terms = terms
        self.handshake = handshake
        self.subscription = Subscription()
        self.account = ""
        self.form = Form()
        self.fresh: frozenset[str] | None = frozenset()
        self.heard = now

    def greet(self) -> Reply:
        """What the server says first."""
        return Reply()

    @abstractmethod
    def receive(self, message: str | bytes, now: float) -> Reply:
        """Follow one message."""

    def watch(self, now: float) -> Reply:  # noqa: ARG002 - for those that count silence
        """What happens without any message; called about once a second."""
        return Reply()

    @abstractmethod
    def encode(self, prints: Sequence[Print]) -> list[Sent]:
        """The frames of ticks that belong to this subscription."""

    @abstractmethod
    def says(self, trouble: Trouble) -> Reply:
        """The provider's words for a line in trouble, and whether the connection ends with them."""

    def select(self, prints: Sequence[Print]) -> list[Print]:
        """The ticks that belong to this subscription, in order."""
        codes = self.subscription.codes
        if self.subscription.trades_only:
            prints = [one for one in prints if one.volume != 0]
        return list(prints) if codes is None else [one for one in prints if one.code in codes]


@dataclass(frozen=True)
class Provider:
    """A feed that the simulator speaks.

    Attributes:
        session: makes the session of a connection.
        admit: refuses a handshake, where the provider does it there.
        connections: how many a token may have, ``None`` for any number.
        when_full: the new one is refused, or the oldest is closed.
        knows_repeats: whether a right client can tell a frame that is sent twice from two trades, and so drops it.
        trades_only: whether it pushes trades alone, whatever is subscribed.
        cumulative: whether pushes carry the day's volume and not the trade's.
        shapes: how many shapes its frames of ticks come in.
        throttled_seconds: how long a right client asks nothing after the provider's words for too many requests;
            ``None`` where no such words are documented.
        caches: whether a subscription is followed by what was last known of its codes.
        answers_beats: whether a client's heartbeats are answered.
        writes: the code of a tick in the ledger and in the pipeline, from the A share that stands behind it.
    """

    name: str
    session: Callable[[Terms, Handshake, float], Session]
    admit: Callable[[Terms, Handshake], Refusal | None] = lambda _terms, _handshake: None
    connections: int | None = None
    when_full: Literal["refused", "oldest closed"] = "refused"
    knows_repeats: bool = False
    trades_only: bool = False
    cumulative: bool = False
    shapes: int = 1
    throttled_seconds: float | None = None
    caches: bool = False
    answers_beats: bool = False
    writes: Callable[[str], str] = str


def parse(message: str | bytes) -> Json | None:
    """A message that is a JSON object, else ``None``."""
    try:
        request = orjson.loads(message)
    except orjson.JSONDecodeError:
        return None
    return request if isinstance(request, dict) else None


def text(message: object) -> str:
    """JSON as it is sent in a text frame."""
    return orjson.dumps(message).decode()


def comma_list(value: object) -> list[str]:
    """The codes of a comma string or of an array, each once; empty if it is neither."""
    if isinstance(value, str):
        value = value.split(",")
    if not isinstance(value, list):
        return []
    return list(dict.fromkeys(part.strip() for part in value if isinstance(part, str) and part.strip()))


def plain(number: float) -> str:
    """A number as decimal text, without an exponent and without trailing zeros: 12, 12.5."""
    return f"{number:.4f}".rstrip("0").rstrip(".") if number != int(number) else str(int(number))


def whole(number: float) -> float:
    """An integer where the number is one."""
    return int(number) if number == int(number) else number


def distinct(prints: Sequence[Print], size: int) -> Iterator[list[Print]]:
    """Runs of at most ``size`` ticks in which no code comes twice: a snapshot has one state of each."""
    part: list[Print] = []
    codes: set[str] = set()
    for one in prints:
        if one.code in codes or len(part) >= size:
            yield part
            part, codes = [], set()
        part.append(one)
        codes.add(one.code)
    if part:
        yield part


def chunks(prints: Sequence[Print], size: int) -> Iterable[Sequence[Print]]:
    """Runs of at most ``size`` ticks."""
    return (prints[at : at + size] for at in range(0, len(prints), size))
