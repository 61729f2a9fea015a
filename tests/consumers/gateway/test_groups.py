"""Who is sent which row when: random markets and clients, held against the rule as it is written, client by client."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from consumers.gateway.groups import FLUSH_SECONDS, Group, Hub
from consumers.gateway.rows import FIELDS, Row
from consumers.gateway.subscription import Subscribe, Subscription, read
from instruments.known import Known
from schemas import Origin, Snapshot

CODES = ("600519", "000001", "688001", "300750", "920001")
KNOWN = Known()
EPSILON = 1e-4


def row(code: str, fen: int, ticks: int) -> Row:
    price = fen / 100
    record = Snapshot(
        code, "SSE", price, 1_795_138_200_000 + ticks, 1_795_138_200_000_000, "2026-11-20", price, price, price, ticks,
        Origin(0, ticks), [], previous_close=10.0,
    )  # fmt: skip
    return Row(record, KNOWN)


def larger(threshold: Any, code: str, before: Decimal, now: Decimal) -> bool:
    """The threshold's rule, from its words."""
    moved = abs(now - before)
    if isinstance(threshold, float):
        return moved > Decimal(str(threshold))
    ((unit, amount),) = threshold.items()
    if unit == "bp":
        return moved / before * 10_000 > Decimal(str(amount))
    return moved > Decimal(str(amount)) * (Decimal("0.01") if unit == "ticks" else 1)


@dataclass(eq=False)
class Client:
    """What a client has been sent, and since when the price is further away than its threshold."""

    asked: Subscribe
    subscription: Subscription
    group: Group[Client]
    since: float
    seq: int = 0
    shown: dict[str, tuple[Decimal, int]] = field(default_factory=dict)
    sent_at: dict[str, float] = field(default_factory=dict)
    away: dict[str, float] = field(default_factory=dict)

    def covers(self, code: str) -> bool:
        """Whether it asked for a code."""
        if self.asked.codes != "*" and code not in self.asked.codes:
            return False
        board = {"600519": "MAIN", "000001": "MAIN", "688001": "STAR", "300750": "CHINEXT", "920001": "BSE"}[code]
        return self.asked.boards is None or board in self.asked.boards


