#!/usr/bin/env python3
"""QMT's pushes as a WebSocket that speaks the post's protocol: qmt_bridge.py [--host HOST] [--port PORT] [--token T].

Runs beside the terminal (miniQMT), in the Python that has ``xtquant``, 3.8 or newer; besides that it needs
``websockets``, 13 or newer. A producer elsewhere takes it like any feed: ``ashare produce --url ws://HOST:8765``.

A client sends ``{"action":"subscribe","symbols":["600519"]}``, or ``"600519,000001"``, or ``"*"``; ``unsubscribe``
likewise, and ``{"action":"ping"}``. It is pushed ``{"ticks":[…]}`` with ``code``, ``price``, ``time`` and, where known,
``volume``, ``turnover`` and ``previous_close``.
"""

from __future__ import annotations

import argparse
import asyncio
import hmac
import http
import json
import re
import sys
import threading
from datetime import datetime, timedelta, timezone
from typing import Any, Dict  # noqa: UP035 - the terminal's Python may be 3.8
from urllib.parse import parse_qs, urlsplit

from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response

Tick = Dict[str, Any]  # noqa: UP006 - as above
"""One of QMT's, or one of the post's."""

A_SHARES = {
    "SH": ("600", "601", "603", "605", "688", "689"),
    "SZ": ("000", "001", "002", "003", "300", "301", "302"),
    "BJ": ("920",),
}
EXCHANGES = {"SH": "SSE", "SZ": "SZSE", "BJ": "BSE"}
LOT = 100
DECIMALS = 3
"""Of a yuan: the tick size of funds. What is beyond is the noise of a float."""
SHANGHAI = timezone(timedelta(hours=8))
TICKS_A_FRAME = 500
FRAMES_HELD = 256
"""A client that is so far behind is closed: it comes back and announces the gap. Nothing is dropped silently."""
PUSHES_HELD = 1_000
"""Callbacks that wait for the event loop. Beyond them all clients are closed, for the same reason."""
TOO_SLOW = 1013

_TEXT_TIME = re.compile(r"(\d{8}) ?(\d{2}):?(\d{2}):?(\d{2})(?:\.(\d{1,3}))?", re.ASCII)


def code_of(written: str, *, everything: bool = False) -> str | None:
    """``600519`` for ``600519.SH``, ``000001.SSE`` for the index, ``None`` for what is not an A share or no name."""
    digits, _, market = str(written).partition(".")
    if market not in EXCHANGES or not (len(digits) == 6 and digits.isascii() and digits.isdigit()):
        return None
    if digits.startswith(A_SHARES[market]):
        return digits
    return f"{digits}.{EXCHANGES[market]}" if everything else None


def moment(tick: Tick) -> int | None:
    """Ms since the epoch, of ``time`` or, in builds that have only those, ``stime`` or ``timetag``; else ``None``."""
    time = _number(tick.get("time"))
    if time is not None and time > 0:
        return int(time)
    for name in ("stime", "timetag"):
        match = _TEXT_TIME.fullmatch(str(tick.get(name, "")).strip())
        if match is not None:
            day, hour, minute, second, fraction = match.groups()
            try:
                when = datetime.strptime(f"{day}{hour}{minute}{second}", "%Y%m%d%H%M%S").replace(tzinfo=SHANGHAI)
            except ValueError:
                return None
            return int(when.timestamp()) * 1000 + int((fraction or "0").ljust(3, "0"))
    return None


def _number(value: Any) -> float | None:
    """A number that JSON can hold, else ``None``."""
    if isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) < 2**53:
        return value
    return None


