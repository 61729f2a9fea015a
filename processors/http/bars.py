"""``/bars/{code}`` of the worker: bars of one code and session out of the store, as wide as asked for."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from datetime import date

from aiohttp import web

from broker.http_guard import answer, refusal
from jobs.folding import AUCTIONS, WIDTHS, fold
from market.codes import UnknownCode, instrument
from schemas import UsageError
from stores import BarStore

MOST_AT_ONCE = 4
"""Questions to the store at the same time; others wait their turn."""
_SECONDS = 20.0


class BarRoutes:
    """Answers from the store: whichever worker of the group is asked, and whether it makes bars or not."""

    def __init__(self, store: BarStore) -> None:
        """Nothing is asked yet."""
        self._store = store
        self._turn = asyncio.Semaphore(MOST_AT_ONCE)

    def install(self, application: web.Application) -> None:
        """Add the route to the worker's web server."""
        application.router.add_get("/bars/{code}", self.get)

    async def get(self, request: web.Request) -> web.StreamResponse:
        """400 for what can't be meant, 404 where there are none, 503 while the store does not answer."""
        code, asked = request.match_info["code"], request.query
        width, auction, day = asked.get("minutes", "1"), asked.get("auction", "first"), asked.get("day")
        try:
            instrument(code)
        except UnknownCode as error:
            return answer(400, {"error": "malformed_code", "message": str(error), "code": code[:64]})
        wrong = _wrong(asked)
        if wrong is not None:
            return refusal(400, "bad_request", wrong)
        try:
            async with asyncio.timeout(_SECONDS), self._turn:
                found = await asyncio.to_thread(self._read, code, day, width, auction)
        except (TimeoutError, UsageError) as error:
            why = str(error) or f"the store did not answer within {_SECONDS:g} s"
            return refusal(503, "unavailable", why, **{"Retry-After": "1"})
        if found is None:
            what = "the store holds no bars" if day is None else f"the store holds no bars of {code} on {day}"
            return answer(404, {"error": "no_bars", "message": f"{what} (agents bars and bar-store)", "code": code})
        return answer(200, found)

    def _read(self, code: str, day: str | None, width: str, auction: str) -> dict[str, object] | None:
        """In a thread: the store's readers block."""
        if day is None:
            days = self._store.days()
            if not days:
                return None
            day = days[-1]
            bars = self._store.bars(code, day)
        else:
            bars = self._store.bars(code, day)
            if not bars:
                return None
        minutes = width if width == "day" else int(width)
        return {"code": code, "session": day, "minutes": minutes, "bars": fold(bars, width, auction)}


def _wrong(asked: Mapping[str, str]) -> str | None:
    """What of a question can't be meant."""
    for name, given in asked.items():
        match name:
            case "minutes" if given not in WIDTHS:
                return f"minutes: one of {', '.join(WIDTHS)}"
            case "auction" if given not in AUCTIONS:
                return f"auction: one of {', '.join(AUCTIONS)}"
            case "day" if not _is_day(given):
                return "day: a Shanghai date, YYYY-MM-DD"
            case "minutes" | "auction" | "day":
                pass
            case _:
                return f"{name[:64]!r} is not known: give minutes, auction or day"
    return None


def _is_day(text: str) -> bool:
    try:
        return date.fromisoformat(text).isoformat() == text
    except ValueError:
        return False
