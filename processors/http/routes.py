"""The worker's HTTP: snapshots from memory, routed to the worker that owns the code; health and status."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple, cast

import msgspec
from aiohttp import web

from broker.exposition import Exposition
from broker.http_guard import Rules, answer, body, guard, host_names, refusal
from instruments.known import Known
from jobs.snapshots import SnapshotRow
from market.codes import UnknownCode, instrument
from processors.http.facts import facts_of
from processors.http.peers import HOP, PeerError, Peers, ServedSnapshot
from processors.streaming.runner import AgentRunner
from schemas import encode
from schemas.topics import SNAPSHOTS, partition_of, topics

log = logging.getLogger(__name__)

MAX_CODES = 10_000
SEND_SECONDS = 60.0
"""How long a reader may take for its answer; one that takes longer is cut off."""
_PART = 256
_HOW = 'POST {"codes": ["600519", …]} as application/json'


class NotOwnedError(Exception):
    """Nobody is known to own a code's partition: the group is rebalancing or recovering."""


class Asked(msgspec.Struct, forbid_unknown_fields=True):
    """A request's body: some codes, all that there are of some partitions (which workers ask each other), or all."""

    codes: list[str] | None = None
    partitions: list[int] | None = None


class View(NamedTuple):
    """What a worker owns, in one generation of the group."""

    generation: int
    mine: frozenset[int]


class Group:
    """Who owns which partition of the snapshots, as Faust has it."""

    def __init__(self, runner: AgentRunner) -> None:
        """Nothing is asked yet."""
        self._runner = runner
        self._app = runner.app

    def view(self) -> View:
        """The partitions whose rows are whole and this worker's.

        Raises:
            NotOwnedError: they are being assigned or recovered.
        """
        app, recovery = self._app, cast("Any", self._app.tables).recovery
        generation = app.consumer_generation_id
        if app.should_stop:
            raise NotOwnedError("the worker is stopping")
        if app.rebalancing or not app.tables.actives_ready or recovery._held_generation != generation:
            raise NotOwnedError("the worker is recovering its table")
        self.check_lease()
        assigned = app.assignor.assigned_actives()
        return View(
            generation, frozenset(tp.partition for tp in assigned if tp.topic == SNAPSHOTS and tp in recovery._held)
        )

    def check_lease(self) -> None:
        """Raise ``NotOwnedError`` where the rows may be another worker's by now, and these be old."""
        if not self._runner.lease.valid:
            raise NotOwnedError("the group may have given this worker's partitions to another")

    @property
    def held(self) -> Mapping[int, dict[str, SnapshotRow]]:
        """The rows by partition."""
        table = self._runner.agent.table
        return {} if table is None else table.held

    def age_ms(self, partition: int) -> int | None:
        """How long ago a partition's rows were last known to hold all that its log held; ``None``: never yet."""
        current = self._runner.current.get(partition)
        return None if current is None else max(0, round((time.monotonic() - current) * 1000))

    def owner(self, partition: int) -> str:
        """What the worker that owns a partition announces as its address.

        Raises:
            NotOwnedError: nobody does.
        """
        for url, held in cast("Any", self._app.assignor).changelog_distribution.items():
            if partition in held.get(SNAPSHOTS, ()):
                return str(url)
        raise NotOwnedError(f"no worker owns partition {partition}")


def unavailable(why: str) -> web.Response:
    """The answer while rows can't be served, with when to ask again."""
    return refusal(503, "unavailable", why, **{"Retry-After": "1"})


