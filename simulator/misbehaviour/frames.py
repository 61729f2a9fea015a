"""Frames that look otherwise than yesterday, come twice, are broken or huge. None of these loses a tick."""

from __future__ import annotations

import gzip
import io
import random
import zipfile
from collections.abc import Mapping
from dataclasses import replace
from functools import cache

import orjson

from market.times import DAY_MS
from simulator.feeds.prints import Print
from simulator.feeds.provider import Form, Provider, Sent, Session
from simulator.feeds.xtick import packed
from simulator.misbehaviour.kind import FrameKind
from simulator.misbehaviour.trading import timed

_MIB = 1 << 20
_BOMB_BYTES = 256 * _MIB
_COPIES = 3


class TextOrNumber(FrameKind):
    """For a second, numbers come as text and texts of numbers as numbers. A right client reads both."""

    name = "text-or-number"
    seconds = 1.0

    def form(self, form: Form) -> Form:
        """Swapped."""
        return replace(form, swapped=True)


class Shapes(FrameKind):
    """For a second, ticks come in another of the provider's documented shapes.

    XTick: ZIP instead of GZIP, or not packed; TickFlow: one object instead of an array; Massive: a status among the
    trades; Binance: the wrapper ``{"stream","data"}``. A right client reads all of them.
    """

    name = "shapes"
    seconds = 1.0

    def suits(self, provider: Provider) -> bool:
        """Those that have more than one."""
        return provider.shapes > 1

    def form(self, form: Form) -> Form:
        """The next one."""
        return replace(form, shape=form.shape + 1)


class Fragments(FrameKind):
    """For a second, each message comes in three WebSocket fragments, several messages in one write.

    A right client has them put together again: the messages are whole.
    """

    name = "fragments"
    seconds = 1.0

    def frames(
        self,
        sent: list[Sent],
        session: Session,  # noqa: ARG002 - as all below: the signature is the family's
        recent: Mapping[str, Print],  # noqa: ARG002
        provider: Provider,  # noqa: ARG002
        draw: random.Random,  # noqa: ARG002
    ) -> list[Sent]:
        """The same, in three pieces each."""
        return [one._replace(pieces=3) for one in sent]


class MergedFrames(FrameKind):
    """For a second, all messages of a moment come as one, one JSON text behind the other. A right client reads each."""

    name = "merged-frames"
    seconds = 1.0

    def suits(self, provider: Provider) -> bool:
        """All but XTick, whose packets are binary."""
        return provider.name != "xtick"

    def frames(
        self,
        sent: list[Sent],
        session: Session,  # noqa: ARG002
        recent: Mapping[str, Print],  # noqa: ARG002
        provider: Provider,  # noqa: ARG002
        draw: random.Random,  # noqa: ARG002
    ) -> list[Sent]:
        """One of them all."""
        ticks = [tick for one in sent for tick in one.ticks]
        return [Sent(b"\n".join(one.payload for one in sent), binary=False, ticks=ticks)]


class CutFrames(FrameKind):
    """A piece of a message comes as a message, cut within its first tick; the whole one follows.

    A right client keeps the piece as a dead letter, and reads the whole one.
    """

    name = "cut-frames"

    def frames(
        self,
        sent: list[Sent],
        session: Session,  # noqa: ARG002
        recent: Mapping[str, Print],  # noqa: ARG002
        provider: Provider,  # noqa: ARG002
        draw: random.Random,
    ) -> list[Sent]:
        """One more before the first."""
        whole = sent[0].payload
        end = len(whole) if sent[0].binary else whole.find(b"}")
        return [Sent(whole[: draw.randrange(2, max(end, 3))], sent[0].binary, []), *sent]


class Repeats(FrameKind):
    """A frame comes three times.

    Where a trade has an id, or a snapshot its time and sum, a right client keeps one. Where there is neither (post,
    iTick, Infoway) nobody can tell it from three trades: all are kept, and all are in the ledger's page.
    """

    name = "repeats"

    def frames(
        self,
        sent: list[Sent],
        session: Session,  # noqa: ARG002
        recent: Mapping[str, Print],  # noqa: ARG002
        provider: Provider,
        draw: random.Random,  # noqa: ARG002
    ) -> list[Sent]:
        """The first, twice more."""
        copy = sent[0]._replace(ticks=[]) if provider.knows_repeats else sent[0]
        return [sent[0], *[copy] * (_COPIES - 1), *sent[1:]]


class CachedSnapshot(FrameKind):
    """The last ticks of fifty codes come again, as after a subscription.

    As ``repeats``: dropped where they can be recognised, else kept.
    """

    name = "cached-snapshot"
    codes = 50

    def frames(
        self,
        sent: list[Sent],
        session: Session,
        recent: Mapping[str, Print],
        provider: Provider,
        draw: random.Random,  # noqa: ARG002
    ) -> list[Sent]:
        """Behind the round's own."""
        again = session.encode(list(recent.values())[-self.codes :])
        return sent + [one._replace(ticks=[]) if provider.knows_repeats else one for one in again]


