"""The worker's HTTP over a table and a group of the test's own, on real servers: many codes, moves, peers."""

from __future__ import annotations

import asyncio
import json
import logging
import time
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from types import SimpleNamespace
from typing import Any, cast

import aiohttp
import pytest
from aiohttp import web
from faust.types import TP

from broker.http_guard import GuardedRunner
from cli.commands import snapshot
from instruments.known import Known
from jobs.snapshots import SnapshotRow, Snapshots
from processors.http import peers
from processors.http.peers import PeerError, announced, checked
from processors.http.routes import MAX_CODES, Routes
from schemas import Instrument
from schemas.topics import SNAPSHOTS, partition_of, topics
from tests.jobs.chunks import chunk, tick

COUNT = topics()[SNAPSHOTS].partitions
POSSIBLE = [f"{n:06}" for n in [*range(1, 4_000), *range(300_000, 302_000), *range(600_000, 602_000)]]
POSSIBLE += [f"{n}" for n in [*range(603_000, 604_000), *range(605_000, 606_000), *range(688_000, 689_000)]]
MARKET = POSSIBLE[5_999:8_499]


@pytest.fixture(autouse=True)
def _patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A busy machine is not a peer that does not answer."""
    monkeypatch.setattr(peers, "_TIMEOUT", aiohttp.ClientTimeout(total=60))


class Worker:
    """One worker's routes, and what Faust would say of its group."""

    def __init__(self, held: Iterable[int], codes: Iterable[str], secret: str | None = None) -> None:
        """Owns partitions, with a row of each code in them."""
        held = frozenset(held)
        rows: dict[int, dict[str, SnapshotRow]] = {partition: {} for partition in held}
        for code in codes:
            partition = partition_of(code, COUNT)
            if partition in held:
                rows[partition] |= row_of(code)
        self.known = Known()
        self.table = SimpleNamespace(held=rows)
        self.lease = SimpleNamespace(valid=True)
        self.current: dict[int, float] = dict.fromkeys(held, time.monotonic())
        self.owners: dict[str, dict[str, list[int]]] = {}
        self.recovery = SimpleNamespace(_held={TP(SNAPSHOTS, partition) for partition in held}, _held_generation=1)
        self.app = SimpleNamespace(
            rebalancing=False,
            should_stop=False,
            consumer_generation_id=1,
            tables=SimpleNamespace(actives_ready=True, recovery=self.recovery),
            assignor=SimpleNamespace(
                assigned_actives=lambda: set(self.recovery._held), changelog_distribution=self.owners
            ),
        )
        self.routes = Routes(
            cast(
                "Any",
                SimpleNamespace(
                    app=self.app, agent=SimpleNamespace(table=self.table), lease=self.lease, current=self.current
                ),
            ),
            lambda: {"status": "ok"},
            dict,
            hosts=["http://worker:6066"],
            peer_secret=secret,
            known=self.known,
        )
        self.port = 0

    @asynccontextmanager
    async def served(self) -> AsyncIterator[Worker]:
        """Listening."""
        application = web.Application()
        self.routes.install(application)
        runner = GuardedRunner(application)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        self.port = runner.addresses[0][1]
        try:
            yield self
        finally:
            await runner.cleanup()

    def knows(self, url: str, held: Iterable[int]) -> None:
        """A member of the group announces this."""
        self.owners[url] = {SNAPSHOTS: list(held)}

    def lose(self, partition: int) -> None:
        """A partition is another worker's from now on."""
        self.app.consumer_generation_id = self.recovery._held_generation = self.app.consumer_generation_id + 1
        self.recovery._held = {tp for tp in self.recovery._held if tp.partition != partition}
        del self.table.held[partition]

    async def ask(self, path: str, asked: Any = None, method: str = "", **headers: str) -> tuple[int, Any]:
        """Status and decoded body."""
        method = method or ("GET" if asked is None else "POST")
        async with (
            aiohttp.ClientSession() as session,
            session.request(method, f"http://127.0.0.1:{self.port}{path}", json=asked, headers=headers) as got,
        ):
            text = await got.read()
            return got.status, json.loads(text) if text else None

    @property
    def url(self) -> str:
        """Its root."""
        return f"http://127.0.0.1:{self.port}"


def row_of(code: str) -> dict[str, SnapshotRow]:
    rows: dict[str, SnapshotRow] = {}
    Snapshots().apply(rows, chunk([tick(1, 10.0, code=code)], partition=partition_of(code, COUNT)))
    return rows