class Converter:
    """Callbacks of ``subscribe_whole_quote`` and ``subscribe_quote`` to ticks of the post's protocol.

    ``volume`` of a callback is the day's, in lots (``pvolume`` is 1 or 100 times that, by build, and not used), and
    ``amount`` the day's yuan. A tick has what was traded since the push before, in shares; of a code's first push, the
    first of a day and one after the sums began anew, nothing is known and nothing said. A push with the time and
    volume of the one before says nothing new. A price of 0 is that of a suspended stock, and no tick.
    """

    def __init__(self, *, everything: bool = False) -> None:
        """With ``everything``, indices, funds and the like pass too, as ``000001.SSE``."""
        self._everything = everything
        self._seen: dict[str, tuple[int, float, float | None]] = {}
        self.unread = 0
        """Pushes without a code, time or price that could be read, since the start."""

    def ticks(self, callback: dict[str, Any]) -> list[Tick]:
        """The ticks of a callback, in order: ``{code: tick}``, or ``{code: [ticks]}``."""
        found: list[Tick] = []
        for written, pushed in callback.items():
            code = code_of(written, everything=self._everything)
            if code is None:
                continue
            for tick in pushed if isinstance(pushed, (list, tuple)) else [pushed]:
                made = self._tick(code, tick)
                if made is not None:
                    found.append(made)
        return found

    def _tick(self, code: str, tick: Any) -> Tick | None:
        price, time = (_number(tick.get("lastPrice")), moment(tick)) if isinstance(tick, dict) else (None, None)
        if price is None or time is None or price < 0:
            self.unread += 1
            return None
        lots, amount, close = (_number(tick.get(name)) for name in ("volume", "amount", "lastClose"))
        traded = self._traded(code, time, lots, amount) if price and lots is not None and lots >= 0 else {}
        if not price or traded is None:
            return None
        made = {"code": code, "price": round(price, DECIMALS), "time": time, **traded}
        return {**made, "previous_close": round(close, DECIMALS)} if close is not None and close > 0 else made

    def _traded(self, code: str, time: int, lots: float, amount: float | None) -> Tick | None:
        """Volume and turnover since the push before, as far as they are known; ``None`` for a push that repeats it."""
        last, before, yuan = self._seen.get(code, (0, 0, None))
        if (time, lots) == (last, before):
            return None
        if time < last and lots <= before:
            return {}  # late: nothing is counted from it
        self._seen[code] = (time, lots, amount)
        if not last or lots < before or _day(time) != _day(last):
            return {}
        traded: Tick = {"volume": round((lots - before) * LOT)}
        if amount is not None and yuan is not None and amount >= yuan:
            traded["turnover"] = round(amount - yuan, DECIMALS)
        return traded


def _day(time: int) -> int:
    return (time + 8 * 3_600_000) // 86_400_000


class _Client:
    """One connection: what it subscribed, and the frames that it has not taken yet."""

    def __init__(self) -> None:
        self.codes: set[str] = set()
        self.everything = False
        self.frames: asyncio.Queue[str] = asyncio.Queue(FRAMES_HELD)
        self.behind = False
        self.closing: asyncio.Task[None] | None = None

    def follow(self, message: str | bytes) -> str:
        """The answer to a message, as JSON."""
        try:
            request = json.loads(message)
            action = request["action"]
        except (ValueError, KeyError, TypeError):
            return _error("malformed", 'a message is an object like {"action":"subscribe","symbols":["600519"]}')
        if action == "ping":
            return json.dumps({"type": "pong"})
        if action not in ("subscribe", "unsubscribe"):
            return _error("unknown_action", "action is not subscribe, unsubscribe or ping")
        symbols = request.get("symbols")
        if isinstance(symbols, str):
            symbols = [part.strip() for part in symbols.split(",")]
        if not isinstance(symbols, list) or not symbols or not all(isinstance(s, str) and s for s in symbols):
            return _error("invalid_symbols", 'symbols must be an array of codes, a string "600519,000001" or "*"')
        on = action == "subscribe"
        if "*" in symbols:
            self.everything = on
            self.codes.clear()
        elif on:
            self.codes.update(symbols)
        else:
            self.codes.difference_update(symbols)
        return json.dumps({"type": f"{action}d", "symbols": "*" if "*" in symbols else symbols})

    def push(self, ticks: list[Tick]) -> None:
        """Queue the ticks that it wants; say so where there is no more room."""
        wanted = ticks if self.everything else [tick for tick in ticks if tick["code"] in self.codes]
        for start in range(0, len(wanted), TICKS_A_FRAME):
            try:
                self.frames.put_nowait(json.dumps({"ticks": wanted[start : start + TICKS_A_FRAME]}))
            except asyncio.QueueFull:
                self.behind = True
                return


