"""Massive (formerly Polygon): American trades in arrays, the words of the server among them; the token is a frame.

Its instruments are not A shares and travel under symbol and exchange, ``AAPL.US``; to name the feed is to let them
through. A dot within a symbol is a dash here: ``BRK.B`` is ``BRK-B.US``. Prices are dollars. A symbol in small letters
(``BACpA``) has no form here and goes to the dead letters. Trades of every condition are forwarded, odd lots included.
Chosen where the vendor's documentation is silent: 500 symbols a request; ``q`` shows copies of a trade, and a hole in
it is not a loss.
"""

from __future__ import annotations

from typing import Literal

import msgspec
import orjson

from producer.feeds.codes import chunks, symbol_of
from producer.feeds.decoded import Answer, AnswerKind, Decoded, FeedTick
from producer.feeds.frames import Element, answer, answered, message_of, one_by_one, refused, within_parts, words
from producer.feeds.json_feed import JsonFeed
from producer.feeds.provider import Capabilities, Codes, Message, Options, Provider, Units
from producer.feeds.repeats import SequenceNumbers
from schemas import UsageError

EXCHANGE = "US"

CAPABILITIES = Capabilities(
    about="America, every trade; no A shares",
    url="wss://socket.massive.com/stocks",
    abroad=True,
    home=EXCHANGE,
    login="frame",
    logged_in_by_answer=True,
    token_refused=frozenset({"answer"}),
    connections=1,
    second_login="kicks the first",
    array=False,
    string=True,
    wildcard=True,
    codes_per_message=500,
    acknowledgement="codes",
    sequence="code",
    exact=True,
    repeats_known=True,
    carries=("volume", "seq"),
    time_unit="ms",
    price_form="number",
    units=Units(turnover="none"),
    backfill="trades over HTTP, by ticker and nanosecond",
)

_STATUSES: dict[str, AnswerKind] = {
    "auth_success": "logged_in",
    "auth_failed": "unauthorised",
    "auth_timeout": "closing",
    "auth_required": "refused",
    "max_connections": "kicked",
    "not_found": "refused",
    "error": "refused",
}
_SUBSCRIBED = "subscribed to: "


class _Trade(msgspec.Struct, gc=False):
    ev: Literal["T"]
    sym: str
    p: float | str
    t: int | str
    s: float | str | None = None
    q: int | str | None = None


class MassiveFeed(JsonFeed):
    """Massive's stocks cluster, channel T."""

    capabilities = CAPABILITIES
    push = _Trade
    yuan = False

    def __init__(self, options: Options) -> None:
        """See ``Feed``."""
        super().__init__(options)
        self._numbers = SequenceNumbers()
        self._trades = msgspec.json.Decoder(list[_Trade]).decode
        self._elements = msgspec.json.Decoder(list[msgspec.Raw]).decode

    def greeting(self, token: str | None) -> list[Message]:
        """The token.

        Raises:
            UsageError: no token was given.
        """
        if not token:
            raise UsageError("massive needs a token: give --token, ASHARE_FEED_TOKEN or ASHARE_FEED_TOKEN_FILE")
        return [orjson.dumps({"action": "auth", "params": token}).decode()]

    def subscribe(self, codes: Codes) -> list[Message]:
        """``T.*``, or requests of at most 500 symbols."""
        return _requests("subscribe", codes)

    def unsubscribe(self, codes: Codes) -> list[Message]:
        """As ``subscribe``."""
        return _requests("unsubscribe", codes)

    def reset(self) -> None:
        """Forget the last connection."""
        super().reset()
        self._numbers.forget()

    def strict(self, payload: bytes, received: int) -> Decoded:
        """An array of trades."""
        return self.entered([self.tick(trade, received) for trade in self._trades(payload)], received)

    def lenient(self, payload: bytes, received: int, error: Exception) -> Decoded:
        """An array with the server's words in it, or with a bad trade."""
        try:
            elements = self._elements(within_parts(payload))
        except msgspec.ValidationError:
            message = message_of(payload)
            if isinstance(message, dict) and message.get("ev") == "status":
                return answered(_answer(message))
            return refused(payload, f"no array of events: {error}")

        def read(element: Element, decoded: Decoded) -> None:
            try:
                trade = self._lenient(element)
            except msgspec.ValidationError:
                message = message_of(bytes(element))
                if not isinstance(message, dict) or message.get("ev") == "T" or "ev" not in message:
                    raise
                if message["ev"] == "status":
                    decoded.answers.append(_answer(message))
                else:
                    what = words(message["ev"])[:20]
                    decoded.answers.append(answer("other", f"an event {what}, which was not asked for"))
                return
            self.enter(self.tick(trade, received), decoded, received)

        return one_by_one(payload, elements, read)

    def tick(self, push: _Trade, received: int) -> FeedTick | None:
        """One trade."""
        return self.read(push.sym, push.p, push.t, received, push.s, None, None, push.q)

    def repeated(self, tick: FeedTick) -> bool:
        """By the trade's number."""
        return self._numbers.repeats(tick.code, tick.seq, tick.time)


def _requests(action: str, codes: Codes) -> list[Message]:
    if codes is None:
        return [orjson.dumps({"action": action, "params": "T.*"}).decode()]
    channels = [f"T.{symbol_of(code, EXCHANGE, 'massive').replace('-', '.')}" for code in codes]
    return [
        orjson.dumps({"action": action, "params": ",".join(some)}).decode()
        for some in chunks(channels, CAPABILITIES.codes_per_message)
    ]


def _answer(message: dict[str, object]) -> Answer:
    text, said = words(message), words(message.get("message", ""))
    status = message.get("status")
    if status == "success" and said.startswith(_SUBSCRIBED):
        names = said.removeprefix(_SUBSCRIBED).split(",")
        symbols = [name.strip().removeprefix("T.") for name in names]
        codes = None if "*" in symbols else tuple(f"{symbol.replace('.', '-')}.{EXCHANGE}" for symbol in symbols)
        return answer("subscribed", text, codes=codes)
    if status == "error" and "too many" in said.lower():
        return answer("throttled", text)
    return answer(_STATUSES.get(status, "other") if isinstance(status, str) else "other", text)


MASSIVE = Provider("massive", CAPABILITIES, MassiveFeed)