@pytest.fixture
async def alone() -> AsyncIterator[Worker]:
    """A worker that owns all."""
    async with Worker(range(COUNT), MARKET).served() as worker:
        yield worker


@asynccontextmanager
async def two(secret: str | None = None, other_secret: str | None = None) -> AsyncIterator[tuple[Worker, Worker]]:
    """Two workers that share the market."""
    mine, others = range(0, COUNT, 2), range(1, COUNT, 2)
    async with Worker(mine, MARKET, secret).served() as one, Worker(others, MARKET, secret).served() as other:
        one.knows(announced(other.url, other_secret or secret), others)
        other.knows(announced(one.url, secret), mine)
        yield one, other


async def test_ten_thousand_codes_are_answered(alone: Worker) -> None:
    """As promised, by a body and by a line; one more is refused with the way to ask."""
    codes = POSSIBLE[-MAX_CODES:]
    assert len(codes) == MAX_CODES
    for status, said in [
        await alone.ask("/snapshots", {"codes": codes}),
        await alone.ask(f"/snapshots?codes={','.join(codes)}"),
    ]:
        assert status == 200
        assert [snapshot["code"] for snapshot in said["snapshots"]] == MARKET
    status, said = await alone.ask("/snapshots", {"codes": POSSIBLE[-MAX_CODES - 1 :]})
    assert (status, said["error"]) == (400, "bad_request")
    assert "10,000" in said["message"]


async def test_names_and_limits_stand_beside_a_snapshot_where_they_are_known() -> None:
    """From whichever worker the row comes; limits of another day are left out, and so is what is not known."""
    async with two("secret") as (one, other):
        codes = MARKET[:40]
        session = (await one.ask(f"/snapshots/{codes[0]}"))[1]["session"]
        one.known.take(
            (code, Instrument(code, "SSE", name="贵州茅台", day=day, limit_up=11.0, limit_down=9.0))
            for code, day in zip(codes[:20], [session, "2020-01-02"] * 10, strict=True)
        )
        answered = {row["code"]: row for row in (await one.ask("/snapshots", {"codes": codes}))[1]["snapshots"]}
        for place, code in enumerate(codes):
            row = answered[code]
            limits = {"limit_up": 11.0, "limit_down": 9.0} if place < 20 and not place % 2 else {}
            told = {"name": "贵州茅台"} | limits if place < 20 else {}
            assert {name: row[name] for name in ("name", "limit_up", "limit_down") if name in row} == told
        plain = (await other.ask(f"/snapshots/{codes[0]}"))[1]
        assert {name: value for name, value in answered[codes[0]].items() if name in plain} == plain | {
            "age_ms": answered[codes[0]]["age_ms"]
        }
        assert "name" not in plain


async def test_the_command_asks_for_as_many_as_it_is_given(alone: Worker) -> None:
    """More than a line holds go in a body; what is not a code, and what was never seen, is said of that one alone."""
    for given in (POSSIBLE, [MARKET[0], "oops", "000001"]):
        found, refused = await asyncio.to_thread(snapshot._ask, alone.url, [*given, "oops"])
        assert refused == {"oops"}
        assert found["oops"] == "'oops' is not a code: " + str(found["oops"]).partition(": ")[2]
        assert found["000001"] == "no tick of 000001 was seen"
        assert {code for code, one in found.items() if isinstance(one, dict)} == set(MARKET) & set(given)


@pytest.mark.parametrize(
    ("asked", "status", "error"),
    [
        ({"codes": []}, 400, "bad_request"),
        ({"codes": "600519"}, 400, "bad_request"),
        ({"codes": [1]}, 400, "bad_request"),
        ({"code": ["600519"]}, 400, "bad_request"),
        ([], 400, "bad_request"),
        ({"codes": ["oops"]}, 400, "malformed_code"),
        ({"codes": ["6" * 100_000]}, 400, "malformed_code"),
    ],
)
async def test_a_body_that_asks_for_nothing_is_refused(alone: Worker, asked: Any, status: int, error: str) -> None:
    """With what a right one looks like, in few words."""
    got, said = await alone.ask("/snapshots", asked)
    assert (got, said["error"]) == (status, error)
    assert len(str(said)) < 200_000


