"""Who is sent which row when. Pure: time comes in, frames come out.

Clients with equal settings are a group: what each of them was last sent is the same, so one decision and one frame
serve all. A client that joins gets, as its snapshot, the rows that the group was last sent, not newer ones: so from
then on the threshold is measured from what that client has too. What has moved since follows as for the others.

A row is sent when its price has moved by more than the threshold from what was last sent, at most once a period; and
when its changes have paused, so that its last value comes within a period of the change. Groups look at their rows
twice a period at least, and as often as the hub flushes at most.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from operator import itemgetter
from typing import Generic, TypeVar

import msgspec

from consumers.gateway.rows import Row
from consumers.gateway.subscription import Move, Subscription
from market.codes import Board

FLUSH_SECONDS = 0.05
_LOOKS = 2
_SLACK = 1e-6
"""Seconds: sums of floats."""

M = TypeVar("M")
_encode = msgspec.json.Encoder().encode
_when = itemgetter(1)


class Group(Generic[M]):
    """Clients with equal settings.

    Attributes:
        members: the clients, whatever they are.
        seq: of the last delta.
        changed: codes that have changed since the group last looked, with the time of the last change.
    """

    def __init__(self, subscription: Subscription, table: Mapping[str, Row], now: float) -> None:
        """A group that is sent what the table has."""
        self.subscription = subscription
        self.members: set[M] = set()
        self.seq = 0
        self.changed: dict[str, float] = {}
        looks = max(1, int(subscription.period / _LOOKS / FLUSH_SECONDS + _SLACK))
        self.interval = looks * FLUSH_SECONDS
        self._hold = max(0.0, subscription.period - self.interval) - _SLACK
        self._larger = Move(subscription.threshold).larger
        self._next = now
        self._waiting: dict[str, float] = {}
        self._sent: dict[str, Row] = {}
        self._sent_at: dict[str, float] = {}
        self._whole: dict[str, bytes] = {}
        self.renew(table)

    def renew(self, table: Mapping[str, Row]) -> None:
        """Begin anew with all that there is."""
        covers, codes = self.subscription.covers, self.subscription.codes
        found = table.values() if codes is None else (table[code] for code in codes if code in table)
        self._sent = {row.code: row for row in found if covers(row.code, row.board)}
        self._sent_at.clear()
        self._whole.clear()
        self._waiting.clear()
        self.changed.clear()

    def due(self, now: float) -> bool:
        """Whether it is time to look at the rows again."""
        return now >= self._next and bool(self.changed or self._waiting)

    def look(self, table: Mapping[str, Row], now: float) -> list[Row]:
        """The rows to send now; they count as sent."""
        self._next = now + self.interval - FLUSH_SECONDS / 2  # flushes are not on the instant
        waiting, sent, sent_at, hold, larger = self._waiting, self._sent, self._sent_at, self._hold, self._larger
        rows: list[Row] = []
        for code, at in sorted(self.changed.items(), key=_when):
            row = table.get(code)
            if row is None:
                continue
            before = sent.get(code)
            if before is None or (
                larger(code, before.price, row.price) and now - sent_at.get(code, -hold - 1.0) >= hold
            ):
                waiting.pop(code, None)
                rows.append(row)
            else:
                # The last of those that wait is the one that changed last.
                waiting.pop(code, None)
                waiting[code] = at
        self.changed.clear()
        rows += self._paused(table, now)
        for row in rows:
            sent[row.code] = row
            sent_at[row.code] = now
        if rows:
            self.seq += 1
            self._whole.clear()
        return rows

    def _paused(self, table: Mapping[str, Row], now: float) -> Iterator[Row]:
        """The rows that have not changed for as long as a last value may wait."""
        waiting, trailing = self._waiting, self.subscription.trailing
        while waiting:
            code, at = next(iter(waiting.items()))
            if now - at < self._hold:
                return
            del waiting[code]
            row = table.get(code)
            if row is None:
                continue
            if trailing or self._larger(code, self._sent[code].price, row.price):
                yield row

    def delta(self, rows: Iterable[Row]) -> bytes:
        """The message of these rows."""
        return self._message(b'{"type":"delta"', rows)

    def snapshot(self, reason: str) -> bytes:
        """The message of all rows that the group was last sent; made once between two deltas."""
        made = self._whole.get(reason)
        if made is None:
            head = b'{"type":"snapshot","reason":"%s"' % reason.encode()
            made = self._whole[reason] = self._message(head, self._sent.values())
        return made

    def empty(self) -> bytes:
        """The message of a subscription without rows at first."""
        return self._message(b'{"type":"snapshot","reason":"subscribed"', ())

    def _message(self, head: bytes, rows: Iterable[Row]) -> bytes:
        fields = self.subscription.fields
        return b'%s,"id":%s,"seq":%d,"rows":[%s]}' % (
            head,
            _encode(self.subscription.id),
            self.seq,
            b",".join([row.fragment(fields) for row in rows]),
        )


class Hub(Generic[M]):
    """The table and the groups.

    Attributes:
        table: the latest row of each code.
    """

    def __init__(self) -> None:
        """No row, and nobody who wants one."""
        self.table: dict[str, Row] = {}
        self._groups: dict[Subscription, Group[M]] = {}
        self._wide: set[Group[M]] = set()
        self._by_board: dict[Board, set[Group[M]]] = {}
        self._by_code: dict[str, set[Group[M]]] = {}

    @property
    def groups(self) -> int:
        """How many there are."""
        return len(self._groups)

    def join(self, member: M, subscription: Subscription, now: float) -> Group[M]:
        """Put a client into the group of its settings."""
        group = self._groups.get(subscription)
        if group is None:
            group = self._groups[subscription] = Group(subscription, self.table, now)
            for index in self._indexes(group):
                index.add(group)
        group.members.add(member)
        return group

    def leave(self, member: M, group: Group[M]) -> None:
        """Take a client out; a group without one is gone."""
        group.members.discard(member)
        if group.members or self._groups.get(group.subscription) is not group:
            return
        del self._groups[group.subscription]
        for index in self._indexes(group):
            index.discard(group)
        for code in group.subscription.codes or ():
            if not self._by_code[code]:
                del self._by_code[code]

    def take(self, rows: Iterable[Row], now: float) -> None:
        """Take what has changed, in order."""
        table, wide = self.table, dict[str, float]()
        by_code, by_board = self._by_code, self._by_board
        for row in rows:
            code = row.code
            table[code] = row
            wide[code] = now
            for group in by_code.get(code, ()):
                if group.subscription.covers(code, row.board):
                    group.changed[code] = now
            for group in by_board.get(row.board, ()):
                group.changed[code] = now
        for group in self._wide:
            group.changed.update(wide)

    def renew(self, rows: Iterable[Row]) -> list[Group[M]]:
        """Another table stands in the place of the one before; gives the groups, whose clients need a snapshot."""
        self.table = {row.code: row for row in rows}
        for group in self._groups.values():
            group.renew(self.table)
        return list(self._groups.values())

    def flush(self, now: float) -> Iterator[tuple[Group[M], bytes]]:
        """The deltas that are due, each with the group that gets it."""
        for group in list(self._groups.values()):
            if group.due(now):
                rows = group.look(self.table, now)
                if rows:
                    yield group, group.delta(rows)

    def _indexes(self, group: Group[M]) -> list[set[Group[M]]]:
        asked = group.subscription
        if asked.codes is not None:
            return [self._by_code.setdefault(code, set()) for code in asked.codes]
        if asked.boards is not None:
            return [self._by_board.setdefault(board, set()) for board in asked.boards]
        return [self._wide]
