"""XTick: the subscription in the address, whole exchanges in packed binary frames by code; text frames are answers.

A tick's volume is what was traded since the push before. Chosen where the vendor's documentation is silent: ``seqNo``
counts the packets of one ``authCode`` without holes; a key of the map without a suffix is of the exchange that
``authCode`` names; lists of ticks in the map are taken too; the sizes of the book are lots, as the volume is. An
immediate close is what a bad token, a bad class and a missing right all look like. The token travels in clear text: the
vendor has no TLS.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qs, quote, urlsplit, urlunsplit

import msgspec
import orjson

from producer.feeds.beside import BOOK, PRICES, SUMS, Written, paired
from producer.feeds.codes import suffixed
from producer.feeds.decoded import Decoded, FeedTick, Frame, Letter, Packet
from producer.feeds.errors import PackedError, UnreadableError
from producer.feeds.frames import Element, answer, answered, message_of, one_by_one, refused, within_parts, words
from producer.feeds.provider import Capabilities, Codes, Message, Options, Provider, Units
from producer.feeds.snapshot_feed import SnapshotFeed
from producer.feeds.unpacking import unpacked
from producer.feeds.values import read_sequence
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
    carries=("volume", "turnover", "previous_close", *BOOK, *PRICES, *SUMS),
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
    open: Any = None
    high: Any = None
    low: Any = None
    bidPrice: Any = None  # noqa: N815
    askPrice: Any = None  # noqa: N815
    bidVol: Any = None  # noqa: N815
    askVol: Any = None  # noqa: N815


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
    push = _Snapshot

    def __init__(self, options: Options) -> None:
        """See ``Feed``."""
        super().__init__(options)
        self._packet = msgspec.json.Decoder(_Packet).decode
        self._raw_packet = msgspec.json.Decoder(_RawPacket).decode
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
        """Unpack what is binary; a text frame is an answer."""
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

    def strict(self, payload: bytes, received: int) -> Decoded:
        """A packet all of whose ticks can be read."""
        packet = self._packet(payload)
        exchange = _exchange(packet.authCode)
        if packet.period != "tick":
            raise UnreadableError(f"period: {packet.period[:60]!r} is not tick")
        ticks = [self.tick((_code(key, exchange), snapshot), received) for key, snapshot in packet.data.items()]
        decoded = self.entered(ticks, received)
        decoded.packet = _number(packet.authCode, packet.seqNo)
        return decoded

    def lenient(self, payload: bytes, received: int, error: Exception) -> Decoded:  # noqa: ARG002 - said anew
        """A packet with a bad tick in it, of lists of ticks, or of something else."""
        try:
            packet = self._raw_packet(within_parts(payload))
        except msgspec.ValidationError as why:
            message_of(payload)  # that it is JSON at all
            return refused(payload, f"no packet: {why}")
        if isinstance(packet.period, str) and packet.period != "tick":
            return answered(answer("other", f"a packet of {words(packet.period)[:60]}, which was not asked for"))
        name = packet.authCode if isinstance(packet.authCode, str) else ""
        exchange = _exchange(name)
        elements: list[tuple[str, msgspec.Raw]] = []
        for key, raw in packet.data.items():
            several = self._snapshots(raw) if bytes(raw).lstrip()[:1] == b"[" else [raw]
            elements += ((key, one) for one in several)
        keys = iter([key for key, _ in elements])

        def read(element: Element, decoded: Decoded) -> None:
            code = _code(next(keys), exchange)
            self.enter(self.tick((code, self._lenient(element)), received), decoded, received)

        decoded = one_by_one(payload, [raw for _, raw in elements], read)
        decoded.packet = _number(name, packet.seqNo if isinstance(packet.seqNo, int | str) else None)
        return decoded

    def tick(self, push: tuple[str, _Snapshot], received: int) -> FeedTick | None:
        """One snapshot, with its code."""
        code, one = push
        written = Written(
            paired(one.bidPrice, one.bidVol), paired(one.askPrice, one.askVol), one.open, one.high, one.low
        )
        return self.read(
            code, one.lastPrice, one.time, received, one.volume, one.amount, None, None, one.lastClose, written
        )


def _code(key: str, exchange: str | None) -> str:
    """A key of the map, with the exchange of its packet where it has none."""
    return f"{key}.{exchange}" if exchange is not None and key.isdigit() else key


def _exchange(subscription: str) -> str | None:
    """The exchange of ``tick.SH.1`` and of ``600519.SH``."""
    parts = subscription.split(".")
    return next((part for part in parts[1:2] if part in {"SH", "SZ", "BJ"}), None)


def _number(subscription: str, written: int | str | None) -> Packet | None:
    try:
        number = None if written is None else read_sequence(written)
    except UnreadableError:
        return None
    return None if number is None else Packet(subscription, number)


def _said(payload: bytes) -> Decoded:
    text = words(payload.decode("utf-8", "replace"))
    said = text.lower()
    if "kicked" in said or "in use" in said:
        return answered(answer("kicked", text))
    if "too many" in said:
        return answered(answer("throttled", text))
    if "token" in said and ("invalid" in said or "expired" in said):
        return answered(answer("unauthorised", text))
    return answered(answer("refused" if "error" in said else "other", text))


XTICK = Provider("xtick", CAPABILITIES, XTickFeed)
