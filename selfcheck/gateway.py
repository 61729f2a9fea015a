"""What the gateway's clients were sent, each held against its own subscription and threshold, by the ticks of the log.

A row says by ``ticks`` after which tick of its code it was made, so a client's rows are places in the code's prices.
Each client changes its subscription once on the way, on the same connection.
"""

from __future__ import annotations

import asyncio
import random
import time
from array import array
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

import aiohttp
import orjson

from selfcheck.exact import Rule, exact
from selfcheck.findings import Findings
from selfcheck.log import LogReader

TICKS = "ashare.ticks.v1"
SLACK_SECONDS = 2.0
"""For what is between the receipt of a tick and a client's having its row, on a machine that does all of it at once."""
_JITTER_SECONDS = 0.25
"""By so much less than it was two ticks may be apart where the gateway has them."""
_LONGEST_PERIOD = 2.0
_RATES = (0.5, 1.0, 2.0, 4.0, 10.0, 20.0)
_THRESHOLDS = ("0", "0", "0.02", "0.1", "2ticks", "5ticks", "10bp", "50bp")
_COLUMNS = 3
_CONNECT_SECONDS = 20.0


@dataclass
class Section:
    """What a client was sent under one subscription.

    Attributes:
        rows: by code, one after the other: ticks, price, and when it came (seconds since the epoch); the first is of a
            snapshot where ``known`` has the code.
    """

    codes: frozenset[str] | None
    rule: Rule
    hz: float
    trailing: bool
    rows: dict[str, array[float]] = field(default_factory=dict)
    known: set[str] = field(default_factory=set)
    seq: int | None = None

    def message(self) -> dict[str, Any]:
        """The subscription as it is sent."""
        unit = {"yuan": "yuan", "ticks": "ticks", "bp": "bp"}[self.rule.unit]
        return {
            "type": "subscribe",
            "id": "check",
            "codes": "*" if self.codes is None else ",".join(sorted(self.codes)),
            "threshold": {unit: float(self.rule.size)},
            "max_hz": self.hz,
            "trailing": self.trailing,
            "fields": ["price", "ticks"],
        }


@dataclass(frozen=True)
class GatewayCheck:
    """How much was compared."""

    clients: int
    rows: int
    sections: int


class Clients:
    """Clients of the gateway with subscriptions of their own."""

    def __init__(self, url: str, count: int, findings: Findings, *, seed: int = 1) -> None:
        """Nobody connects yet.

        Args:
            url: of the gateway, with a slash at its end.
            count: how many.
            findings: takes what is wrong.
            seed: of the subscriptions.
        """
        self._url, self._count, self._findings = url, count, findings
        self._random = random.Random(seed)  # noqa: S311 - subscriptions, not secrets
        self._sections: list[list[Section]] = []
        self._task: asyncio.Task[None] | None = None
        self._stop = asyncio.Event()
        self._broken = 0

    async def run(self, seconds: float) -> None:
        """Connect all, and change all subscriptions when half of the time is over; until ``stop``."""
        self._sections = [[] for _ in range(self._count)]
        connector = aiohttp.TCPConnector(limit=0)
        async with aiohttp.ClientSession(connector=connector) as session:
            tasks = [asyncio.create_task(self._client(session, some, seconds / 2)) for some in self._sections]
            try:
                await self._stop.wait()
            finally:
                for task in tasks:
                    task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)

    def begin(self, seconds: float) -> None:
        """Run beside what else is done."""
        self._task = asyncio.create_task(self.run(seconds), name="the gateway's clients")

    async def stop(self) -> None:
        """Hang up, once the last values must have come."""
        if self._task is None:
            return
        await asyncio.sleep(_LONGEST_PERIOD + SLACK_SECONDS)
        await self.abandon()

    async def abandon(self) -> None:
        """Hang up."""
        self._stop.set()
        if self._task is not None:
            await asyncio.gather(self._task, return_exceptions=True)

    def _drawn(self, codes: list[str]) -> Section:
        draw = self._random
        some = None if draw.random() < 0.3 or not codes else frozenset(draw.sample(codes, min(50, len(codes))))
        rule = Rule.parse(draw.choice(_THRESHOLDS))
        return Section(some, rule, draw.choice(_RATES), draw.random() < 0.8)

    async def _client(self, session: aiohttp.ClientSession, sections: list[Section], changes_after: float) -> None:
        try:
            async with asyncio.timeout(_CONNECT_SECONDS):
                socket = await session.ws_connect(f"{self._url}v1/stream", max_msg_size=0)
            sections.append(self._drawn([]))
            await socket.send_json(sections[0].message())
            changing = time.monotonic() + changes_after
            async for message in socket:
                if message.type is aiohttp.WSMsgType.TEXT:
                    self._take(sections, orjson.loads(message.data))
                if len(sections) == 1 and time.monotonic() > changing and len(sections[0].rows) > 1:
                    sections.append(self._drawn(sorted(sections[0].rows)))
                    await socket.send_json(sections[1].message())
            self._wrong(why=f"closed with {socket.close_code}")
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            self._wrong(why=f"cannot connect: {error!r}")

    def _take(self, sections: list[Section], message: dict[str, Any]) -> None:
        kind = message["type"]
        if kind == "error":
            self._wrong(why=message["message"])
        if kind not in {"snapshot", "delta"}:
            return
        # Until the snapshot that it asked for comes, a client is sent what it had asked for before.
        section = sections[-1]
        if kind == "delta" and section.seq is None:
            section = sections[-2]
        elif kind == "delta" and message["seq"] != (section.seq or 0) + 1:
            self._wrong(why=f"delta {message['seq']} follows {section.seq}")
        section.seq, now = message["seq"], time.time()
        if kind == "snapshot":
            section.rows.clear()
            section.known = {row["code"] for row in message["rows"]}
        for row in message["rows"]:
            rows = section.rows.setdefault(row["code"], array("d"))
            rows.extend((row["ticks"], row["price"], now))

    def _wrong(self, **example: Any) -> None:
        self._findings.add("gateway_mismatches", **example)

    async def compare(self, reader: LogReader) -> GatewayCheck:
        """Hold what came against the log.

        Raises:
            LogError: the log can't be read.
        """
        ticks = await _ticks(reader)
        count = 0
        for number, sections in enumerate(self._sections):
            for section in sections:
                last = section is sections[-1]
                if section.seq is None:
                    self._wrong(client=number, why="no snapshot came")
                    continue
                for code, prices in ticks.items():
                    if section.codes is not None and code not in section.codes:
                        if code in section.rows:
                            self._wrong(client=number, code=code, why="not asked for")
                        continue
                    rows = section.rows.get(code)
                    count += 0 if rows is None else len(rows) // _COLUMNS
                    _Judged(self._findings, number, section, code, prices, rows or array("d")).judge(last=last)
            await asyncio.sleep(0)
        return GatewayCheck(self._count, count, sum(map(len, self._sections)))