class BigFrames(FrameKind):
    """A frame of more than 1 MiB, zipped ones after zipping. A right client's limits let it through."""

    name = "big-frames"

    def frames(
        self,
        sent: list[Sent],
        session: Session,  # noqa: ARG002
        recent: Mapping[str, Print],  # noqa: ARG002
        provider: Provider,  # noqa: ARG002
        draw: random.Random,
    ) -> list[Sent]:
        """The first, with spaces behind it, or with a field of noise in it."""
        first = sent[0]
        if first.binary:
            packet = orjson.loads(unpacked(first.payload)) | {"note": draw.randbytes(_MIB + _MIB // 4).hex()}
            payload = packed(orjson.dumps(packet), 0)
        else:
            payload = first.payload + b" " * (_MIB + _MIB // 4)
        return [first._replace(payload=payload), *sent[1:]]


class ZipBombs(FrameKind):
    """A zipped frame of some 256 KiB that is 256 MiB of nothing.

    A right client stops unpacking at its limit, keeps the frame as a dead letter, and goes on.
    """

    name = "zip-bombs"

    def suits(self, provider: Provider) -> bool:
        """Only XTick zips."""
        return provider.name == "xtick"

    def frames(
        self,
        sent: list[Sent],
        session: Session,  # noqa: ARG002
        recent: Mapping[str, Print],  # noqa: ARG002
        provider: Provider,  # noqa: ARG002
        draw: random.Random,  # noqa: ARG002
    ) -> list[Sent]:
        """Behind the round's own."""
        return [*sent, Sent(_bomb(), binary=True, ticks=[])]


class PriceZero(FrameKind):
    """Codes come with the price 0, as suspended ones do, and all before the auction.

    A right client makes no tick of it.
    """

    name = "price-zero"
    codes = 5

    def frames(
        self,
        sent: list[Sent],
        session: Session,
        recent: Mapping[str, Print],
        provider: Provider,  # noqa: ARG002
        draw: random.Random,  # noqa: ARG002
    ) -> list[Sent]:
        """Behind the round's own."""
        last = list(recent.values())[-self.codes :]
        return sent + session.encode(
            [replace(one, price=0.0, volume=0, turnover=0.0, side=None, genuine=False) for one in last]
        )


class DecadesAhead(FrameKind):
    """The last ticks of some codes come again, dated a hundred years ahead: beyond every calendar.

    A right client keeps them as dead letters, and no tick is made of them.
    """

    name = "decades-ahead"
    codes = 5
    years = 100

    def suits(self, provider: Provider) -> bool:
        """Those that push trades: of the day's sums, each push changes what the next one says."""
        return not provider.cumulative

    def frames(
        self,
        sent: list[Sent],
        session: Session,
        recent: Mapping[str, Print],
        provider: Provider,  # noqa: ARG002
        draw: random.Random,  # noqa: ARG002
    ) -> list[Sent]:
        """Behind the round's own."""
        last = list(recent.values())[-self.codes :]
        ahead = session.encode([timed(one, one.time + self.years * 365 * DAY_MS) for one in last])
        return sent + [one._replace(ticks=[]) for one in ahead]


class Unreadable(FrameKind):
    """For two seconds, no frame can be read.

    A right client keeps each as a dead letter, byte for byte, says that the line is unwell and why, and goes on; what
    they held is lost to it, and no gap, since it is there to be read.
    """

    name = "unreadable"
    seconds = 2.0

    def suits(self, provider: Provider) -> bool:
        """As ``decades-ahead``."""
        return not provider.cumulative

    def frames(
        self,
        sent: list[Sent],
        session: Session,  # noqa: ARG002
        recent: Mapping[str, Print],  # noqa: ARG002
        provider: Provider,  # noqa: ARG002
        draw: random.Random,  # noqa: ARG002
    ) -> list[Sent]:
        """Each of the round, behind a letter that makes it no JSON."""
        return [Sent(b"?" + one.payload, binary=False, ticks=[]) for one in sent]


class ManyDocuments(FrameKind):
    """A frame of 2 MB holds a million empty JSON objects, one behind the other.

    A right client reads as many as it has set itself as its most, keeps what is none as a few dead letters, says how
    many it left, and goes on within a second or two.
    """

    name = "many-documents"
    documents = 1_000_000

    def frames(
        self,
        sent: list[Sent],
        session: Session,  # noqa: ARG002
        recent: Mapping[str, Print],  # noqa: ARG002
        provider: Provider,  # noqa: ARG002
        draw: random.Random,  # noqa: ARG002
    ) -> list[Sent]:
        """Behind the round's own."""
        return [*sent, Sent(b"{}" * self.documents, binary=False, ticks=[])]


def unpacked(payload: bytes) -> bytes:
    """The JSON of a binary frame of ours, in any of the forms of ``simulator.feeds.xtick.packed``."""
    if payload.startswith(b"\x1f\x8b"):
        return gzip.decompress(payload)
    if payload.startswith(b"PK"):
        with zipfile.ZipFile(io.BytesIO(payload)) as file:
            return file.read(file.namelist()[0])
    return payload


@cache
def _bomb() -> bytes:
    buffer = io.BytesIO()
    with gzip.GzipFile(fileobj=buffer, mode="wb", compresslevel=9, mtime=0) as file:
        for _ in range(_BOMB_BYTES // _MIB):
            file.write(b" " * _MIB)
    return buffer.getvalue()


FRAMES: tuple[type[FrameKind], ...] = (
    TextOrNumber, Shapes, Fragments, MergedFrames, CutFrames, Repeats, CachedSnapshot, BigFrames, ZipBombs, PriceZero,
    DecadesAhead, Unreadable, ManyDocuments,
)  # fmt: skip
