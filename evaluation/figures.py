"""What an evaluation gives: plain figures, which JSON, table and page are made of."""

from __future__ import annotations

import msgspec


class Spread(msgspec.Struct, frozen=True):
    """A distribution; ``None`` where nothing came. ``curve`` holds its quantiles at equal shares from 0 to 1."""

    count: int
    least: float | None = None
    p50: float | None = None
    p90: float | None = None
    p99: float | None = None
    max: float | None = None
    curve: list[float] = []


class Form(msgspec.Struct, frozen=True):
    """A form of subscribing that was tried on a connection of its own.

    Attributes:
        form: ``array``, ``string`` or ``wildcard``.
        taken: ``None`` where nothing came back.
        said: what came back, in words.
    """

    form: str
    codes: int | None
    taken: bool | None
    said: str
    acknowledged_ms: float | None = None
    first_tick_ms: float | None = None


class Gap(msgspec.Struct, frozen=True):
    """Ticks that are known to be missing; ``start`` and ``end`` in µs since the epoch, ``codes`` as many or all."""

    detected: str
    start: int
    end: int
    codes: int | None
    reason: str


class Moments(msgspec.Struct, frozen=True):
    """Of the first connection, ms from dialling; ``None`` where it did not come to that."""

    handshake: float | None
    acknowledged: float | None
    first_tick: float | None


class Step(msgspec.Struct, frozen=True):
    """A stretch of the time: rates a second, and the latencies between which its ticks lay, ms."""

    at: float
    ticks: float
    frames: float
    lowest: float | None
    highest: float | None


class LineFigures(msgspec.Struct, frozen=True):
    """One line.

    Attributes:
        sequence, volume_is, acknowledgement: as the provider declares them (``Capabilities``).
        seconds: measured, from dialling to the end; ``connected_seconds`` of it with a connection.
        latency: from the exchange's time to our socket, ms, by the local clock.
        tail: the same above the least of it: without the offset of the two clocks.
        offset_ms: the least latency: the way that every tick takes, and what the clocks differ by.
        own_clock: the feed's times are so far from ours that they are a recording's or a simulation's.
        whole_seconds: every time was one: latency is known to 1 s.
        ahead_ticks: with a time over a minute ahead of what the others say: none of them is the least.
        held_ticks: that came over a minute later than the least: from a cache, or held back.
        ticks_per_frame: of frames with ticks; ``frame_sizes`` is the same in classes.
        silences: without a tick for longer than ``patience`` (s), while the exchange traded; ``quiet`` otherwise.
        equal: with code, time, price, volume and number of an earlier tick.
        repeats: that the feed recognised and dropped.
        backwards: with a time before that of the code's tick before; ``furthest_back_ms`` at the most.
        malformed: dead letters by reason; ``malformed_as`` is the last reason of the most frequent kind, whole.
        unread: fields that could not be read, and so are null, by field.
        flaws: of ticks, by what the quality gate found.
        never_seen: codes asked for of which no tick came; the first of them in ``never_seen_codes``.
        ended: what ended the line before its time.
    """

    name: str
    url: str
    feed: str
    sequence: str
    volume_is: str
    acknowledgement: str
    seconds: float
    connected_seconds: float
    forms: list[Form]
    first: Moments
    dials: int
    connections: int
    frames: int
    ticks: int
    bytes: int
    latency: Spread
    tail: Spread
    offset_ms: float | None
    own_clock: bool
    whole_seconds: bool
    ahead_ticks: int
    held_ticks: int
    ticks_per_frame: Spread
    frame_sizes: dict[str, int]
    longest_silence: float
    patience: float | None
    silences: int
    quiet: int
    disconnects: dict[str, int]
    refusals: dict[str, int]
    gaps: dict[str, int]
    gap_seconds: float
    gap_list: list[Gap]
    equal: int
    equal_window: int
    repeats: int
    unpriced: int
    backwards: int
    furthest_back_ms: int
    malformed: dict[str, int]
    malformed_as: str | None
    unread: dict[str, int]
    flaws: dict[str, int]
    codes_asked: int | None
    codes_seen: int
    never_seen: int | None
    never_seen_codes: list[str]
    series: list[Step]
    ended: str | None


class RaceFigures(msgspec.Struct, frozen=True):
    """Two lines on the ticks that both brought: how often each was first, and by how much, ms."""

    both: int
    first: list[int]
    lead: list[Spread]
    alone: list[int]


class Report(msgspec.Struct, frozen=True):
    """One evaluation; ``began`` is Shanghai time. ``notes`` are what to mind when reading it."""

    began: str
    seconds: float
    lines: list[LineFigures]
    race: RaceFigures | None
    notes: list[str]
