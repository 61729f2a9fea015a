"""The watchlist by HTTP: to read it, and to change it."""

from __future__ import annotations

from typing import Any

import msgspec
from aiohttp import web

from broker.http_guard import answer, body
from producer.watchlist.watch import Watch
from schemas import UsageError


class Change(msgspec.Struct, forbid_unknown_fields=True):
    """What is to be subscribed: another list, and codes to add to it and take out of it."""

    codes: list[str] | None = None
    add: list[str] = []
    remove: list[str] = []


class WatchlistRoutes:
    """``/watchlist`` of a server that decides who may ask."""

    def __init__(self, watch: Watch) -> None:
        """The list that ``watch`` keeps."""
        self._watch = watch

    def add_to(self, application: web.Application) -> None:
        """Answer there."""
        application.router.add_get("/watchlist", self._list)
        application.router.add_post("/watchlist", self._change)

    async def _list(self, _request: web.Request) -> web.Response:
        return answer(200, self._shown())

    async def _change(self, request: web.Request) -> web.Response:
        """200 with the new list; 400 for what is not a change, 409 for one that can't be made; both change nothing."""
        if request.content_type != "application/json":
            return answer(415, {"error": "send application/json"})
        try:
            change = msgspec.json.decode(await body(request), type=Change)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            return answer(400, {"error": f'{error}: send {{"add":["600519"],"remove":["000001"]}}'})
        try:
            self._watch.change(add=change.add, remove=change.remove, codes=change.codes)
        except UsageError as error:
            return answer(409, {"error": str(error)})
        return answer(200, self._shown())

    def _shown(self) -> dict[str, Any]:
        path = self._watch.path
        return {"codes": self._watch.codes, "file": None if path is None else str(path)}
