"""The post's protocol without I/O: a client's message in, the answers and its subscription out.

A client sends ``{"action":"subscribe","symbols":…}`` with an array, a comma string or ``"*"``, ``unsubscribe``
likewise, and ``{"action":"ping"}``. Each message gets an answer; what is wrong with it is said as
``{"type":"error","code":…,"message":…}``, and the connection stays open.
"""

from __future__ import annotations

import hmac
from collections.abc import Callable, Iterable
from typing import Any
from urllib.parse import parse_qs, urlsplit

import orjson

from simulator.feed import Subscription

ALL = "*"
_NAMED = 10
_SHOWN = 40
_TOKEN_HEADERS = ("x-token", "token")


class MessageError(Exception):
    """A message that can't be followed; ``code`` is for programs, the text for people."""

    def __init__(self, code: str, message: str) -> None:
        """An error of one of the codes ``malformed``, ``unknown_action``, ``invalid_symbols``, ``wildcard_refused``."""
        super().__init__(message)
        self.code = code


class Session:
    """One connection's side of the protocol. ``subscription`` is what it is to be pushed."""

    def __init__(self, knows: Callable[[str], bool], *, all_market: bool = True) -> None:
        """A connection without a subscription; ``all_market`` says whether its tier may ask for ``*``."""
        self._knows = knows
        self._all_market = all_market
        self.subscription = Subscription()

    def receive(self, message: str | bytes) -> list[bytes]:
        """Follow one message; the answers to it, in order, as JSON."""
        try:
            answers = self._follow(_parse(message))
        except MessageError as error:
            answers = [{"type": "error", "code": error.code, "message": str(error)}]
        return [orjson.dumps(answer) for answer in answers]

    def _follow(self, request: dict[str, Any]) -> list[dict[str, Any]]:
        action = request.get("action")
        if action == "ping":
            return [{"type": "pong"}]
        if action == "subscribe":
            return self._subscribe(request)
        if action == "unsubscribe":
            return self._unsubscribe(request)
        raise MessageError("unknown_action", f"action {str(action)[:_SHOWN]!r} is not subscribe, unsubscribe or ping")

    def _subscribe(self, request: dict[str, Any]) -> list[dict[str, Any]]:
        trades_only = request.get("trades_only", self.subscription.trades_only)
        if not isinstance(trades_only, bool):
            raise MessageError("malformed", f"trades_only must be true or false, not {trades_only!r}")
        symbols = _symbols(request)
        if symbols is None:
            if not self._all_market:
                raise MessageError(
                    "wildcard_refused",
                    "this token's tier does not include the whole market: subscribe codes, or use an all-market token",
                )
            self.subscription = Subscription(None, trades_only)
            return [self._subscribed(ALL)]
        known = [code for code in symbols if self._knows(code)]
        unknown = [code for code in symbols if not self._knows(code)]
        answers = []
        if known or not unknown:
            have = self.subscription.codes
            self.subscription = Subscription(None if have is None else have.union(known), trades_only)
            answers.append(self._subscribed(known))
        if unknown:
            text = f"no such code: {', '.join(unknown[:_NAMED])}{', …' if len(unknown) > _NAMED else ''}"
            answers.append({"type": "error", "code": "unknown_symbol", "message": text, "symbols": unknown})
        return answers

    def _subscribed(self, symbols: list[str] | str) -> dict[str, Any]:
        return {"type": "subscribed", "symbols": symbols, "trades_only": self.subscription.trades_only}

    def _unsubscribe(self, request: dict[str, Any]) -> list[dict[str, Any]]:
        symbols = _symbols(request)
        have = self.subscription.codes
        if symbols is None:
            self.subscription = Subscription(frozenset(), self.subscription.trades_only)
            return [{"type": "unsubscribed", "symbols": ALL}]
        if have is None:
            raise MessageError(
                "invalid_symbols", "no single code can be taken out of the whole market: unsubscribe * first"
            )
        self.subscription = Subscription(have.difference(symbols), self.subscription.trades_only)
        return [{"type": "unsubscribed", "symbols": symbols}]


def authorised(token: str | None, path: str, headers: Iterable[tuple[str, str]]) -> bool:
    """Whether a handshake has the token: ``?token=``, ``Authorization: Bearer``, ``X-Token`` or ``token`` header."""
    if token is None:
        return True
    offered = parse_qs(urlsplit(path).query).get("token", [])
    for name, value in headers:
        if name.lower() in _TOKEN_HEADERS:
            offered.append(value)
        elif name.lower() == "authorization" and value[:7].lower() == "bearer ":
            offered.append(value[7:].strip())
    return any(hmac.compare_digest(one.encode("utf-8", "surrogateescape"), token.encode()) for one in offered)


UNAUTHORISED = orjson.dumps(
    {
        "type": "error",
        "code": "unauthorized",
        "message": "wrong or missing token: give it as ?token=, Authorization: Bearer, X-Token or token header",
    }
)
"""The body of the 401 that refuses a handshake."""


def _parse(message: str | bytes) -> dict[str, Any]:
    try:
        request = orjson.loads(message)
    except orjson.JSONDecodeError as error:
        raise MessageError("malformed", f"not JSON: {error}") from error
    if not isinstance(request, dict):
        raise MessageError("malformed", 'a message is an object like {"action":"subscribe","symbols":["600519"]}')
    return request


def _symbols(request: dict[str, Any]) -> list[str] | None:
    """The codes of a message, each once, in order; ``None`` for the wildcard."""
    given = request.get("symbols")
    if isinstance(given, str):
        given = [part.strip() for part in given.split(",")]
    if not isinstance(given, list) or not given or not all(isinstance(code, str) and code for code in given):
        raise MessageError("invalid_symbols", 'symbols must be an array of codes, a string "600519,000001" or "*"')
    return None if ALL in given else list(dict.fromkeys(given))