def _error(code: str, message: str) -> str:
    return json.dumps({"type": "error", "code": code, "message": message})


class Relay:
    """Takes callbacks from the terminal's threads, and serves them to clients."""

    def __init__(self, converter: Converter, loop: asyncio.AbstractEventLoop, token: str | None = None) -> None:
        """``loop`` is the one that serves."""
        self._converter = converter
        self._loop = loop
        self._token = token
        self._clients: dict[_Client, ServerConnection] = {}
        self._lock = threading.Lock()
        self._pending = 0

    def take(self, callback: dict[str, Any]) -> None:
        """A callback of xtquant's, in whatever thread it comes; order is kept."""
        with self._lock:
            ticks = self._converter.ticks(callback)
            if ticks and self._pending <= PUSHES_HELD:
                self._pending += 1
                self._loop.call_soon_threadsafe(self._push, ticks if self._pending <= PUSHES_HELD else None)

    def _push(self, ticks: list[Tick] | None) -> None:
        with self._lock:
            self._pending -= 1
        for client, connection in list(self._clients.items()):
            if ticks is not None:
                client.push(ticks)
            if ticks is None or client.behind:
                self._end(client, connection)

    def _end(self, client: _Client, connection: ServerConnection) -> None:
        self._clients.pop(client, None)
        print(f"closing a client that is behind: {connection.remote_address}", file=sys.stderr)
        client.closing = self._loop.create_task(connection.close(TOO_SLOW, "too slow"))

    def admit(self, connection: ServerConnection, request: Request) -> Response | None:
        """Refuse a handshake without the token (for websockets)."""
        given = next(iter(parse_qs(urlsplit(request.path).query).get("token", [])), "")
        if self._token is not None and not hmac.compare_digest(given.encode(), self._token.encode()):
            return connection.respond(http.HTTPStatus.UNAUTHORIZED, "wrong or missing token: give it as ?token=\n")
        return None

    async def serve(self, connection: ServerConnection) -> None:
        """One client until it leaves (for websockets)."""
        client = _Client()
        self._clients[client] = connection
        sending = asyncio.create_task(self._send(client, connection))
        try:
            async for message in connection:
                await client.frames.put(client.follow(message))
        except ConnectionClosed:
            pass
        finally:
            self._clients.pop(client, None)
            sending.cancel()
            await asyncio.gather(sending, return_exceptions=True)

    @staticmethod
    async def _send(client: _Client, connection: ServerConnection) -> None:
        while True:
            await connection.send(await client.frames.get())


async def main() -> None:
    """Serve until Ctrl-C, or until the terminal's connection is lost."""
    parser = argparse.ArgumentParser(description="QMT's pushes as a WebSocket that speaks the post's protocol")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on; 0.0.0.0 for other machines too")
    parser.add_argument("--port", type=int, default=8765)
    parser.add_argument("--token", help="clients must give it as ?token=")
    parser.add_argument("--everything", action="store_true", help="indices, funds and the like too, as 000001.SSE")
    options = parser.parse_args()
    if options.host not in ("127.0.0.1", "localhost") and not options.token:
        parser.error(f"--host {options.host} lets other machines in: give --token")
    try:
        from xtquant import xtdata  # noqa: PLC0415 - what can be said without it has been said
    except ImportError:
        parser.error("no xtquant here: run this in the Python of the QMT terminal (bin.x64 of miniQMT)")
    relay = Relay(Converter(everything=options.everything), asyncio.get_running_loop(), options.token)
    async with serve(relay.serve, options.host, options.port, process_request=relay.admit):
        handle = xtdata.subscribe_whole_quote(["SH", "SZ", "BJ"], callback=relay.take)
        if handle <= 0:
            sys.exit("the terminal did not take the subscription: is miniQMT running and logged in?")
        print(f"serving ws://{options.host}:{options.port}", flush=True)
        # Ends with an error when the terminal's connection is lost, so that whoever started this starts it again.
        await asyncio.to_thread(xtdata.run)
    sys.exit("the terminal's connection is lost")


if __name__ == "__main__":
    try:
        asyncio.run(main())
    except KeyboardInterrupt:
        sys.exit(130)
