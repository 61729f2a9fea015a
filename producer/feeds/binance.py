"""Binance: mini tickers of crypto currencies, open to anyone: an object, an array, or either in ``{"stream","data"}``.

Its instruments are not A shares and travel under symbol and exchange, ``BTCUSDT.BINANCE``; to name the feed is to let
them through. ``v`` and ``q`` are sums over a rolling 24 hours: the difference of two of them is what was traded less
what fell out of the window, and so no traded volume. A tick carries neither volume nor turnover; the sum serves only to
tell a copy of a push. Prices are in the quote currency; below 0.0001 they are too small for this pipeline and go to the
dead letters. The whole market is asked for in the address, single symbols by requests.
"""

from __future__ import annotations

from urllib.parse import urlsplit, urlunsplit

import msgspec
import orjson

from producer.feeds.codes import chunks, symbol_of
from producer.feeds.decoded import Answer, Decoded, FeedTick
from producer.feeds.frames import Element, answer, answered, message_of, refused, within_parts, words
from producer.feeds.json_feed import JsonFeed
from producer.feeds.limits import CODES
from producer.feeds.provider import Capabilities, Codes, Message, Options, Provider, Units, with_query
from producer.feeds.values import small

EXCHANGE = "BINANCE"
WHOLE_MARKET = "!miniTicker@arr"

CAPABILITIES = Capabilities(
    about="crypto currencies, without a token; changed symbols once a second; no A shares",
    url="wss://stream.binance.com:9443/ws",
    abroad=True,
    home=EXCHANGE,
    login="none",
    token_refused=frozenset(),
    second_login="allowed",
    array=True,
    wildcard=True,
    codes_per_connection=1_024,
    codes_per_message=200,
    acknowledgement="bare",
    messages=4,
    messages_seconds=1.0,
    repeats_known=True,
    time_unit="ms, or µs if the address says so",
    price_form="text",
    units=Units(turnover="none"),
    backfill="trades over HTTP",
)


class _Ticker(msgspec.Struct, gc=False):
    s: str
    c: str | float
    E: int | str
    v: str | float | None = None


class _Wrapped(msgspec.Struct, gc=False):
    stream: str
    data: msgspec.Raw


class BinanceFeed(JsonFeed):
    """Binance's market streams, mini tickers."""

    capabilities = CAPABILITIES
    push = _Ticker
    yuan = False

    def __init__(self, options: Options) -> None:
        """See ``Feed``."""
        super().__init__(options)
        self._seen: dict[str, tuple[int, float]] = {}
        self._subscriptions = self._ends = 0
        self._ticker = msgspec.json.Decoder(_Ticker).decode
        self._tickers = msgspec.json.Decoder(list[_Ticker]).decode
        self._elements = msgspec.json.Decoder(list[msgspec.Raw]).decode
        self._wrapped = msgspec.json.Decoder(_Wrapped).decode

    def address(self, url: str, token: str | None, codes: Codes) -> str:  # noqa: ARG002 - anyone may listen
        """The stream of the whole market is part of the address; single symbols are asked for on the socket."""
        parts = urlsplit(url)
        path = parts.path.rstrip("/")
        if not path.endswith(("/ws", "/stream")):
            path += "/ws"
        if codes is not None:
            return urlunsplit(parts._replace(path=path))
        if path.endswith("/stream"):
            return with_query(urlunsplit(parts._replace(path=path)), "streams", WHOLE_MARKET)
        return urlunsplit(parts._replace(path=f"{path}/{WHOLE_MARKET}"))

    def subscribe(self, codes: Codes) -> list[Message]:
        """None for the whole market, which is in the address; else requests of at most 200 symbols."""
        return self._requests("SUBSCRIBE", codes)

    def unsubscribe(self, codes: Codes) -> list[Message]:
        """As ``subscribe``."""
        return self._requests("UNSUBSCRIBE", codes)

    def reset(self) -> None:
        """Forget the last connection."""
        super().reset()
        self._seen.clear()

    def strict(self, payload: bytes, received: int) -> Decoded:
        """One ticker, or an array, bare or wrapped."""
        data: Element = payload
        if payload.startswith(b'{"stream"'):
            data = self._wrapped(payload).data
        tickers = self._tickers(data) if bytes(data).startswith(b"[") else [self._ticker(data)]
        return self.entered([self.tick(ticker, received) for ticker in tickers], received)

    def lenient(self, payload: bytes, received: int, error: Exception) -> Decoded:
        """An answer, or an array with a bad ticker."""
        data = payload
        try:
            data = bytes(self._wrapped(payload).data)
        except msgspec.ValidationError:
            message = message_of(payload)
            if isinstance(message, dict):
                found = _answer(message)
                return answered(found) if found else refused(payload, str(error))
        try:
            elements = self._elements(within_parts(data))
        except msgspec.ValidationError:
            elements = [msgspec.Raw(data)]
        return self.each(payload, elements, received)

    def tick(self, push: _Ticker, received: int) -> FeedTick | None:
        """One ticker, with the 24 hours' sum as its volume until it is entered."""
        return self.read(push.s, push.c, push.E, received, push.v)

    def enter(self, tick: FeedTick | None, decoded: Decoded, received: int) -> None:  # noqa: ARG002 - see the base
        """A tick carries no volume: the sum only tells repeats, and may be unreadable."""
        if tick is None:
            decoded.unpriced += 1
        elif self.repeated(tick):
            decoded.repeats += 1
        else:
            decoded.ticks.append(FeedTick(tick.code, tick.exchange, tick.price, tick.time))

    def repeated(self, tick: FeedTick) -> bool:
        """By the time and the 24 hours' sum."""
        if tick.volume is None:
            return False
        state = (tick.time, tick.volume)
        if self._seen.get(tick.code) == state:
            return True
        if len(self._seen) >= CODES:
            self._seen.clear()
        self._seen[tick.code] = state
        return False

    def _requests(self, method: str, codes: Codes) -> list[Message]:
        """Odd numbers subscribe and even ones end it: an answer names its number alone."""
        if codes is None:
            return []
        streams = [f"{symbol_of(code, EXCHANGE, 'binance').lower()}@miniTicker" for code in codes]
        messages: list[Message] = []
        for some in chunks(streams, CAPABILITIES.codes_per_message):
            if method == "SUBSCRIBE":
                number = 2 * self._subscriptions + 1
                self._subscriptions += 1
            else:
                self._ends += 1
                number = 2 * self._ends
            messages.append(orjson.dumps({"method": method, "params": list(some), "id": number}).decode())
        return messages


def _answer(message: dict[str, object]) -> Answer | None:
    text = words(message)
    if message.get("e") == "serverShutdown":
        return answer("closing", text)
    error = message.get("error", message if "msg" in message else None)
    if error is not None:
        if "too many requests" in text.lower():
            return answer("throttled", text)
        return answer("refused", text)
    if "result" not in message:
        return None
    number = small(message.get("id"))
    return answer("subscribed" if number is not None and number % 2 else "other", text)


BINANCE = Provider("binance", CAPABILITIES, BinanceFeed)
