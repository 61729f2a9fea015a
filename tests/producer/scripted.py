"""A provider that speaks a protocol of a few words, with capabilities to choose, and a pipeline that remembers.

What a client sends is ``+a,b``, ``-a``, ``beat`` and ``login TOKEN``; a server's frame is JSON: ``{"ticks": [[code, ms,
volume, cumulative], …], "answers": [{"kind": …}], "packet": 7}``, any of the three.
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import asdict
from typing import Any, Self

import orjson
from websockets.asyncio.server import Server, ServerConnection, serve

from producer.feeds.decoded import Answer, Decoded, FeedTick, Frame, Letter, Packet
from producer.feeds.guard import Guard
from producer.feeds.provider import Capabilities, Codes, Message
from producer.gaps.gap import Gap
from producer.pipeline.event import Event, Kind

Script = Callable[[ServerConnection], Awaitable[None]]


class ScriptedFeed:
    """The client's side."""

    def __init__(self, **capabilities: Any) -> None:
        """With other capabilities than a simple feed's."""
        simple: dict[str, Any] = {"about": "a script", "url": "ws://127.0.0.1", "login": "frame", "wildcard": True}
        self.capabilities = Capabilities(**simple | capabilities)
        self.resets = 0
        self.guard = Guard()

    def address(self, url: str, token: str | None, codes: Codes) -> str:  # noqa: ARG002 - a script knows none
        """The codes, where they are not a request."""
        return f"{url}/?codes={','.join(codes or ['*'])}" if self.capabilities.changes == "reconnect" else url

    def headers(self, token: str | None) -> Mapping[str, str]:
        """The token, where it goes there."""
        return {"token": token} if token and self.capabilities.login == "header" else {}

    def greeting(self, token: str | None) -> list[Message]:
        """A login, where the server answers one."""
        return [f"login {token}"] if self.capabilities.logged_in_by_answer else []

    def subscribe(self, codes: Codes) -> list[Message]:
        """In chunks."""
        if self.capabilities.changes == "reconnect":
            return []
        size = self.capabilities.codes_per_message or 10**6
        return ["+*"] if codes is None else ["+" + ",".join(codes[i : i + size]) for i in range(0, len(codes), size)]

    def unsubscribe(self, codes: Codes) -> list[Message]:
        """In one."""
        return ["-" + ",".join(codes or ["*"])]

    def heartbeat(self) -> Message | None:
        """A word."""
        return "beat"

    def decode(self, frame: Frame) -> Decoded:
        """As the module says."""
        said = orjson.loads(frame.payload)
        ticks = [
            FeedTick(code, "SSE", 10.0, time, volume=volume, cumulative=cumulative)
            for code, time, volume, cumulative in said.get("ticks", [])
        ]
        answers = [
            Answer(**{"text": answer["kind"], **answer, "codes": tuple(answer["codes"]) if "codes" in answer else None})
            for answer in said.get("answers", [])
        ]
        packet = Packet("", said["packet"]) if "packet" in said else None
        return Decoded(ticks, [], answers, packet)

    def reset(self) -> None:
        """Counted."""
        self.resets += 1


class Remembered:
    """A pipeline that keeps what it is given."""

    full = False

    def __init__(self) -> None:
        """Nothing has come."""
        self.n = 0
        self.received: list[FeedTick] = []
        self.letters: list[Letter] = []
        self.events: list[tuple[Kind, dict[str, Any]]] = []
        self.gaps: list[Gap] = []
        self.outrun = 0.0

    @property
    def happenings(self) -> list[Kind]:
        """The kinds of events, in order."""
        return [event for event, _ in self.events]

    def of(self, event: Kind) -> list[dict[str, Any]]:
        """The fields of the events of a kind, but for those that say nothing."""
        return [fields for kind, fields in self.events if kind == event]

    async def ticks(self, ticks: list[FeedTick], received: int, *, filtered: bool) -> None:  # noqa: ARG002 - all count
        """Keep the ticks."""
        self.n += len(ticks)
        self.received += ticks

    def dead_letters(self, letters: Sequence[Letter], received: int) -> None:  # noqa: ARG002 - as Pipeline has it
        """Keep them."""
        self.letters += letters

    def event(self, event: Event) -> None:
        """Keep the event, and a gap as one as well."""
        fields = {name: value for name, value in asdict(event).items() if value is not None and name != "kind"}
        self.events.append((event.kind, fields))
        if event.kind == "gap":
            assert event.start is not None
            assert event.end is not None
            assert event.codes is not None
            assert event.detected is not None
            self.gaps.append(
                Gap(event.start, event.end, event.codes, event.detected, event.reason or "", event.missed, event.count)
            )

    async def room(self) -> None:
        """There is."""

    def behind(self) -> float:
        """As told."""
        return self.outrun


class Provider:
    """A server that plays one script a connection, the last one for all that follow, and keeps what it hears."""

    def __init__(self, *scripts: Script, process_request: Any = None, tls: ssl.SSLContext | None = None) -> None:
        """Nothing listens yet; ``process_request`` as the library's."""
        self._tls = tls
        self._process_request = process_request
        self.heard: list[list[tuple[float, str]]] = []
        """Of each connection: when (loop time) and what."""
        self.paths: list[str] = []
        self.opened: list[float] = []
        self.headers: list[Mapping[str, str]] = []
        self._scripts = scripts
        self._server: Server | None = None

    @property
    def url(self) -> str:
        """Where it listens."""
        assert self._server is not None
        return f"{'ws' if self._tls is None else 'wss'}://127.0.0.1:{next(iter(self._server.sockets)).getsockname()[1]}"

    def words(self, connection: int) -> list[str]:
        """What a connection heard."""
        return [word for _, word in self.heard[connection]]

    async def __aenter__(self) -> Self:
        self._server = await serve(self._serve, "127.0.0.1", 0, process_request=self._process_request, ssl=self._tls)
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        self._server.close()
        await self._server.wait_closed()

    async def _serve(self, connection: ServerConnection) -> None:
        assert connection.request is not None
        self.paths.append(connection.request.path)
        self.headers.append(dict(connection.request.headers.raw_items()))
        self.opened.append(asyncio.get_running_loop().time())
        heard: list[tuple[float, str]] = []
        self.heard.append(heard)
        script = self._scripts[min(len(self.heard), len(self._scripts)) - 1]
        hearing = asyncio.create_task(self._hear(connection, heard))
        try:
            with contextlib.suppress(Exception):
                await script(connection)
        finally:
            hearing.cancel()
            await asyncio.gather(hearing, return_exceptions=True)

    @staticmethod
    async def _hear(connection: ServerConnection, heard: list[tuple[float, str]]) -> None:
        with contextlib.suppress(Exception):
            while True:
                message = await connection.recv()
                heard.append((asyncio.get_running_loop().time(), str(message)))


async def says(
    connection: ServerConnection,
    *,
    ticks: Sequence[Sequence[Any]] = (),
    answers: Sequence[Mapping[str, Any]] = (),
    packet: int | None = None,
) -> None:
    """Send one frame."""
    said: dict[str, Any] = {"ticks": [[*tick, None, None, None][:4] for tick in ticks], "answers": list(answers)}
    await connection.send(orjson.dumps(said | ({} if packet is None else {"packet": packet})).decode())
