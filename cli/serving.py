"""A replay on the server that the simulated market uses: the rooms do not know each other."""

from __future__ import annotations

import contextlib
from collections.abc import Callable

from market.codes import UnknownCode, instrument
from simulator.feed import Batch
from simulator.server import FeedServer, Settings


class ReplayServer:
    """The feed server of a replay; see ``consumers.replay.outputs.feed.FeedServer``."""

    def __init__(self, settings: Settings, say: Callable[[str], None]) -> None:
        """A server that does not listen yet; ``say`` gets a line with its address when it does."""
        self._settings = settings
        self._say = say
        self._server = FeedServer(_can_exist, settings)
        self._open = contextlib.AsyncExitStack()

    async def open(self) -> None:
        """Listen."""
        port = await self._open.enter_async_context(self._server.listen())
        self._say(f"listening on ws://{self._settings.host}:{port}, the replay begins with the first subscription")

    async def subscribed(self) -> None:
        """Wait for the first subscription."""
        await self._server.subscribed()

    def push(self, codes: list[str], texts: list[str], traded: list[bool]) -> None:
        """Give every client its part."""
        self._server.push(Batch(codes, texts, traded))

    async def drained(self) -> None:
        """Wait until somebody is there and has room."""
        await self._server.drained()

    async def close(self, farewell: bytes, code: int, reason: str) -> None:
        """Say goodbye and listen no more."""
        await self._server.farewell(farewell, code, reason)
        await self._open.aclose()


def _can_exist(code: str) -> bool:
    """Any code that can exist may be subscribed: what the range holds is not known before its end."""
    try:
        instrument(code)
    except UnknownCode:
        return False
    return True
