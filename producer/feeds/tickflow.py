"""TickFlow: snapshots in arrays, the day's volume in lots, the whole set in each answer.

A tick's volume is what was traded since the push before. A subscription is followed by the last snapshot known of its
codes: where the connection has had it, it is recognised by time and volume. A handshake that is refused with 401 or 403
is not tried again: the vendor asks for that. Chosen where the vendor's documentation is silent: 100 codes a request,
which is what public clients use; no more than 5,000 a connection; a snapshot may stand alone instead of in an array.
"""

from __future__ import annotations

from typing import Literal

import msgspec
import orjson

from producer.feeds.codes import chunks, listed, read_codes, suffixed
from producer.feeds.decoded import Answer, AnswerKind, Decoded, FeedTick
from producer.feeds.json_feed import LATER_SECONDS
from producer.feeds.optional import Fields, Loose
from producer.feeds.provider import Capabilities, Codes, Message, Options, Provider, Units, with_query
from producer.feeds.snapshot_feed import SnapshotFeed
from producer.feeds.values import (
    RefusedError,
    amount,
    message_of,
    one_by_one,
    price,
    refused,
    shares,
    within_parts,
    words,
)

CAPABILITIES = Capabilities(
    about="Shanghai, Shenzhen, Beijing; snapshots",
    url="wss://api.tickflow.org/v1/ws/stream",
    login="query",
    token_refused=frozenset({"handshake", "answer"}),
    second_login="not documented",
    array=True,
    codes_per_connection=5_000,
    codes_per_message=100,
    acknowledgement="whole",
    messages_apart=0.1,
    volume_is="cumulative",
    repeats_known=True,
    carries=("volume", "turnover"),
    time_unit="ms",
    price_form="number",
    units=Units(volume="lots"),
    backfill="the last snapshot of each code, after a subscription",
)

# What is in an error decides what it is about; the vendor documents a text alone.
_ERRORS: tuple[tuple[str, AnswerKind], ...] = (
    ("api key", "unauthorised"),
    ("unauthorized", "unauthorised"),
    ("rate limit", "throttled"),
    ("too many requests", "throttled"),
    ("replaced", "kicked"),
)


class _Snapshot(msgspec.Struct, gc=False):
    symbol: str
    last_price: float | str
    timestamp: int | str
    volume: float | str | None = None
    amount: float | str | None = None


class _Quotes(msgspec.Struct, gc=False):
    op: Literal["quotes"]
    data: list[_Snapshot]


class _RawQuotes(msgspec.Struct, gc=False):
    op: Literal["quotes"]
    data: msgspec.Raw


class TickFlowFeed(SnapshotFeed):
    """TickFlow's stream, channel ``quotes``."""

    capabilities = CAPABILITIES

    def __init__(self, options: Options) -> None:
        """See ``Feed``."""
        super().__init__(options)
        self._quotes = msgspec.json.Decoder(_Quotes).decode
        self._raw_quotes = msgspec.json.Decoder(_RawQuotes).decode
        self._raw_list = msgspec.json.Decoder(list[msgspec.Raw]).decode
        self._loose_snapshot = Loose(_Snapshot)

    def address(self, url: str, token: str | None, codes: Codes) -> str:  # noqa: ARG002 - they go into a request
        """The token goes into the query as ``api_key``."""
        return with_query(url, "api_key", token) if token else url

    def subscribe(self, codes: Codes) -> list[Message]:
        """Requests of at most 100 codes."""
        return self._requests("subscribe", codes)

    def unsubscribe(self, codes: Codes) -> list[Message]:
        """Requests of at most 100 codes."""
        return self._requests("unsubscribe", codes)

    def at_once(self, payload: bytes, received: int) -> Decoded:
        """An array of snapshots."""
        # What is bad is found before anything is entered: the frame may be read again, piece by piece.
        read = [self._admit(snapshot, received) for snapshot in self._quotes(payload).data]
        decoded = Decoded([], [], [])
        for tick in read:
            self.enter(tick, decoded, received)
        return decoded

    def piece_by_piece(self, payload: bytes, received: int, error: Exception) -> Decoded:
        """An answer, a snapshot without an array, or an array with a bad one."""
        try:
            data = self._raw_quotes(payload).data
        except msgspec.ValidationError:
            return self._answered(payload, message_of(payload))
        shape = bytes(data).lstrip()[:1]
        if shape not in {b"[", b"{"}:
            return refused(payload, str(error))
        elements = self._raw_list(within_parts(bytes(data))) if shape == b"[" else [data]

        def read(element: bytes | msgspec.Raw, decoded: Decoded) -> None:
            self.enter(self._admit(self._loose_snapshot(element), received), decoded, received)

        return one_by_one(payload, elements, read)

    def _admit(self, snapshot: _Snapshot, received: int) -> FeedTick | None:
        """The snapshot in shares and yuan of the day so far, ``None`` without a price."""
        place = self._places.get(snapshot.symbol) or self._places.find(snapshot.symbol)
        value = price(snapshot.last_price)
        time = snapshot.timestamp
        if not (isinstance(time, int) and self._earliest <= time < self._latest):
            time = self._moment(time, received)
        if not value:
            return None
        unread = None
        try:
            volume = shares(snapshot.volume, place.shares)
            turnover = None if snapshot.amount is None else amount(snapshot.amount)
        except RefusedError:
            self.attend, read = True, Fields()
            volume = read("volume", shares, snapshot.volume, place.shares)
            turnover = None if snapshot.amount is None else read("turnover", amount, snapshot.amount)
            unread = read.unread
        return FeedTick(place.code, place.exchange, value, time, None, turnover, None, None, None, volume, unread)

    def _requests(self, operation: str, codes: Codes) -> list[Message]:
        written = [suffixed(code) for code in listed("tickflow", codes)]
        return [
            orjson.dumps({"op": operation, "channel": "quotes", "symbols": list(some)}).decode()
            for some in chunks(written, CAPABILITIES.codes_per_message)
        ]

    @staticmethod
    def _answered(payload: bytes, message: object) -> Decoded:
        operation = message.get("op") if isinstance(message, dict) else None
        if not isinstance(message, dict) or not isinstance(operation, str):
            return refused(payload, "no message of TickFlow's: an object with op")
        text, symbols = words(message), message.get("symbols")
        if operation == "quotes":
            return refused(payload, "quotes without data")
        if operation == "error":
            said = words(message.get("message", "")).lower()
            kind: AnswerKind = next((kind for part, kind in _ERRORS if part in said), "refused")
            return Decoded([], [], [Answer(kind, text, wait=LATER_SECONDS if kind == "throttled" else None)])
        codes = read_codes(symbols) if isinstance(symbols, list) else None
        known: dict[str, AnswerKind] = {"subscribed": "subscribed", "pong": "pong"}
        return Decoded([], [], [Answer(known.get(operation, "other"), text, codes=codes, whole=codes is not None)])


TICKFLOW = Provider("tickflow", CAPABILITIES, TickFlowFeed)