class Market(RuleBasedStateMachine):
    """Prices move, clients come, change their mind and go; time passes by flushes."""

    @initialize()
    def begin(self) -> None:
        """Nobody, and no price."""
        self.hub: Hub[Client] = Hub()
        self.clients: list[Client] = []
        self.now, self.ticks = 1_000.0, 0
        self.latest: dict[str, tuple[Decimal, int]] = {}
        self.changed_at: dict[str, float] = {}

    @rule(
        moves=st.lists(
            st.tuples(st.sampled_from(CODES), st.integers(1_000, 1_012), st.floats(0, 0.9)), min_size=1, max_size=12
        )
    )
    def trade(self, moves: list[tuple[str, int, float]]) -> None:
        """Prices move between two flushes."""
        for code, fen, share in sorted(moves, key=lambda move: move[2]):
            self.ticks += 1
            at = self.now + share * FLUSH_SECONDS
            self.hub.take([row(code, fen, self.ticks)], at)
            self.latest[code], self.changed_at[code] = (Decimal(fen) / 100, self.ticks), at

    @precondition(lambda self: len(self.clients) < 6)
    @rule(
        codes=st.sampled_from(["*", ["600519"], ["600519", "688001", "920001"]]),
        boards=st.sampled_from([None, ["STAR"], ["MAIN", "BSE"]]),
        threshold=st.sampled_from([0.0, 0.02, {"bp": 30.0}, {"ticks": 3.0}]),
        max_hz=st.sampled_from([0.5, 1.0, 4.0, 20.0]),
        trailing=st.booleans(),
    )
    def join(self, codes: Any, boards: Any, threshold: Any, max_hz: float, trailing: bool) -> None:
        """A client comes, and gets its snapshot."""
        asked = Subscribe(codes=codes, boards=boards, threshold=threshold, max_hz=max_hz, trailing=trailing)
        subscription = read(asked)
        client = Client(asked, subscription, None, self.now)  # type: ignore[arg-type]
        client.group = self.hub.join(client, subscription, self.now)
        message = json.loads(client.group.snapshot("subscribed"))
        client.seq = message["seq"]
        for one in message["rows"]:
            client.shown[one["code"]] = Decimal(str(one["price"])), one["ticks"]
        assert {code for code in self.latest if client.covers(code)} >= set(client.shown)
        self.clients.append(client)

    @precondition(lambda self: self.clients)
    @rule(which=st.integers(0, 5))
    def leave(self, which: int) -> None:
        """A client goes."""
        client = self.clients.pop(which % len(self.clients))
        self.hub.leave(client, client.group)

    @rule(flushes=st.integers(1, 12))
    def wait(self, flushes: int) -> None:
        """Time passes."""
        for _ in range(flushes):
            self.now += FLUSH_SECONDS
            self.flush()

    def flush(self) -> None:
        """What is due goes out."""
        for group, frame in self.hub.flush(self.now):
            message = json.loads(frame)
            for client in group.members:
                assert message["seq"] == client.seq + 1
                client.seq += 1
                for one in message["rows"]:
                    self.received(client, one)
        for client in self.clients:
            self.owed(client)

    def received(self, client: Client, one: dict[str, Any]) -> None:
        """A row has come: was it allowed to?"""
        code, price = one["code"], Decimal(str(one["price"]))
        assert client.covers(code)
        assert (price, one["ticks"]) == self.latest[code], "the newest, never one that was passed over"
        before = client.shown.get(code)
        period, interval = client.subscription.period, client.group.interval
        if before is not None:
            paused = self.now - self.changed_at[code] >= period - interval - EPSILON
            assert larger(client.asked.threshold, code, before[0], price) or (client.asked.trailing and paused)
            assert self.now - client.sent_at.get(code, 0.0) >= period - interval - EPSILON
        client.shown[code], client.sent_at[code] = (price, one["ticks"]), self.now
        client.away.pop(code, None)

    def owed(self, client: Client) -> None:
        """What has not come: was it allowed not to?"""
        period = client.subscription.period
        for code, latest in self.latest.items():
            if not client.covers(code):
                continue
            shown = client.shown.get(code)
            late = self.now - max(self.changed_at[code], client.since)
            if client.asked.trailing:
                assert shown == latest or late <= period + EPSILON, "the last value of a burst comes within 1/max_hz"
            if shown is not None and not larger(client.asked.threshold, code, shown[0], latest[0]):
                client.away.pop(code, None)
                continue
            away = client.away.setdefault(code, self.now)
            assert self.now - away <= period + client.group.interval + EPSILON, "a move beyond the threshold is sent"

    @invariant()
    def nobody_is_forgotten(self) -> None:
        """A group for each setting that somebody has."""
        if hasattr(self, "hub"):
            assert self.hub.groups == len({client.subscription for client in self.clients})

    def teardown(self) -> None:
        """After the last burst each client has what there is."""
        if hasattr(self, "hub"):
            for _ in range(int(2.0 / FLUSH_SECONDS) + 2):
                self.now += FLUSH_SECONDS
                self.flush()
            for client in self.clients:
                if client.asked.trailing:
                    assert client.shown == {code: one for code, one in self.latest.items() if client.covers(code)}


TestMarket = Market.TestCase
TestMarket.settings = settings(max_examples=400, stateful_step_count=40, deadline=None)


def test_clients_with_equal_settings_share_one_frame() -> None:
    hub: Hub[str] = Hub()
    hub.take([row("600519", 1_000, 1)], 0.0)
    for name in ("one", "two", "three"):
        hub.join(name, read(Subscribe(max_hz=20.0)), 0.0)
    hub.join("four", read(Subscribe(max_hz=20.0, threshold=0.05)), 0.0)
    hub.take([row("600519", 1_010, 2)], 0.06)
    frames = [(group.members, json.loads(frame)["rows"][0]["price"]) for group, frame in hub.flush(0.1)]
    assert frames == [({"one", "two", "three"}, 10.1), ({"four"}, 10.1)]


def test_a_row_is_encoded_once_for_the_same_fields() -> None:
    one = row("600519", 1_000, 1)
    assert one.fragment(("code", "price")) is one.fragment(("code", "price"))
    assert json.loads(one.fragment(("code", "price"))) == {"code": "600519", "price": 10.0}
    assert list(json.loads(one.fragment(FIELDS))) == list(FIELDS)


@pytest.mark.parametrize(("fen", "limit"), [(1_100, "up"), (900, "down"), (1_099, None)])
def test_a_row_says_at_which_limit_it_stands(fen: int, limit: str | None) -> None:
    """10 % of 10 yuan; of a board with 20 %, neither."""
    assert row("600519", fen, 1).limit == limit
    assert row("688001", fen, 1).limit is None


def test_a_table_that_is_replaced_leaves_nothing_of_the_one_before() -> None:
    hub: Hub[str] = Hub()
    hub.take([row("600519", 1_000, 1), row("000001", 1_000, 1)], 0.0)
    group = hub.join("one", read(Subscribe(max_hz=20.0)), 0.0)
    hub.take([row("000001", 1_001, 2)], 0.0)
    assert hub.renew([row("600519", 990, 1)]) == [group]
    assert [one["code"] for one in json.loads(group.snapshot("renewed"))["rows"]] == ["600519"]
    assert list(hub.flush(10.0)) == []