async def test_a_head_has_no_body(alone: Worker) -> None:
    """On a connection that goes on: the next answer is not mixed up with it."""
    reader, writer = await asyncio.open_connection("127.0.0.1", alone.port)
    for path in ("/snapshots", "/snapshots?codes=600000", "/snapshots/600000", "/health"):
        writer.write(f"HEAD {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode())
        async with asyncio.timeout(20):
            head = await reader.readuntil(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 200 ")
        writer.write(b"GET /health HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
        async with asyncio.timeout(20):
            after = await reader.readuntil(b"}")
        assert after.startswith(b"HTTP/1.1 200 ")
    writer.close()


async def test_strangers_names_are_refused(alone: Worker) -> None:
    """A page that had its name bound to this address reads nothing."""
    for path in ("/health", "/status", "/snapshots", "/snapshots/600000"):
        assert (await alone.ask(path, Host="evil.example"))[0] == 403
        assert (await alone.ask(path, Host="worker:6066"))[0] == 200


async def test_the_loop_goes_on_while_a_market_is_encoded(alone: Worker, monkeypatch: pytest.MonkeyPatch) -> None:
    """Others are answered meanwhile: nothing is encoded in one go."""
    turns: list[int] = []
    real = SnapshotRow.record

    def record(row: SnapshotRow) -> Any:
        turns.append(1)
        return real(row)

    monkeypatch.setattr(SnapshotRow, "record", record)
    most = 0
    asking = asyncio.create_task(alone.ask("/snapshots"))
    while not asking.done():
        before = len(turns)
        await asyncio.sleep(0)
        most = max(most, len(turns) - before)
    assert (await asking)[0] == 200
    assert len(turns) == len(MARKET)
    assert most <= 256


@pytest.mark.parametrize(
    "asked",
    [
        b"GET /snapshots HTTP/1.1\r\n",
        b"GET /snapshots/%b HTTP/1.1\r\n" % MARKET[0].encode(),
        b"GET /health HTTP/1.1\r\n",
        b"GET /status HTTP/1.1\r\n",
        b"POST /snapshots HTTP/1.1\r\nContent-Type: application/json\r\nContent-Length: 2\r\n",
    ],
)
async def test_a_reader_that_hangs_up_in_its_answer_leaves_no_traceback(
    alone: Worker, asked: bytes, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of whatever route; the next reader is answered."""
    monkeypatch.setattr("processors.http.routes._PART", 1)
    for reads in (True, False):
        reader, writer = await asyncio.open_connection("127.0.0.1", alone.port)
        body = b"{}" if asked.startswith(b"POST") else b""
        writer.write(asked + b"Host: 127.0.0.1\r\n\r\n" + body)
        if reads:
            await reader.read(1)
        writer.transport.abort()
    await asyncio.sleep(0.2)
    assert (await alone.ask("/health"))[0] == 200
    assert [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING] == []


@pytest.mark.parametrize("secret", [None, "shared"])
async def test_two_workers_answer_as_one(secret: str | None) -> None:
    """Whichever is asked, by whichever way: each code once."""
    async with two(secret) as pair:
        for worker in pair:
            for asked in (None, {}, {"codes": MARKET}):
                status, said = await worker.ask("/snapshots", asked)
                assert status == 200
                assert sorted(snapshot["code"] for snapshot in said["snapshots"]) == MARKET
            assert (await worker.ask("/snapshots/600001"))[1]["code"] == "600001"


async def test_partitions_that_move_while_others_are_asked_are_no_hole() -> None:
    """Whoever loses one meanwhile: 503 to ask again, never 200 with less than the market."""

    async def slow(request: web.Request, then: Callable[[], None]) -> web.Response:
        body = await request.json()
        then()
        answering = Worker(range(COUNT), MARKET)
        found = [
            row.record()
            for rows in answering.table.held.values()
            for row in rows.values()
            if partition_of(row.code, COUNT) in set(body.get("partitions", range(COUNT)))
            and row.code in set(body.get("codes", MARKET))
        ]
        from schemas import encode

        return web.Response(body=b'{"snapshots":[' + b",".join(map(encode, found)) + b"]}")

    async with Worker([0, 1], MARKET).served() as worker:
        moved: list[int] = []

        async def handle(request: web.Request) -> web.Response:
            return await slow(request, lambda: worker.lose(moved.pop()) if moved else None)

        application = web.Application()
        application.router.add_post("/snapshots", handle)
        runner = web.AppRunner(application)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        try:
            worker.knows(f"http://127.0.0.1:{runner.addresses[0][1]}", range(2, COUNT))
            status, said = await worker.ask("/snapshots")
            assert (status, len(said["snapshots"])) == (200, len(MARKET))
            moved.append(0)
            status, said = await worker.ask("/snapshots")
            assert (status, said["error"]) == (503, "unavailable")
            # A list of codes holds the rows that were this worker's when it asked the others.
            worker.knows(f"http://127.0.0.1:{runner.addresses[0][1]}", [0, *range(2, COUNT)])
            moved.append(1)
            status, said = await worker.ask("/snapshots", {"codes": MARKET})
            assert (status, len(said["snapshots"])) == (200, len(MARKET))
        finally:
            await runner.cleanup()


async def test_while_partitions_are_assigned_there_is_no_answer(alone: Worker) -> None:
    """Rows that are not whole yet, a rebalance, a partition that nobody owns, a lease that ran out: 503, ask again."""
    changes: list[tuple[Any, str, Any]] = [
        (alone.app, "rebalancing", True),
        (alone.app, "consumer_generation_id", 2),
        (alone.app.tables, "actives_ready", False),
        (alone.recovery, "_held", set()),
        (alone.app, "should_stop", True),
        (alone.lease, "valid", False),
    ]
    for of, name, value in changes:
        was = getattr(of, name)
        setattr(of, name, value)
        for path, asked in (("/snapshots", None), ("/snapshots/600000", None), ("/snapshots", {"codes": ["600000"]})):
            status, said = await alone.ask(path, asked)
            assert (status, said["error"]) == (503, "unavailable")
        setattr(of, name, was)
    assert (await alone.ask("/snapshots"))[0] == 200


async def test_a_snapshot_tells_its_age(alone: Worker) -> None:
    """How long ago its partition was last known to hold all that the log held; null before that was ever known."""
    partition = partition_of("600000", COUNT)
    _, said = await alone.ask("/snapshots/600000")
    assert 0 <= said["age_ms"] < 60_000
    alone.current[partition] -= 90.0
    for path, asked in (("/snapshots/600000", None), ("/snapshots", {"codes": ["600000"]})):
        status, said = await alone.ask(path, asked)
        (snapshot,) = said.get("snapshots", [said])
        assert status == 200
        assert 90_000 <= snapshot["age_ms"] < 150_000
    _, said = await alone.ask("/snapshots")
    ages = {snapshot["code"]: snapshot["age_ms"] for snapshot in said["snapshots"]}
    assert {code for code, age in ages.items() if age >= 90_000} == {
        code for code in MARKET if partition_of(code, COUNT) == partition
    }
    alone.current.clear()
    assert (await alone.ask("/snapshots/600000"))[1]["age_ms"] is None


async def test_a_snapshot_of_another_worker_has_that_workers_age() -> None:
    """It is passed on as it was told, by either of the ways; one that tells no age has none."""
    async with two() as (one, other):
        code = next(code for code in MARKET if partition_of(code, COUNT) % 2)
        other.current[partition_of(code, COUNT)] -= 90.0
        assert (await one.ask(f"/snapshots/{code}"))[1]["age_ms"] >= 90_000
        found = {snapshot["code"]: snapshot["age_ms"] for snapshot in (await one.ask("/snapshots"))[1]["snapshots"]}
        assert found[code] >= 90_000
        other.current.clear()
        assert (await one.ask(f"/snapshots/{code}"))[1]["age_ms"] is None


async def test_a_lease_that_runs_out_while_others_are_asked_is_no_old_answer() -> None:
    """A worker that was stopped in the middle of an answer does not give it."""
    async with Worker([0], MARKET).served() as worker:

        async def handle(_request: web.Request) -> web.Response:
            worker.lease.valid = False
            return web.json_response({"snapshots": []})

        application = web.Application()
        application.router.add_post("/snapshots", handle)
        runner = web.AppRunner(application)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        try:
            worker.knows(f"http://127.0.0.1:{runner.addresses[0][1]}", range(1, COUNT))
            for asked in (None, {"codes": MARKET}):
                worker.lease.valid = True
                status, said = await worker.ask("/snapshots", asked)
                assert (status, said["error"]) == (503, "unavailable")
        finally:
            await runner.cleanup()


async def test_an_answer_that_is_half_sent_when_the_lease_runs_out_is_cut_off(
    alone: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is left of it would be old rows: the reader gets an error, not a whole answer."""
    real, encoded = SnapshotRow.record, list[str]()

    def record(row: SnapshotRow) -> Any:
        encoded.append(row.code)
        alone.lease.valid = len(encoded) < 1_000
        return real(row)

    monkeypatch.setattr(SnapshotRow, "record", record)
    with pytest.raises(aiohttp.ClientError):
        await alone.ask("/snapshots")
    assert len(encoded) == 1_000


async def test_a_member_without_the_secret_is_not_asked() -> None:
    """Whoever joined the group can announce any address; nothing is sent there, nothing relayed."""
    asked: list[str] = []

    async def handle(request: web.Request) -> web.Response:
        asked.append(request.path)
        return web.json_response({"snapshots": []})

    application = web.Application()
    application.router.add_route("*", "/{any:.*}", handle)
    runner = web.AppRunner(application)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    root = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        for secret, url in [
            ("shared", root),
            ("shared", announced(root, "another")),
            ("shared", announced("http://127.0.0.1:1", "shared").replace("http://127.0.0.1:1", root)),
            (None, f"{root}/exec?query=drop"),
            (None, f"{root}/admin"),
            (None, f"http://user:pass@{root.removeprefix('http://')}"),
            (None, f"{root}#x"),
        ]:
            async with Worker([], MARKET, secret).served() as worker:
                worker.knows(url, range(COUNT))
                for path in ("/snapshots", "/snapshots/600000"):
                    status, said = await worker.ask(path)
                    assert (status, said["error"]) == (503, "unavailable")
        assert asked == []
    finally:
        await runner.cleanup()


def test_without_a_secret_only_this_machine_is_asked() -> None:
    """An address elsewhere is refused with the setting."""
    for url in ("http://127.0.0.1:6066", "http://localhost:1", "http://[::1]:1", "http://127.0.0.2:6066/"):
        assert checked(url, None) == url.rstrip("/")
    for url in ("http://10.0.0.1:6066", "http://worker:6066", "http://169.254.169.254", "http://2130706433:1"):
        with pytest.raises(PeerError, match="--peer-secret"):
            checked(url, None)
        assert checked(announced(url, "s"), "s") == url
    for url in ("file:///etc/passwd", "ftp://127.0.0.1", "http://", "", "http://127.0.0.1:x", "http://[", "x"):
        with pytest.raises(PeerError):
            checked(url, None)
        with pytest.raises(PeerError):
            checked(announced(url, "s"), "s")


@pytest.mark.parametrize(
    ("status", "headers", "body"),
    [
        (302, {"Location": "/elsewhere"}, b""),
        (307, {"Location": "/elsewhere"}, b""),
        (200, {}, b"<html>"),
        (200, {}, b'{"snapshots": [{"code": "600001"}]}'),
        (200, {}, b'{"snapshots": "all"}'),
        (200, {}, b"[" * 100_000),
        (200, {}, b'{"snapshots": []' + b" " * (2 << 20) + b"}"),
        (500, {}, b"x"),
    ],
)
async def test_what_a_peer_answers_is_no_snapshot_then_nothing_is_passed_on(
    monkeypatch: pytest.MonkeyPatch, status: int, headers: dict[str, str], body: bytes
) -> None:
    """Another form, another place, more than there can be: 503."""
    monkeypatch.setattr(peers, "MAX_ANSWER", 1 << 20)
    elsewhere: list[str] = []

    async def handle(request: web.Request) -> web.Response:
        if request.path != "/snapshots":
            elsewhere.append(request.path)
        return web.Response(status=status, headers=headers, body=body)

    application = web.Application()
    application.router.add_route("*", "/{any:.*}", handle)
    runner = web.AppRunner(application)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        async with Worker([], []).served() as worker:
            worker.knows(f"http://127.0.0.1:{runner.addresses[0][1]}", range(COUNT))
            for path in ("/snapshots", "/snapshots/600001", "/snapshots?codes=600001"):
                got, said = await worker.ask(path)
                assert (got, said["error"]) == (503, "unavailable")
    finally:
        await runner.cleanup()
    assert elsewhere == []


async def test_only_what_was_asked_for_is_passed_on() -> None:
    """A peer's snapshots of other codes and other partitions are left out."""
    from schemas import encode

    rows = [row for code in MARKET[:50] for row in row_of(code).values()]

    async def handle(_request: web.Request) -> web.Response:
        return web.Response(body=b'{"snapshots":[' + b",".join(encode(row.record()) for row in rows) + b"]}")

    application = web.Application()
    application.router.add_post("/snapshots", handle)
    runner = web.AppRunner(application)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        async with Worker(range(1, COUNT), []).served() as worker:
            worker.knows(f"http://127.0.0.1:{runner.addresses[0][1]}", [0])
            owned = [code for code in MARKET[:50] if partition_of(code, COUNT) == 0]
            _, said = await worker.ask("/snapshots")
            assert sorted(snapshot["code"] for snapshot in said["snapshots"]) == owned
            _, said = await worker.ask("/snapshots", {"codes": owned[:2]})
            assert [snapshot["code"] for snapshot in said["snapshots"]] == owned[:2]
    finally:
        await runner.cleanup()
