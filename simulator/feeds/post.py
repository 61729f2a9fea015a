"""The post's protocol without I/O: a client's message in, the answers and its subscription out.

A client sends ``{"action":"subscribe","symbols":…}`` with an array, a comma string or ``"*"``, ``unsubscribe``
likewise, and ``{"action":"ping"}``. Each message gets an answer; what is wrong with it is said as
``{"type":"error","code":…,"message":…}``, and the connection stays open.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import orjson

from market.kinds import resolved
from simulator import framing
from simulator.feed import Subscription
from simulator.feeds.prints import Print
from simulator.feeds.provider import (
    POLICY_VIOLATION,
    Handshake,
    Provider,
    Refusal,
    Reply,
    Sent,
    Session,
    Terms,
    Trouble,
    chunks,
)

ALL = "*"
_NAMED = 10
_SHOWN = 40
_TOKEN_HEADERS = ("x-token", "token")
_PONG = {"type": "pong"}
_NUMBERS = (
    "price", "time", "volume", "turnover", "previous_close", "seq", "open", "high", "low", "day_volume", "day_turnover",
    "average",
)  # fmt: skip


class MessageError(Exception):
    """A message that can't be followed; ``code`` is for programs, the text for people."""

    def __init__(self, code: str, message: str) -> None:
        """An error of one of the codes ``malformed``, ``unknown_action``, ``invalid_symbols``, ``wildcard_refused``."""
        super().__init__(message)
        self.code = code


class PostSession(Session):
    """One connection. The terms' ``all_market`` says whether its tier may ask for ``*``."""

    def __init__(self, terms: Terms, handshake: Handshake, now: float) -> None:
        """See ``Session``."""
        super().__init__(terms, handshake, now)
        self.account = next(iter(_offered(handshake)), "")

    def receive(self, message: str | bytes, now: float) -> Reply:
        """Follow one message; the answers to it, in order, as JSON."""
        self.heard = now
        try:
            answers = self._follow(_parse(message))
        except MessageError as error:
            answers = [_error(error.code, str(error))]
        return Reply([orjson.dumps(answer).decode() for answer in answers], beat=answers == [_PONG])

    def encode(self, prints: Sequence[Print]) -> list[Sent]:
        """``{"ticks":[…]}``, the ticks as the market wrote them; the bytes are those of the server's quick way."""
        return [self._frame(part) for part in chunks(prints, self.terms.ticks_per_frame)]

    def says(self, trouble: Trouble) -> Reply:
        """Errors like those that messages get."""
        match trouble:
            case "unauthorised":
                return Reply([UNAUTHORISED.decode()], (POLICY_VIOLATION, "unauthorized"))
            case "throttled":
                return _ending("throttled", "too many requests: come back later")
            case "kicked":
                return _ending("kicked", "another connection has logged in with this token")
            case "too_many_codes":
                return Reply([orjson.dumps(_error("too_many_codes", "too many codes for one connection")).decode()])
            case "error":
                return Reply([orjson.dumps(_error("internal", "internal error")).decode()])

    def _frame(self, prints: Sequence[Print]) -> Sent:
        (payload,) = framing.payloads([self._text(one) for one in prints], len(prints))
        ticks = [orjson.loads(one.text) for one in prints if one.genuine]
        return Sent(payload, binary=False, ticks=ticks)

    def _text(self, one: Print) -> str:
        if one.genuine and not self.form.swapped:
            return one.text
        tick = orjson.loads(one.text)
        if not one.genuine:
            tick["price"] = 0
        if self.form.swapped:
            tick |= {name: str(tick[name]) for name in _NUMBERS if tick.get(name) is not None}
            tick |= {side: [_named(*level) for level in tick[side]] for side in ("bids", "asks") if tick.get(side)}
        return orjson.dumps(tick).decode()

    def _follow(self, request: dict[str, Any]) -> list[dict[str, Any]]:
        action = request.get("action")
        if action == "ping":
            return [_PONG]
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
            if not self.terms.all_market:
                raise MessageError(
                    "wildcard_refused",
                    "this token's tier does not include the whole market: subscribe codes, or use an all-market token",
                )
            self.subscription, self.fresh = Subscription(None, trades_only), None
            return [self._subscribed(ALL)]
        symbols = [self._listed(code) for code in symbols]
        known = [code for code in symbols if self.terms.knows(code)]
        unknown = [code for code in symbols if not self.terms.knows(code)]
        answers = []
        if known or not unknown:
            have = self.subscription.codes
            if len(frozenset(known).union(have or ())) > (self.terms.codes_per_connection or math.inf):
                raise MessageError("too_many_codes", "too many codes for one connection")
            self.subscription = Subscription(None if have is None else have.union(known), trades_only)
            self.fresh = frozenset(known)
            answers.append(self._subscribed(known))
        if unknown:
            text = f"no such code: {', '.join(unknown[:_NAMED])}{', …' if len(unknown) > _NAMED else ''}"
            answers.append({"type": "error", "code": "unknown_symbol", "message": text, "symbols": unknown})
        return answers

    def _listed(self, code: str) -> str:
        """What is not an A share as the market has it, from any form; an A share is known by its digits alone."""
        return found if "." in (found := resolved(code)) and self.terms.knows(found) else code

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
        self.subscription = Subscription(have.difference(map(self._listed, symbols)), self.subscription.trades_only)
        return [{"type": "unsubscribed", "symbols": symbols}]


def _named(price: float, volume: float) -> dict[str, str]:
    """A level in the other form: an object, of texts."""
    return {"price": str(price), "volume": str(volume)}


def authorised(terms: Terms, handshake: Handshake) -> bool:
    """Whether a handshake has the token: ``?token=``, ``Authorization: Bearer``, ``X-Token`` or ``token`` header."""
    return terms.token is None or any(map(terms.takes, _offered(handshake)))


def _offered(handshake: Handshake) -> list[str]:
    offered = [token] if (token := handshake.query("token")) is not None else []
    for name, value in handshake.headers:
        if name.lower() in _TOKEN_HEADERS:
            offered.append(value)
        elif name.lower() == "authorization" and value[:7].lower() == "bearer ":
            offered.append(value[7:].strip())
    return offered


def _admit(terms: Terms, handshake: Handshake) -> Refusal | None:
    return None if authorised(terms, handshake) else Refusal(401, UNAUTHORISED)


UNAUTHORISED = orjson.dumps(
    {
        "type": "error",
        "code": "unauthorized",
        "message": "wrong or missing token: give it as ?token=, Authorization: Bearer, X-Token or token header",
    }
)
"""The body of the 401 that refuses a handshake."""


def _error(code: str, message: str) -> dict[str, Any]:
    return {"type": "error", "code": code, "message": message}


def _ending(code: str, message: str) -> Reply:
    return Reply([orjson.dumps(_error(code, message)).decode()], (POLICY_VIOLATION, message))


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


POST = Provider("post", PostSession, _admit, answers_beats=True)
