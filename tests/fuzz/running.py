"""A running stack that is given what it must survive, and the look at whether it did.

Kafka, a worker with all agents, a producer on a hostile market, and readers: the client library, `ashare tail` of each
topic. Good ticks go in beside the rest, over the socket and straight into the topic. What they make is computed by
``selfcheck`` from the topic alone.
"""

from __future__ import annotations

import asyncio
import json
import random
import subprocess
import sys
import time
import urllib.request
from collections import deque
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Self

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError

from broker import records
from deploy.embedded.server import free_port
from deploy.local.part import PartError
from deploy.local.stack import Plan, Stack
from selfcheck.changes import ChangeCheck
from selfcheck.exact import Rule
from selfcheck.findings import Findings
from selfcheck.log import Entry, LogReader
from selfcheck.reference import ChangeReference, SessionReference
from selfcheck.snapshots import check_snapshots
from selfcheck.stores import sqlite_rows
from selfcheck.ticks import COLUMNS
from selfcheck.usable import read
from tests import foreign
from tests.fuzz import web
from tests.fuzz.market import LIVE, HostileMarket
from tests.fuzz.records import Foreign, anything, table

TICKS, CHANGES = "ashare.ticks.v1", "ashare.price-changes.v1"
TOPICS = (
    "ticks", "snapshots", "price-changes", "price-changes-state", "feed-events", "dead-letters", "thresholds",
    "threshold-marks",
)  # fmt: skip
FOLLOWED = ("600036", "000651", "300124")
"""Codes of the good ticks that are written straight into the topic."""
SOURCE = "fuzz-good"
THRESHOLD = "0.01"

_PARTITION, _TIMESTAMP = len(COLUMNS) + 1, len(COLUMNS) + 3
_A_ROUND = 0.05
_RECORDS_A_ROUND = 400
_REQUESTS_AT_ONCE = 4
_QUIET = 60.0
"""Seconds within which all that was written is behind everybody, when nothing more comes."""
RSS_MIB = {"producer": 900, "worker": 1_100, "tail": 400, "reader": 600}
"""What a process may hold at its highest: a few records of 1 MiB, a frame of 16 MiB and a calendar have room in it."""


class Broken(Exception):  # noqa: N818 - it is the finding
    """Something ended, grew or went wrong; the text says what, and what was given last."""


class Due:
    """What the followed codes' ticks in the topic make."""

    def __init__(self, findings: Findings) -> None:
        """Nothing was read."""
        self.sessions = SessionReference()
        self.changes = ChangeCheck(ChangeReference(Rule.parse(THRESHOLD)), findings)
        self.followed = {*FOLLOWED, *LIVE}
        self.live: dict[str, list[tuple[float, int]]] = {code: [] for code in LIVE}
        self.places: set[tuple[int, int]] = set()
        self.written = 0

    async def read(self, bootstrap: str) -> None:
        """Read both topics, from first to last."""
        async with LogReader(bootstrap) as reader:
            for partition in await reader.partitions(TICKS):
                async for entries in reader.read(TICKS, partition):
                    for entry in entries:
                        self.tick(entry)
                async for entries in reader.read(CHANGES, partition):
                    for entry in entries:
                        self.change(entry)
                self.changes.finish_partition(partition)

    def tick(self, entry: Entry) -> None:
        """Take a record of the ticks' topic; those of others are passed over."""
        tick = read(entry.value, entry.timestamp)
        if tick is None or tick["code"] not in self.followed:
            return
        self.places.add((entry.partition, entry.offset))
        self.sessions.apply(tick)
        self.changes.tick(entry.offset, tick)
        if tick["code"] in self.live:
            self.live[tick["code"]].append((tick["price"], tick["time"]))
        self.written += tick["source"] == SOURCE

    def change(self, entry: Entry) -> None:
        """Take a record of the changes' topic."""
        if entry.key is not None and entry.key.decode(errors="replace") in self.followed:
            self.changes.change(entry)