class Routes:
    """The HTTP interface of one worker."""

    def __init__(
        self,
        snapshots: AgentRunner | None,
        health: Callable[[], dict[str, Any]],
        status: Callable[[], dict[str, Any]],
        *,
        hosts: Iterable[str] = (),
        peer_secret: str | None = None,
        exposition: Exposition | None = None,
        known: Known | None = None,
    ) -> None:
        """Routes over the table of the snapshots agent, where the worker runs it.

        Args:
            hosts: names of this worker, besides addresses and loopback.
            peer_secret: what the workers of the group share.
            exposition: answers ``/metrics``; without it, there are none.
            known: of instruments, whose name and limits snapshots are answered with.
        """
        self._exposition = exposition
        self._known = Known() if known is None else known
        self._group = None if snapshots is None else Group(snapshots)
        self._health = health
        self._status = status
        self._peers = Peers(peer_secret)
        self._rules = Rules(host_names(hosts), addresses=True, setting="--web-hosts NAME (ASHARE_WEB_HOSTS)")

    def install(self, application: web.Application) -> None:
        """Add the routes to the worker's web server."""
        application.middlewares.append(guard(self._rules))
        application.router.add_get("/health", self.get_health)
        application.router.add_get("/status", self.get_status)
        if self._exposition is not None:
            application.router.add_get("/metrics", self._exposition.answer)
        application.router.add_get("/snapshots", self.get_many)
        application.router.add_post("/snapshots", self.post_many)
        application.router.add_get("/snapshots/{code}", self.get_one)
        application.on_cleanup.append(self._close)

    async def get_health(self, _request: web.Request) -> web.Response:
        """200 while the worker does its work, 503 with the reasons while it does not."""
        health = self._health()
        return answer(200 if health["status"] == "ok" else 503, health)

    async def get_status(self, _request: web.Request) -> web.Response:
        """The worker's counters."""
        return answer(200, self._status())

    async def get_one(self, request: web.Request) -> web.StreamResponse:
        """One code's snapshot: 400 malformed, 404 unknown, 503 not recovered yet."""
        code = request.match_info["code"]
        refused = self._refused([code])
        if refused is not None:
            return refused
        found = await self._tried(self._some([code], routed=HOP in request.headers))
        if isinstance(found, web.Response):
            return found
        if not found:
            return answer(404, {"error": "unknown_code", "message": f"no tick of {code} was seen", "code": code})
        try:
            return web.Response(body=self._encoded(found[0]), content_type="application/json")
        except NotOwnedError as error:
            return unavailable(str(error))

    async def get_many(self, request: web.Request) -> web.StreamResponse:
        """The snapshots of ``?codes=a,b`` (unknown ones left out), or of all codes."""
        if "codes" not in request.query:
            return await self._answer(request, Asked())
        return await self._answer(request, Asked(request.query["codes"].split(",")))

    async def post_many(self, request: web.Request) -> web.StreamResponse:
        """As ``get_many``, by a body: ``{"codes": […]}``, or ``{}`` for all."""
        if request.content_type != "application/json":
            return refusal(415, "not_json", _HOW)
        try:
            asked = msgspec.json.decode(await body(request), type=Asked)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            return refusal(400, "bad_request", f"{error}: {_HOW}")
        return await self._answer(request, asked)

    async def _answer(self, request: web.Request, asked: Asked) -> web.StreamResponse:
        routed = HOP in request.headers
        if asked.codes is None:
            if self._group is None:
                return _none()
            found = await self._tried(self._all(asked.partitions, routed=routed))
        else:
            codes = list(dict.fromkeys(filter(None, (code.strip() for code in asked.codes))))
            refused = self._refused(codes)
            if refused is not None:
                return refused
            found = await self._tried(self._some(codes, routed=routed))
        return found if isinstance(found, web.Response) else await _sent(request, found, self._encoded)

    def _refused(self, codes: Sequence[str]) -> web.Response | None:
        """The answer to codes that can't be looked for."""
        if self._group is None:
            return _none()
        if not codes or len(codes) > MAX_CODES:
            return refusal(400, "bad_request", f"codes: give 1 to {MAX_CODES:,} codes; {_HOW}")
        for code in codes:
            try:
                instrument(code)
            except UnknownCode as error:
                return answer(400, {"error": "malformed_code", "message": str(error), "code": code[:64]})
        return None

    @staticmethod
    async def _tried(asking: Awaitable[list[_Found]]) -> list[_Found] | web.Response:
        """What is found, or the answer that says why it can't be had now."""
        try:
            return await asking
        except (NotOwnedError, PeerError) as error:
            return unavailable(str(error))

    async def _some(self, codes: Sequence[str], *, routed: bool) -> list[_Found]:
        """What there is of codes, in their order, from this worker and the others."""
        group = self._group
        assert group is not None
        mine, elsewhere = group.view().mine, defaultdict(list)
        found: dict[str, _Found] = {}
        count = topics()[SNAPSHOTS].partitions
        for code in codes:
            partition = partition_of(code, count)
            if partition in mine:
                # Held from here on: a row that leaves this worker later is as it was when it was this worker's.
                row = group.held.get(partition, {}).get(code)
                if row is not None and row.ticks:
                    found[code] = row
            elif routed:
                raise NotOwnedError(f"partition {partition} has just moved")
            else:
                elsewhere[group.owner(partition)].append(code)
        for answered in await _every(self._peers.snapshots(url, wanted) for url, wanted in elsewhere.items()):
            found.update(answered)
        group.check_lease()
        return [found[code] for code in codes if code in found]

    async def _all(self, only: Sequence[int] | None, *, routed: bool) -> list[_Found]:
        """Every snapshot, or those of some partitions, each partition from the one worker that owns it."""
        group = self._group
        assert group is not None
        before = group.view()
        wanted = frozenset(range(topics()[SNAPSHOTS].partitions))
        if only is not None:
            wanted &= frozenset(only)
        elif routed:
            wanted = before.mine  # as workers of an older version ask
        elsewhere: dict[str, set[int]] = defaultdict(set)
        for partition in wanted - before.mine:
            if routed:
                raise NotOwnedError(f"partition {partition} has just moved")
            elsewhere[group.owner(partition)].add(partition)
        others = await _every(self._peers.partitions(url, some) for url, some in elsewhere.items())
        if group.view() != before:
            raise NotOwnedError("partitions moved while other workers were asked")
        held = group.held
        found: list[_Found] = [
            row for partition in sorted(wanted & before.mine) for row in held.get(partition, {}).values() if row.ticks
        ]
        for answered in others:
            found.extend(answered.values())
        return found

    def _encoded(self, found: _Found) -> bytes:
        """A snapshot with its age.

        Raises:
            NotOwnedError: it is an old one, since this process stood still meanwhile.
        """
        assert self._group is not None
        self._group.check_lease()
        if not isinstance(found, SnapshotRow):
            return encode(found)[:-1] + facts_of(self._known, found) + b"}"
        age = self._group.age_ms(found.partition)
        record = found.record()
        return (
            encode(record)[:-1]
            + (b',"age_ms":null' if age is None else b',"age_ms":%d' % age)
            + facts_of(self._known, record)
            + b"}"
        )

    async def _close(self, _application: web.Application) -> None:
        await self._peers.close()


