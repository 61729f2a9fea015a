"""What a provider is to the producer: its capabilities, declared, and its protocol without I/O, a ``Feed`` a line.

A line dials ``address`` with ``headers``, sends ``greeting``, waits for the answer ``logged_in`` where the capabilities
say so, sends ``subscribe``, sends ``heartbeat`` every so often, and gives each frame to ``decode``. Before it dials
again it calls ``reset``. Codes are in the one form of ``market.codes`` on this side, and in the provider's beyond.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol
from urllib.parse import urlencode, urlsplit, urlunsplit

from market.codes import Board, Kind
from market.kinds import DEFAULT
from producer.feeds.decoded import Decoded, Frame
from producer.feeds.guard import Guard

Message = str | bytes
Codes = Sequence[str] | None
"""``None`` is the whole market."""

VolumeUnit = Literal["shares", "lots"]
TurnoverRule = Literal["carried", "computed", "none"]
TimeUnit = Literal["auto", "s", "ms", "us", "ns"]

LOT = 100
"""Shares, on every board: STAR's and Beijing's smallest orders are other sizes of the same unit."""
BOND_LOT = 10
"""Convertible bonds of a lot, of 100 yuan each: a lot is 1,000 yuan of face value at both exchanges."""


@dataclass(frozen=True)
class Units:
    """How a feed's numbers are read. Some vendors do not say; settings may override what is declared here.

    Attributes:
        volume: what volume counts.
        volume_by_board: boards on which it counts something else.
        turnover: ``carried``, in yuan as the feed gives it; ``computed``, price × shares, where the feed's own figure
            is known to be something else; or ``none``.
        time: ``auto`` tells s, ms, µs and ns apart by their magnitude; a text is Shanghai time in any case.
    """

    volume: VolumeUnit = "shares"
    volume_by_board: Mapping[Board, VolumeUnit] = field(default_factory=dict)
    turnover: TurnoverRule = "carried"
    time: TimeUnit = "auto"

    def shares_per_unit(self, board: Board, kind: Kind = Kind.A_SHARE) -> int:
        """What the feed's volume of an instrument on this board is multiplied with."""
        if self.volume_by_board.get(board, self.volume) == "shares":
            return 1
        return BOND_LOT if kind is Kind.CONVERTIBLE else LOT


@dataclass(frozen=True)
class Capabilities:
    """What a provider can do, as its documentation says; ``None`` for a limit that it does not state.

    Attributes:
        about: the markets, in a few words.
        abroad: the markets are others than the mainland's, and their hours are not known here.
        url: where its service is; a setting, since hosts change.
        home: exchange of a symbol that is given without one, of a feed that has no other: BTCUSDT is BTCUSDT.BINANCE.
        login: where the token goes.
        login_optional: servers without a token are usual.
        logged_in_by_answer: nothing may be subscribed before the answer ``logged_in``.
        token_refused: how a wrong token shows: at the handshake (HTTP 401, 403), as the answer ``unauthorised``, or as
            a close right after the handshake, without an answer.
        final_closes: close codes after which no further attempt can succeed.
        second_login: what another connection does beyond ``connections``.
        reconnect_apart: least seconds between two connections.
        array, string: forms in which a request lists codes.
        wildcard: one subscription can take the whole market.
        trades_filter: the server can leave out ticks without a trade.
        changes: how a running subscription changes: codes are added and removed; the whole list is sent again; or it
            takes a new connection.
        acknowledgement: ``none``, ``bare`` (without codes), ``codes`` (those of the request) or ``whole`` (all that the
            connection has).
        messages, messages_seconds: most outbound messages in so many seconds, heartbeats included.
        messages_apart: least seconds between two outbound messages.
        heartbeat_seconds: between heartbeats of the application; ``None`` where there are none.
        heartbeat_reply: whether they are answered.
        silence_limit: seconds without a message of ours after which the server cuts the connection.
        protocol_pings: whether WebSocket pings are answered, and so can tell whether the server lives.
        sequence: ``packet``: frames are numbered without holes within a channel; ``code``: each code's ticks carry a
            rising number, with holes.
        volume_is: of the trade or push, or cumulative: the day so far.
        exact: every trade is pushed; otherwise the stream is sampled, and a tick may stand for several trades.
        repeats_known: what the feed carries shows that a tick was sent twice, and it is dropped.
        carries: fields of a tick that the feed gives, besides code, price and time; the book and the figures of the day
            by their names in ``schemas.Tick``.
        time_unit, price_form, side_codes: in words, as the feed writes them.
        units: see ``Units``.
        backfill: what else the vendor offers to repair a gap, in words; never used by the producer.
    """

    about: str
    url: str
    login: Literal["query", "header", "frame", "address", "none"]
    login_optional: bool = False
    logged_in_by_answer: bool = False
    token_refused: frozenset[Literal["handshake", "answer", "close"]] = frozenset({"handshake"})
    final_closes: frozenset[int] = frozenset()
    connections: int | None = None
    second_login: Literal["allowed", "refused", "kicks the first", "not documented"] = "not documented"
    reconnect_apart: float = 0.0
    array: bool = True
    string: bool = False
    wildcard: bool = False
    trades_filter: bool = False
    codes_per_connection: int | None = None
    codes_per_message: int | None = None
    changes: Literal["add_remove", "replace", "reconnect"] = "add_remove"
    acknowledgement: Literal["none", "bare", "codes", "whole"] = "bare"
    messages: int | None = None
    messages_seconds: float = 1.0
    messages_apart: float = 0.0
    heartbeat_seconds: float | None = None
    heartbeat_reply: bool = False
    silence_limit: float | None = None
    protocol_pings: bool = True
    sequence: Literal["none", "packet", "code"] = "none"
    volume_is: Literal["trade", "cumulative"] = "trade"
    exact: bool = False
    repeats_known: bool = False
    carries: tuple[str, ...] = ()
    time_unit: str = "ms"
    price_form: str = "number"
    side_codes: str = "none"
    units: Units = field(default_factory=Units)
    backfill: str = "none"
    abroad: bool = False
    home: str = ""