class Fuzz:
    """One run; ``seed`` says what is given, in which order."""

    def __init__(self, directory: Path, seed: int, say: Callable[[str], None]) -> None:
        """Nothing runs."""
        records.install()  # the self-check reads what is written here, with headers whose keys are not text
        self._say = say
        self._draw = random.Random(f"records {seed}")
        now = time.time_ns() // 1000
        self._run = now // 1000
        self._n = 0
        self._table = table(self._draw, now)
        self._more = anything(self._draw, now)
        self._given: deque[str] = deque(maxlen=40)
        self._price = dict.fromkeys(FOLLOWED, 3_000)
        self._web_port, self._producer_port = 0, free_port()
        self._requests = self._forever(web.requests(self._draw))
        self._market = HostileMarket(seed)
        options = ["--symbols", "*", "--http-port", str(self._producer_port)]
        market = ["--rate", "1", "--codes", "1", "--wait-for-client"]
        self._stack = Stack(Plan(directory, market, options, threshold=THRESHOLD))
        self._readers: list[tuple[str, subprocess.Popen[bytes]]] = []
        self.given = 0
        self.asked = 0
        self._wrong: list[str] = []
        self._enough = False
        self.peaks: dict[str, int] = {}

    def __enter__(self) -> Self:
        """Start everything but the producer."""
        self._stack.start(self._say)
        self._web_port = int(self._stack.workers[0].rpartition(":")[2])
        for topic in TOPICS:
            self._begin(f"tail {topic}", [sys.executable, "-P", "-m", "cli", "tail", topic, "--from", "earliest"])
        self._begin("reader", [sys.executable, str(Path(__file__).with_name("reader.py"))])
        return self

    def __exit__(self, *_: object) -> None:
        """End everything."""
        for _name, process in self._readers:
            process.kill()
            process.wait()
        self._stack.stop()

    async def run(self, seconds: float) -> None:
        """Give for so long, kill the worker in the middle, then hold what came out against what is due.

        Raises:
            Broken: see there.
        """
        bootstrap = self._stack.bootstrap
        producer = AIOKafkaProducer(bootstrap_servers=bootstrap, max_request_size=4 << 20, linger_ms=5)
        await producer.start()
        try:
            async with self._market.listen():
                self._stack.feed_url = self._market.url
                self._stack.feed()
                asking = [asyncio.create_task(self._ask()) for _ in range(_REQUESTS_AT_ONCE)]
                for _ in range(2):
                    await self._give(producer, time.monotonic() + seconds / 2)
                    self._say(f"gave {self.given:,} records and {self.asked:,} requests; starting the worker anew")
                    await asyncio.to_thread(self._restart_worker)
                # Not cancelled: a request that runs out of time just then takes that for its own end, and goes on.
                self._enough = True
                await asyncio.gather(*asking)
                if self._wrong:
                    raise Broken("; ".join(self._wrong[:10]))
                self._market.quiet = True
                await self._settled(producer)
            await self._hold()
        except PartError as error:
            raise Broken(self._told(str(error))) from error
        finally:
            self._enough = True
            await producer.stop()

    async def _give(self, producer: AIOKafkaProducer, until: float) -> None:
        while time.monotonic() < until:
            await self._tick(producer)
            batch = self._table[-_RECORDS_A_ROUND:] or [next(self._more) for _ in range(_RECORDS_A_ROUND)]
            del self._table[-_RECORDS_A_ROUND:]
            for record in batch:
                await self._write(producer, record)
            await producer.flush()
            self._check()
            await asyncio.sleep(_A_ROUND)

    async def _tick(self, producer: AIOKafkaProducer) -> None:
        for code in FOLLOWED:
            self._price[code] += self._draw.randint(-2, 2)
            now = time.time_ns() // 1000
            self._n += 1
            tick = {
                "code": code, "exchange": "SSE" if code[0] == "6" else "SZSE", "price": self._price[code] / 100,
                "time": now // 1000, "received": now, "source": SOURCE, "run": self._run, "n": self._n, "volume": 100,
            }  # fmt: skip
            await producer.send(TICKS, json.dumps(tick).encode(), code.encode(), timestamp_ms=now // 1000)

    async def _write(self, producer: AIOKafkaProducer, record: Foreign) -> None:
        self._given.append(f"{record.topic}: {record.what}")
        partition = self._draw.choice((None, 0)) if "feed-events" not in record.topic else None
        headers = [(name, value) for name, value in record.headers]
        try:
            if any(isinstance(name, foreign.Key) for name, _ in headers):
                odd = [(name.encode(), value) for name, value in headers]
                now = time.time_ns() // 1_000_000
                sent = await foreign.send(producer, record.topic, 0, [(record.key, record.value, odd)], now)
            else:
                sent = await producer.send(record.topic, record.value, record.key, partition=partition, headers=headers)
            sent.add_done_callback(lambda one: one.cancelled() or one.exception())
        except (KafkaError, AssertionError, TypeError):  # what Kafka or its client does not take needs no surviving
            return
        self.given += 1

    async def _ask(self) -> None:
        """Ask both servers one request after the other, until it is enough."""
        while not self._enough:
            request = next(self._requests)
            for port in (self._web_port, self._producer_port):
                try:
                    answer = await web.ask(port, request)
                except OSError:
                    await asyncio.sleep(0.2)  # it starts, or has ended: that is looked at elsewhere
                    continue
                self.asked += 1
                self._wrong += web.wrong([answer])

    def _check(self) -> None:
        """Everything runs, and none is too large."""
        self._stack.check()
        for name, process in self._readers:
            if process.poll() is not None:
                log = (self._stack.logs / f"{name.replace(' ', '-')}.log").read_bytes()[-3_000:]
                raise Broken(self._told(f"{name} ended with code {process.poll()}: {log.decode(errors='replace')}"))
        running = [(part.name.split()[0], part.pid) for part in self._stack.parts]
        running += [(name.split()[0], process.pid) for name, process in self._readers]
        for name, pid in running:
            if name in RSS_MIB:
                peak = _peak_mib(pid)
                self.peaks[name] = max(self.peaks.get(name, 0), peak)
                if peak > RSS_MIB[name]:
                    raise Broken(self._told(f"{name} held {peak:,} MiB; {RSS_MIB[name]:,} are its bound"))

    def _restart_worker(self) -> None:
        self._stack.restart("worker")

    async def _settled(self, producer: AIOKafkaProducer) -> None:
        """Wait until the worker has done with all that there is, and one good tick more."""
        await self._tick(producer)
        await producer.flush()
        until = time.monotonic() + _QUIET
        async with LogReader(self._stack.bootstrap) as reader:
            while True:
                await asyncio.sleep(0.5)
                self._check()
                ends, done = await reader.ends(TICKS), await reader.committed(self._stack.groups, TICKS)
                behind = sum(end - done.get(number, 0) for number, end in ends.items())
                if behind <= 0 and time.monotonic() > until - _QUIET + 3.0:
                    break
                if time.monotonic() > until:
                    raise Broken(self._told(f"{behind:,} records of {TICKS} are not done with after {_QUIET:g} s"))
        # The producer says that it stopped, and the worker has all of its ticks.
        await asyncio.to_thread(self._stack.end, "producer")
        async with LogReader(self._stack.bootstrap) as reader:
            until = time.monotonic() + _QUIET
            while sum((await reader.ends(TICKS)).values()) > sum(
                (await reader.committed(self._stack.groups, TICKS)).values()
            ):
                if time.monotonic() > until:
                    raise Broken(self._told("the producer's last ticks are not done with"))
                await asyncio.sleep(0.3)

    async def _hold(self) -> None:
        """Compare the followed codes' ticks, changes, snapshots and rows with what is due."""
        findings = Findings()
        due = Due(findings)
        await due.read(self._stack.bootstrap)
        if due.written != self._n:
            findings.add("lost", count=self._n - due.written, why="of the ticks written into the topic")
        for code, sent in self._market.sent.items():
            got = set(due.live[code])
            if missing := [one for one in sent if one not in got]:
                findings.add("lost", count=len(missing), code=code, why="pushed over the socket", first=missing[0])
        served = await asyncio.to_thread(_served, self._stack.workers[0], sorted(due.followed))
        check_snapshots(due.sessions.codes, served, "worker", findings)
        stored = sqlite_rows(self._stack.store_directory, findings)
        rows = {row[_PARTITION:_TIMESTAMP] for row in stored if row[0] in due.followed}
        if rows != due.places:
            findings.add("store_mismatches", missing=len(due.places - rows), more=len(rows - due.places))
        await self._read_to_the_end()
        if not findings.clean:
            raise Broken(self._told(json.dumps(findings.examples, default=str, ensure_ascii=True)[:4_000]))

    async def _read_to_the_end(self) -> None:
        """Readers that end by themselves, at the end of what there is."""
        out = self._stack.plan.directory
        for name, arguments in (
            ("threshold", ["show"]),
            ("replay", ["ticks", "--from", "earliest", "--to-file", str(out / "replayed.jsonl")]),
            ("replay", ["--through", "snapshots", "--from", "earliest", "--to-file", str(out / "snapshots.jsonl")]),
            ("archive", ["--include-today", "--dir", str(out / "archive")]),
        ):
            self._say(f"ashare {name} {arguments[0]}")
            await asyncio.to_thread(self._stack.command, name, *arguments)

    def _begin(self, name: str, arguments: list[str]) -> None:
        log = self._stack.logs / f"{name.replace(' ', '-')}.log"
        address = ["--bootstrap", self._stack.bootstrap] if name != "reader" else [self._stack.bootstrap]
        with log.open("wb") as output:
            process = subprocess.Popen([*arguments, *address], stdin=subprocess.DEVNULL, stdout=output, stderr=output)
        self._readers.append((name, process))

    def _told(self, what: str) -> str:
        last = "\n  ".join(list(self._given)[-25:])
        attacks = ", ".join(self._market.attacks[-5:])
        return f"{what}\nlast given:\n  {last}\nlast attacks over the socket: {attacks or 'none'}"

    @staticmethod
    def _forever(requests: list[bytes]) -> Iterator[bytes]:
        while True:
            yield from requests


def _peak_mib(pid: int) -> int:
    """The most that a process has held, MiB; 0 where that is not to be had."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) >> 10 for line in lines if line.startswith("VmHWM:")), 0)


def _served(url: str, codes: list[str]) -> dict[str, Any]:
    with urllib.request.urlopen(f"{url}/snapshots?codes={','.join(codes)}", timeout=30.0) as answer:  # noqa: S310
        return {snapshot["code"]: snapshot for snapshot in json.load(answer)["snapshots"]}
