"""What was done to the connections, and the ticks that nobody got for it: written down as it happens."""

from __future__ import annotations

import copy
import time
from collections.abc import Sequence

import orjson

from simulator.client import Client
from simulator.feeds.prints import Print
from simulator.feeds.provider import Json
from simulator.ledger import FAULTS, Ledger, Page
from simulator.misbehaviour.gap import Fault, Gap


class Faults:
    """The faults of a run; without a ledger they are only counted."""

    def __init__(self, ledger: Ledger | None) -> None:
        """None yet."""
        self.count = 0
        self.withheld = 0
        self._ledger = ledger
        self._page: Page | None = None
        self._gaps: list[Gap] = []
        self._withheld: dict[str, tuple[Page, list[int]]] = {}

    def note(self, kind: str, connection: str) -> None:
        """A fault that loses nothing and is over at once; ``connection`` may be "all"."""
        now = time.time_ns() // 1000
        self._write(Fault(kind, connection, now, ended=now))

    def begin(self, client: Client, kind: str, *, loses_ticks: bool, empty_subscriptions: int = 0) -> Gap:
        """From now on the connection's ticks are withheld, until its codes are subscribed by a new connection."""
        fault = Fault(kind, client.name, time.time_ns() // 1000, client.session.subscription.codes, loses_ticks)
        fault.first = self._places(client.name)
        gap = Gap(
            fault, copy.copy(client.session), lambda ticks: self._withhold(client.name, ticks), empty_subscriptions
        )
        self._gaps.append(gap)
        return gap

    def withhold(self, prints: Sequence[Print]) -> None:
        """Ticks that the open gaps keep."""
        for gap in self._gaps:
            gap.take(prints)

    def subscribed(self, client: Client, codes: frozenset[str] | None) -> bool:
        """A connection has subscribed; gaps that it fills are over. Whether it is to get nothing of it."""
        own = self._own(client.name)
        for gap in [gap for gap in self._gaps if gap is not own and gap.concerns(codes)]:
            if gap.empty_subscriptions and own is None:
                gap.empty_subscriptions -= 1
                own = self.begin(client, gap.fault.kind, loses_ticks=gap.fault.loses_ticks)
            gap.subscribed(codes)
            if gap.over:
                self._gaps.remove(gap)
                gap.fault.ended = time.time_ns() // 1000
                self._write(gap.fault)
        if own is not None:
            own.session.subscription = client.session.subscription
            own.fault.codes = client.session.subscription.codes
        return own is not None

    def ongoing(self, connection: str) -> bool:
        """Whether a connection's ticks are being withheld."""
        return self._own(connection) is not None

    def kind_of(self, connection: str) -> str | None:
        """By which kind of misbehaviour its ticks are being withheld."""
        own = self._own(connection)
        return None if own is None else own.fault.kind

    def _own(self, connection: str) -> Gap | None:
        return next((gap for gap in self._gaps if gap.fault.connection == connection), None)

    @property
    def open(self) -> int:
        """How many gaps nobody has filled yet."""
        return len(self._gaps)

    def finish(self) -> None:
        """Write the gaps that are still open."""
        for gap in self._gaps:
            self._write(gap.fault)
        self._gaps = []
        for page in [self._page, *(page for page, _ in self._withheld.values())]:
            if page is not None:
                page.close()

    def _write(self, fault: Fault) -> None:
        self.count += 1
        if self._ledger is None:
            return
        if self._page is None:
            self._page = self._ledger.open(FAULTS)
        self._page.write([orjson.dumps(fault.line())])

    def _places(self, connection: str) -> int:
        page = self._withheld.get(connection)
        return page[1][0] if page is not None else 0

    def _withhold(self, connection: str, ticks: Sequence[Json]) -> None:
        self.withheld += len(ticks)
        if self._ledger is None or not ticks:
            return
        if connection not in self._withheld:
            self._withheld[connection] = (self._ledger.open(f"withheld-{connection}"), [0])
        page, count = self._withheld[connection]
        count[0] += len(ticks)
        page.write([orjson.dumps({"at": time.time_ns() // 1000, "ticks": ticks})])