class Feed(Protocol):
    """One connection's side of a provider's protocol. Pure: no I/O, and the only clock is the one it was made with."""

    guard: Guard
    """What of its frames could not be read, over all connections."""

    @property
    def capabilities(self) -> Capabilities:
        """What the provider can do."""

    def address(self, url: str, token: str | None, codes: Codes) -> str:
        """What is dialled: the base address with the token and, for some, the subscription.

        Raises:
            UsageError: a token is missing, or these codes can't be asked for at this provider.
        """

    def headers(self, token: str | None) -> Mapping[str, str]:
        """Headers of the handshake."""

    def greeting(self, token: str | None) -> list[Message]:
        """What is sent first."""

    def subscribe(self, codes: Codes) -> list[Message]:
        """The requests for ticks of the codes, each within ``codes_per_message``; none where the address holds them.

        Where ``changes`` is ``replace``, ``codes`` is all that the connection is to have.

        Raises:
            UsageError: the whole market, of a provider without a wildcard; or a code that it can't have.
        """

    def unsubscribe(self, codes: Codes) -> list[Message]:
        """The requests for no more ticks of the codes. Only where ``changes`` is ``add_remove``; empty elsewhere."""

    def heartbeat(self) -> Message | None:
        """The application's heartbeat, where there is one."""

    def decode(self, frame: Frame) -> Decoded:
        """Ticks, letters and answers of a frame. Any bytes give one of them; nothing raises."""

    def reset(self) -> None:
        """Forget what was known of the last connection: its greeting, its numbers, its day's volumes."""


def now_ms() -> int:
    """The local time, ms since the epoch."""
    return time.time_ns() // 1_000_000


@dataclass(frozen=True)
class Options:
    """What a user can set of a feed.

    Attributes:
        units: instead of those declared.
        foreign: let through what is not an A share but carries its exchange in the code.
        kinds: let through these kinds.
        trades_only: ask the server for ticks with a trade alone, where it can filter.
        as_string: list codes in a comma string, where the provider takes both forms.
        spelling: how a code was given, by its one form, for servers that may know no other (the post's).
        clock: ms since the epoch; for what a protocol stamps.
    """

    units: Units | None = None
    foreign: bool = False
    kinds: frozenset[Kind] = DEFAULT
    trades_only: bool = False
    as_string: bool = False
    spelling: Mapping[str, str] = field(default_factory=dict)
    clock: Callable[[], int] = now_ms


@dataclass(frozen=True)
class Provider:
    """A row of the registry. ``make`` gives a new feed, for one connection at a time."""

    name: str
    capabilities: Capabilities
    make: Callable[[Options], Feed]


def with_query(url: str, name: str, value: str) -> str:
    """An address with one more parameter in its query."""
    parts = urlsplit(url)
    added = urlencode({name: value})
    return urlunsplit(parts._replace(query=f"{parts.query}&{added}" if parts.query else added))
