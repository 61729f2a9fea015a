"""XTick: the subscription in the address, whole exchanges in packed binary frames, a map by code; text is for words.

A tick's volume is what was traded since the push before. Chosen where the vendor's documentation is silent: ``seqNo``
counts the packets of one ``authCode`` without holes; a key of the map without a suffix is of the exchange that
``authCode`` names; lists of ticks in the map are taken too. An immediate close is what a bad token, a bad class and a
missing right all look like. The token travels in clear text: the vendor has no TLS.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qs, quote, urlsplit, urlunsplit

import msgspec
import orjson

from producer.feeds.codes import suffixed
from producer.feeds.decoded import Answer, Decoded, FeedTick, Frame, Letter, Packet
from producer.feeds.json_feed import LATER_SECONDS
from producer.feeds.optional import Fields, Loose
from producer.feeds.provider import Capabilities, Codes, Message, Options, Provider, Units
from producer.feeds.snapshot_feed import SnapshotFeed
from producer.feeds.unpacking import PackedError, unpacked
from producer.feeds.values import (
    RefusedError,
    amount,
    close,
    message_of,
    one_by_one,
    price,
    refused,
    sequence,
    shares,
    within_parts,
    words,
)
from schemas import UsageError

SINGLE_CODES = 50
WHOLE_MARKET = ("tick.SH.1", "tick.SZ.1", "tick.BJ.1")

CAPABILITIES = Capabilities(
    about="Shanghai, Shenzhen, Beijing, whole exchanges at once (opened on request); snapshots every 3 s",
    url="ws://ws.xtick.top/ws",
    login="address",
    token_refused=frozenset({"close"}),
    second_login="not documented",
    reconnect_apart=3.0,
    array=True,
    wildcard=True,
    codes_per_connection=SINGLE_CODES,
    codes_per_message=SINGLE_CODES,
    changes="reconnect",
    acknowledgement="none",
    sequence="packet",
    volume_is="cumulative",
    repeats_known=True,
    carries=("volume", "turnover", "previous_close"),
    time_unit="ms",
    price_form="number, with a float's noise",
    units=Units(volume="lots"),
    backfill="ticks of the day over HTTP, one code a call",
)


class _Snapshot(msgspec.Struct, gc=False):
    time: int | float | str
    lastPrice: float | str  # noqa: N815 - the vendor's names
    volume: float | str | None = None
    amount: float | str | None = None
    lastClose: float | str | None = None  # noqa: N815


class _Packet(msgspec.Struct, gc=False):
    data: dict[str, _Snapshot]
    authCode: str = ""  # noqa: N815
    seqNo: int | str | None = None  # noqa: N815
    period: str = "tick"


class _RawPacket(msgspec.Struct, gc=False):
    """What is beside ``data`` may hold anything: it costs no tick."""

    data: dict[str, msgspec.Raw]
    authCode: Any = ""  # noqa: N815
    seqNo: Any = None  # noqa: N815
    period: Any = "tick"


class XTickFeed(SnapshotFeed):
    """XTick's push."""

    capabilities = CAPABILITIES

    def __init__(self, options: Options) -> None:
        """See ``Feed``."""
        super().__init__(options)
        self._packet = msgspec.json.Decoder(_Packet).decode
        self._raw_packet = msgspec.json.Decoder(_RawPacket).decode
        self._loose_snapshot = Loose(_Snapshot)
        self._snapshots = msgspec.json.Decoder(list[msgspec.Raw]).decode

    def address(self, url: str, token: str | None, codes: Codes) -> str:
        """Token and codes, as JSON, are the path's last part; the whole market is three classes of subscription.

        A token that may not have all three says which ones in the query: ``?authCodes=tick.BJ.1``.
        """
        if codes is not None and len(codes) > SINGLE_CODES:
            raise UsageError(
                f"xtick takes {SINGLE_CODES} single codes a connection, not {len(codes):,}: ask for *, or fewer"
            )
        parts = urlsplit(url)
        given = [name for some in parse_qs(parts.query).get("authCodes", []) for name in some.split(",") if name]
        names = (given or list(WHOLE_MARKET)) if codes is None else [suffixed(code) for code in codes]
        asked = orjson.dumps({"token": token or "", "authCodes": names}).decode()
        return urlunsplit(parts._replace(path=f"{parts.path.rstrip('/')}/{quote(asked, safe='')}", query=""))

    def subscribe(self, codes: Codes) -> list[Message]:  # noqa: ARG002 - the address holds them
        """None."""
        return []

    def unsubscribe(self, codes: Codes) -> list[Message]:  # noqa: ARG002 - it takes another address
        """None."""
        return []

    def decode(self, frame: Frame) -> Decoded:
        """Unpack what is binary; take text for the server's words."""
        if not frame.binary:
            return _said(frame.payload)
        try:
            content = unpacked(frame.payload)
        except PackedError as error:
            return self.guard.keep(refused(frame.payload, str(error)), frame.received)
        decoded = super().decode(Frame(content, binary=True, received=frame.received))
        if content is not frame.payload and any(letter.part == "frame" for letter in decoded.letters):
            # A dead letter is what came, byte for byte.
            decoded.letters = [
                Letter(frame.payload, letter.reason, "frame") if letter.part == "frame" else letter
                for letter in decoded.letters
            ]
        return decoded

    def at_once(self, payload: bytes, received: int) -> Decoded:
        """A packet of ticks that are all well."""
        packet = self._packet(payload)
        exchange = _exchange(packet.authCode)
        if packet.period != "tick":
            raise RefusedError(f"period: {packet.period[:60]!r} is not tick")
        # What is bad is found before anything is entered: the frame may be read again, piece by piece.
        read = [self._admit(key, snapshot, exchange, received) for key, snapshot in packet.data.items()]
        decoded = Decoded([], [], [], _number(packet.authCode, packet.seqNo))
        for tick in read:
            self.enter(tick, decoded, received)
        return decoded

    def piece_by_piece(self, payload: bytes, received: int, error: Exception) -> Decoded:  # noqa: ARG002 - told anew
        """A packet with a bad tick in it, of lists of ticks, or of something else."""
        try:
            packet = self._raw_packet(within_parts(payload))
        except msgspec.ValidationError as why:
            message_of(payload)  # that it is JSON at all
            return refused(payload, f"no packet: {why}")
        if isinstance(packet.period, str) and packet.period != "tick":
            return Decoded(
                [], [], [Answer("other", f"a packet of {words(packet.period)[:60]}, which was not asked for")]
            )
        name = packet.authCode if isinstance(packet.authCode, str) else ""
        exchange = _exchange(name)
        elements: list[tuple[str, msgspec.Raw]] = []
        for key, raw in packet.data.items():
            several = self._snapshots(raw) if bytes(raw).lstrip()[:1] == b"[" else [raw]
            elements += ((key, one) for one in several)
        keys = iter([key for key, _ in elements])

        def read(element: bytes | msgspec.Raw, decoded: Decoded) -> None:
            self.enter(self._admit(next(keys), self._loose_snapshot(element), exchange, received), decoded, received)

        decoded = one_by_one(payload, [raw for _, raw in elements], read)
        decoded.packet = _number(name, packet.seqNo if isinstance(packet.seqNo, int | str) else None)
        return decoded

    def _admit(self, key: str, snapshot: _Snapshot, exchange: str | None, received: int) -> FeedTick | None:
        """The snapshot in shares and yuan of the day so far, ``None`` without a price."""
        written = f"{key}.{exchange}" if exchange is not None and key.isdigit() else key
        place = self._places.get(written) or self._places.find(written)
        value = price(snapshot.lastPrice)
        if not value:
            return None
        time = snapshot.time
        if not (isinstance(time, int) and self._earliest <= time < self._latest):
            time = self._moment(time, received)
        unread = None
        try:
            volume = shares(snapshot.volume, place.shares)
            turnover = None if snapshot.amount is None else amount(snapshot.amount)
            before = _close(snapshot.lastClose)
        except RefusedError:
            self.attend, read = True, Fields()
            volume = read("volume", shares, snapshot.volume, place.shares)
            turnover = None if snapshot.amount is None else read("turnover", amount, snapshot.amount)
            before = read("previous_close", _close, snapshot.lastClose)
            unread = read.unread
        return FeedTick(place.code, place.exchange, value, time, None, turnover, None, None, before, volume, unread)


def _close(written: float | str | None) -> float | None:
    found = None if written is None else close(written)
    return None if found is None else price(found)


def _exchange(subscription: str) -> str | None:
    """The exchange of ``tick.SH.1`` and of ``600519.SH``."""
    parts = subscription.split(".")
    return next((part for part in parts[1:2] if part in {"SH", "SZ", "BJ"}), None)


def _number(subscription: str, written: int | str | None) -> Packet | None:
    try:
        number = None if written is None else sequence(written)
    except RefusedError:
        return None
    return None if number is None else Packet(subscription, number)


def _said(payload: bytes) -> Decoded:
    text = words(payload.decode("utf-8", "replace"))
    said = text.lower()
    if "kicked" in said or "in use" in said:
        return Decoded([], [], [Answer("kicked", text)])
    if "too many" in said:
        return Decoded([], [], [Answer("throttled", text, wait=LATER_SECONDS)])
    if "token" in said and ("invalid" in said or "expired" in said):
        return Decoded([], [], [Answer("unauthorised", text)])
    return Decoded([], [], [Answer("refused" if "error" in said else "other", text)])


XTICK = Provider("xtick", CAPABILITIES, XTickFeed)
