"""TickFlow: snapshots in arrays, the day's volume in lots, the whole set in each answer.

A tick's volume is what was traded since the push before. A subscription is followed by the last snapshot known of its
codes: where the connection has had it, it is recognised by time and volume. A handshake that is refused with 401 or 403
is not tried again: the vendor asks for that. Chosen where the vendor's documentation is silent: 100 codes a request,
which is what public clients use; no more than 5,000 a connection; a snapshot may stand alone instead of in an array.
"""

from __future__ import annotations

from typing import Any, Literal

import msgspec
import orjson

from producer.feeds.beside import SUMS
from producer.feeds.codes import chunks, listed, read_codes, suffixed
from producer.feeds.decoded import AnswerKind, Decoded, FeedTick
from producer.feeds.frames import answer, answered, message_of, refused, within_parts, words
from producer.feeds.provider import Capabilities, Codes, Message, Options, Provider, Units
from producer.feeds.snapshot_feed import SnapshotFeed

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
    carries=("volume", "turnover", *SUMS),
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
    push = _Snapshot
    login_parameter = "api_key"

    def __init__(self, options: Options) -> None:
        """See ``Feed``."""
        super().__init__(options)
        self._quotes = msgspec.json.Decoder(_Quotes).decode
        self._raw_quotes = msgspec.json.Decoder(_RawQuotes).decode
        self._raw_list = msgspec.json.Decoder(list[msgspec.Raw]).decode

    def subscribe(self, codes: Codes) -> list[Message]:
        """Requests of at most 100 codes."""
        return self._requests("subscribe", codes)

    def unsubscribe(self, codes: Codes) -> list[Message]:
        """Requests of at most 100 codes."""
        return self._requests("unsubscribe", codes)

    def strict(self, payload: bytes, received: int) -> Decoded:
        """An array of snapshots."""
        return self.entered([self.tick(snapshot, received) for snapshot in self._quotes(payload).data], received)

    def lenient(self, payload: bytes, received: int, error: Exception) -> Decoded:
        """An answer, a snapshot without an array, or an array with a bad one."""
        try:
            data = self._raw_quotes(payload).data
        except msgspec.ValidationError:
            return _answered(payload, message_of(payload))
        shape = bytes(data).lstrip()[:1]
        if shape not in {b"[", b"{"}:
            return refused(payload, str(error))
        return self.each(payload, self._raw_list(within_parts(bytes(data))) if shape == b"[" else [data], received)

    def tick(self, push: _Snapshot, received: int) -> FeedTick | None:
        """One snapshot."""
        return self.read(push.symbol, push.last_price, push.timestamp, received, push.volume, push.amount)

    def _requests(self, operation: str, codes: Codes) -> list[Message]:
        written = [suffixed(code) for code in listed("tickflow", codes)]
        return [
            orjson.dumps({"op": operation, "channel": "quotes", "symbols": list(some)}).decode()
            for some in chunks(written, CAPABILITIES.codes_per_message)
        ]


def _answered(payload: bytes, message: Any) -> Decoded:
    operation = message.get("op") if isinstance(message, dict) else None
    if not isinstance(operation, str):
        return refused(payload, "not a message of TickFlow's: an object with op")
    if operation == "quotes":
        return refused(payload, "quotes without data")
    text = words(message)
    if operation == "error":
        said = words(message.get("message", "")).lower()
        return answered(answer(next((kind for part, kind in _ERRORS if part in said), "refused"), text))
    codes = read_codes(message.get("symbols"))
    known: dict[str, AnswerKind] = {"subscribed": "subscribed", "pong": "pong"}
    return answered(answer(known.get(operation, "other"), text, codes=codes, whole=codes is not None))


TICKFLOW = Provider("tickflow", CAPABILITIES, TickFlowFeed)