_Found = SnapshotRow | ServedSnapshot


def _none() -> web.Response:
    return refusal(404, "no_snapshots", "this worker runs without the snapshots agent")


async def _every(asking: Iterable[Awaitable[dict[str, ServedSnapshot]]]) -> list[dict[str, ServedSnapshot]]:
    """What each answers, or the first error, with nobody left asking."""
    tasks = [asyncio.ensure_future(one) for one in asking]
    try:
        return list(await asyncio.gather(*tasks))
    finally:
        for task in tasks:
            task.cancel()


async def _sent(
    request: web.Request, found: Sequence[_Found], encoded: Callable[[_Found], bytes]
) -> web.StreamResponse:
    """Send snapshots as they are encoded, a few hundred at a time: the loop is not held, nor is memory taken."""
    if request.method == "HEAD":
        return web.Response(content_type="application/json")
    response = web.StreamResponse(headers={"Content-Type": "application/json"})
    try:
        async with asyncio.timeout(SEND_SECONDS):
            await response.prepare(request)
            await response.write(b'{"snapshots":[')
            for start in range(0, len(found), _PART):
                part = b",".join(encoded(one) for one in found[start : start + _PART])
                await response.write(part if start == 0 else b"," + part)
                await asyncio.sleep(0)  # a reader that keeps up never makes `write` wait
            await response.write(b"]}")
            await response.write_eof()
    except TimeoutError:
        log.warning("a reader of /snapshots did not take its answer within %g s and was cut off", SEND_SECONDS)
        _cut_off(request)
    except NotOwnedError as error:
        log.warning("a reader of /snapshots was cut off: %s", error)
        _cut_off(request)
    return response


def _cut_off(request: web.Request) -> None:
    if request.transport is not None:
        request.transport.abort()
