"""A fault as the ledger tells of it, and the gap that one leaves: ticks that nobody is sent."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from simulator.feed import Subscription
from simulator.feeds.prints import Print
from simulator.feeds.provider import Json, Session


@dataclass
class Fault:
    """What was done to a connection, and when (``at`` and ``ended``, µs since the epoch).

    Attributes:
        codes: those concerned, ``None`` for all that the connection had.
        first: place of the first withheld tick in the connection's withheld page, counted from 0.
        withheld: how many there are of them.
    """

    kind: str
    connection: str
    at: int
    codes: frozenset[str] | None = None
    loses_ticks: bool = False
    ended: int | None = None
    first: int = 0
    withheld: int = 0

    def line(self) -> dict[str, Any]:
        """As it stands in ``faults.jsonl``; ``to`` is the place behind the last withheld tick."""
        return {
            "at": self.at,
            "ended": self.ended,
            "connection": self.connection,
            "kind": self.kind,
            "codes": "all" if self.codes is None else sorted(self.codes),
            "from": self.first,
            "to": self.first + self.withheld,
            "loses_ticks": self.loses_ticks,
        }


@dataclass
class Gap:
    """The codes of a connection that has ended or is silent, until a new one subscribes them.

    Attributes:
        session: of the old connection; it tells what would have been sent.
        write: enters ticks in the connection's withheld page.
        empty_subscriptions: new connections whose subscription is to be acknowledged and to lead to nothing.
    """

    fault: Fault
    session: Session
    write: Callable[[Sequence[Json]], None]
    empty_subscriptions: int = 0

    def take(self, prints: Sequence[Print]) -> None:
        """Withhold the ticks of its codes."""
        mine = [one for one in self.session.select(prints) if one.genuine]
        if mine:
            ticks = [tick for sent in self.session.encode(mine) for tick in sent.ticks]
            self.fault.withheld += len(ticks)
            self.write(ticks)

    def subscribed(self, codes: frozenset[str] | None) -> None:
        """Another connection has these from now on."""
        have = self.session.subscription
        left = frozenset() if codes is None or have.codes is None else have.codes - codes
        self.session.subscription = Subscription(left, have.trades_only)

    def concerns(self, codes: frozenset[str] | None) -> bool:
        """Whether any of its codes is among these."""
        have = self.session.subscription.codes
        return codes is None or have is None or not have.isdisjoint(codes)

    @property
    def over(self) -> bool:
        """Whether all its codes are somebody's again."""
        return not self.session.subscription