@dataclass(frozen=True, slots=True)
class _Judged:
    """One code of one client's subscription: ``ticks`` are price and receipt (seconds since the epoch), in order."""

    findings: Findings
    client: int
    section: Section
    code: str
    ticks: array[float]
    rows: array[float]

    def judge(self, *, last: bool) -> None:
        """Count what is wrong; the last value is due only where nothing was asked for after it."""
        before: tuple[int, Decimal] | None = None
        snapshot = self.code in self.section.known
        for place in range(0, len(self.rows), _COLUMNS):
            ticks, price, came = int(self.rows[place]), exact(self.rows[place + 1]), self.rows[place + 2]
            if not 0 < ticks <= len(self.ticks) // 2 or exact(self.ticks[2 * ticks - 2]) != price:
                self._wrong(why="no such state", ticks=ticks, price=float(price))
                return
            if before is not None:
                if ticks == before[0] and self.section.trailing:
                    continue  # its gap mark is another
                if ticks <= before[0]:
                    self._wrong(why="an older row after a newer one", ticks=ticks, before=before[0])
                    return
                self._late(before, ticks, came)
                self._small(before[1], ticks, price)
            elif not snapshot and place:
                self._wrong(why="no snapshot", ticks=ticks)
            before = ticks, price
        if last:
            self._last(before)

    def _late(self, before: tuple[int, Decimal], until: int, came: float) -> None:
        """A move beyond the threshold that lasted was sent in time."""
        since: float | None = None
        for number in range(before[0] + 1, until + 1):
            away = self._away(before[1], exact(self.ticks[2 * number - 2]))
            received = self.ticks[2 * number - 1]
            if since is not None and received - since > self._patience:
                self._wrong(why="a move beyond the threshold was not sent in time", ticks=number, since=since)
                return
            since = (since or received) if away else None
        if since is not None and came - since > self._patience:
            self._wrong(why="a move beyond the threshold came late", ticks=until, seconds=round(came - since, 2))

    def _small(self, sent: Decimal, ticks: int, price: Decimal) -> None:
        """A move within the threshold is sent only where a burst had ended."""
        if self._away(sent, price):
            return
        if not self.section.trailing:
            self._wrong(why="a move within the threshold was sent", ticks=ticks, price=float(price), before=float(sent))
            return
        if ticks < len(self.ticks) // 2:
            apart = self.ticks[2 * ticks + 1] - self.ticks[2 * ticks - 1]
            # A row waits for half a period at least, or a flush less, before a burst counts as over.
            if apart < 0.5 / self.section.hz - _JITTER_SECONDS - 0.1:
                self._wrong(why="the burst was not over", ticks=ticks, apart=round(apart, 3))

    def _last(self, shown: tuple[int, Decimal] | None) -> None:
        """After the last tick the client has it, or is within its threshold of it."""
        ticks = len(self.ticks) // 2
        if shown is None:
            self.findings.add("gateway_lost_last", client=self.client, code=self.code, shown=None, ticks=ticks)
        elif shown[0] != ticks and (self.section.trailing or self._away(shown[1], exact(self.ticks[-2]))):
            self.findings.add("gateway_lost_last", client=self.client, code=self.code, shown=shown[0], ticks=ticks)

    def _away(self, sent: Decimal, price: Decimal) -> bool:
        return abs(price - sent) > self.section.rule.yuan(sent)

    @property
    def _patience(self) -> float:
        return 2 / self.section.hz + SLACK_SECONDS

    def _wrong(self, **example: Any) -> None:
        self.findings.add("gateway_mismatches", client=self.client, code=self.code, **example)


async def _ticks(reader: LogReader) -> dict[str, array[float]]:
    """By code, price and receipt of its ticks in order, each once."""
    found: dict[str, array[float]] = {}
    marks: dict[tuple[str, str], tuple[int, int]] = {}
    for partition in await reader.partitions(TICKS):
        async for entries in reader.read(TICKS, partition):
            for entry in entries:
                tick = orjson.loads(entry.value or b"null")
                mark = tick["run"], tick["n"]
                named = tick["code"], tick["source"]
                if mark <= marks.get(named, (-1, -1)):
                    continue
                marks[named] = mark
                found.setdefault(tick["code"], array("d")).extend((tick["price"], tick["received"] / 1e6))
    return found
