"""Measures one line: frames, ticks and what happens to it go in, figures come out. Pure; no I/O.

Times are µs since the epoch. Whatever a server sends, memory is bounded: samples, tallies, bins, and codes and keys of
which no more than so many are remembered.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from evaluation.figures import Form, Gap, LineFigures, Moments, Spread, Step
from evaluation.samples import Samples, Series, Tally
from market.codes import UnknownCode
from market.kinds import resolve
from producer.feeds.decoded import Decoded, FeedTick
from producer.feeds.provider import Capabilities
from producer.gaps.gap import Gap as Hole
from producer.gaps.market_clock import MarketClock
from producer.gaps.silence import MANY, PATIENCE, loud_since
from producer.pipeline.quality import Gate

CODES = 65_536
EQUAL = 250_000
"""Ticks among which an equal one is looked for."""
OTHER_CLOCK_MS = 600_000
"""Times further from ours than this are those of a recording or a simulation."""
_FAR = 60_000_000
"""µs: a tick so much faster than the middle one has a wrong time; one so much slower was held, or cached."""
_GAPS = 200
_NAMED = 50
_KINDS = 64
_CLASSES = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1_000)


class Meter:
    """One line, from its first dialling to its end."""

    def __init__(self, began: int, codes: Sequence[str] | None, gate: Gate | None = None) -> None:
        """Nothing has happened.

        Args:
            codes: asked for, ``None`` for the whole market.
        """
        self.dials = self.connections = 0
        self.ticks = 0
        self.acknowledged: int | None = None
        self.ticked: int | None = None
        self.said: str | None = None
        """What the server answered last to a request."""
        self.refusals = Tally()
        self.patience = _patience(codes)
        self.seen: dict[str, int] = {}
        """Codes that came, with the time of their latest tick, ms."""
        self._asked = None if codes is None else {_one_form(code) for code in codes[:CODES]}
        self._began = self._now = began
        self._gate = gate
        self._clock = MarketClock()
        self._clocked = 0
        self._dialled: int | None = None
        self._shaken: int | None = None
        self._up: int | None = None
        self._connected = 0
        self._quiet_since: int | None = None
        self._frames = self._bytes = self._repeats = self._unpriced = 0
        self._latency = Samples()
        self._sizes = Samples()
        self._classes = dict.fromkeys([*_named_classes(), "none"], 0)
        self._series = Series(began)
        self._fractions = 0
        self._longest = 0
        self._silences = self._quiets = 0
        self._disconnects, self._malformed, self._gaps = Tally(), Tally(), Tally()
        self._reasons: dict[str, str] = {}
        self._unread: Counter[str] = Counter()
        self._gap_time = 0
        self._gap_list: list[Gap] = []
        self._keys: dict[int, None] = {}
        self._equal = self._backwards = self._furthest = 0

    # What happens.

    def dialled(self, at: int) -> None:
        """An attempt to connect begins."""
        self.dials += 1
        if not self.connections:
            self._dialled = at

    def connected(self, at: int) -> None:
        """The handshake succeeded."""
        self.connections += 1
        self._up = self._quiet_since = at
        if self._shaken is None:
            self._shaken = at

    def answered(self, text: str, at: int, *, subscribed: bool) -> None:
        """The server answered a request, or said something else that it means to be read."""
        self.said = text[:160]
        if subscribed and self.acknowledged is None:
            self.acknowledged = at

    def refused(self, reason: str) -> None:
        """A request was."""
        self.refusals.add(reason)

    def gap(self, hole: Hole) -> None:
        """Ticks are known to be missing."""
        self._gaps.add(hole.detected)
        self._gap_time += hole.end - hole.start
        if len(self._gap_list) < _GAPS:
            codes = None if hole.codes == "all" else len(hole.codes)
            self._gap_list.append(Gap(hole.detected, hole.start, hole.end, codes, hole.reason[:160]))

    def lost(self, reason: str, at: int) -> None:
        """The connection ended, and not because the evaluation did."""
        self._disconnects.add(reason)
        self.closed(at)

    def closed(self, at: int) -> None:
        """The connection is no more; where there is none, nothing changes."""
        if self._up is None:
            return
        self._still(at)
        self._connected += at - self._up
        self._up = self._quiet_since = None

    # What comes.

    def frame(self, size: int, decoded: Decoded, at: int) -> None:
        """A frame of so many bytes came, and this was in it."""
        self._frames += 1
        self._bytes += size
        self._repeats += decoded.repeats
        self._unpriced += decoded.unpriced
        held = len(decoded.ticks) + decoded.repeats + decoded.unpriced
        if held:
            self._sizes.add(held)
        self._classes[_class(held)] += 1
        for letter in decoded.letters:
            kind = letter.reason.partition(":")[0]
            self._malformed.add(kind)
            if kind in self._reasons or len(self._reasons) < _KINDS:
                self._reasons[kind] = letter.reason
        now = self._series.at(at)
        now.frames += 1
        now.bytes += size

    def took(self, ticks: Sequence[FeedTick], received: int) -> None:
        """Ticks came off the socket at one time."""
        if not ticks:
            return
        self._still(received)
        self._quiet_since = received
        if self.ticked is None:
            self.ticked = received
        if received - self._clocked >= 500_000:
            self._clocked = received
            self._clock.heard(ticks[-1].time, received // 1000, received / 1e6)
        self.ticks += len(ticks)
        lowest = highest = received - ticks[0].time * 1000
        for tick in ticks:
            if tick.unread is not None:
                self._unread.update(flaw.removeprefix("unread_") for flaw in tick.unread.split(","))
            latency = received - tick.time * 1000
            self._latency.add(latency)
            lowest, highest = min(lowest, latency), max(highest, latency)
            if tick.time % 1000:
                self._fractions += 1
            self._order(tick)
        now = self._series.at(received)
        now.ticks += len(ticks)
        now.latency(lowest, highest)
        if self._gate is not None:
            _ = self._gate.judge(ticks, received)

    def _order(self, tick: FeedTick) -> None:
        key = hash((tick.code, tick.time, tick.price, tick.volume, tick.seq))
        if key in self._keys:
            self._equal += 1
        else:
            if len(self._keys) >= EQUAL:
                del self._keys[next(iter(self._keys))]
            self._keys[key] = None
        last = self.seen.get(tick.code)
        if last is None and len(self.seen) >= CODES:
            return
        if last is not None and tick.time < last:
            self._backwards += 1
            self._furthest = max(self._furthest, last - tick.time)
        self.seen[tick.code] = tick.time

    def _still(self, at: int) -> None:
        """Nothing came from ``_quiet_since`` to ``at``, on a connection that stood."""
        if self._quiet_since is None:
            return
        silence = at - self._quiet_since
        self._longest = max(self._longest, silence)
        if self.patience is None or silence < self.patience * 1e6:
            return
        try:
            loud = loud_since(self._clock.at(at // 1000))
        except ValueError:
            loud = None
        if loud is not None and loud[0] * 1e6 >= silence:
            self._silences += 1
        else:
            self._quiets += 1

    # What it comes to.

    def figures(
        self,
        now: int,
        able: Capabilities,
        *,
        name: str,
        url: str,
        feed: str,
        forms: Sequence[Form] = (),
        ended: str | None = None,
    ) -> LineFigures:
        """All of it, at the end."""
        self.closed(now)
        offset = self._offset()
        ahead, held = self._latency.beyond((offset or 0), (offset or 0) + _FAR)
        own_clock = offset is not None and abs(offset) > OTHER_CLOCK_MS * 1000
        unseen = None if self._asked is None else sorted(self._asked - self.seen.keys())
        return LineFigures(
            name=name,
            url=url,
            feed=feed,
            sequence=able.sequence,
            volume_is=able.volume_is,
            acknowledgement=able.acknowledgement,
            seconds=(now - self._began) / 1e6,
            connected_seconds=self._connected / 1e6,
            forms=list(forms),
            first=Moments(*(self._since_dialling(at) for at in (self._shaken, self.acknowledged, self.ticked))),
            dials=self.dials,
            connections=self.connections,
            frames=self._frames,
            ticks=self.ticks,
            bytes=self._bytes,
            latency=spread(self._latency, 1000),
            tail=spread(self._latency, 1000, offset or 0),
            offset_ms=None if offset is None else offset / 1000,
            own_clock=own_clock,
            whole_seconds=bool(self.ticks) and not self._fractions,
            ahead_ticks=ahead,
            held_ticks=held,
            ticks_per_frame=spread(self._sizes, 1),
            frame_sizes={name: count for name, count in self._classes.items() if count},
            longest_silence=self._longest / 1e6,
            patience=self.patience,
            silences=self._silences,
            quiet=self._quiets,
            disconnects=self._disconnects.ordered(),
            refusals=self.refusals.ordered(),
            gaps=self._gaps.ordered(),
            gap_seconds=self._gap_time / 1e6,
            gap_list=self._gap_list,
            equal=self._equal,
            equal_window=EQUAL,
            repeats=self._repeats,
            unpriced=self._unpriced,
            backwards=self._backwards,
            furthest_back_ms=self._furthest,
            malformed=self._malformed.ordered(),
            malformed_as=next((self._reasons.get(kind) for kind in self._malformed.ordered()), None),
            unread=dict(self._unread.most_common()),
            flaws={} if self._gate is None else dict(self._gate.counts.most_common()),
            codes_asked=None if self._asked is None else len(self._asked),
            codes_seen=len(self.seen),
            never_seen=None if unseen is None else len(unseen),
            never_seen_codes=[] if unseen is None else unseen[:_NAMED],
            series=self._steps(),
            ended=ended,
        )

    def _offset(self) -> int | None:
        """The least latency, but for ticks whose time cannot be true: one of them would hide what all others say."""
        (middle,) = self._latency.at(0.5)
        least = self._latency.least
        if middle is None or least is None or least >= middle - _FAR:
            return least
        return self._latency.least_from(middle - _FAR)

    def _since_dialling(self, at: int | None) -> float | None:
        return None if at is None or self._dialled is None else (at - self._dialled) / 1000

    def _steps(self) -> list[Step]:
        width = self._series.width / 1e6
        return [
            Step(
                place * width,
                one.ticks / width,
                one.frames / width,
                None if one.lowest is None else one.lowest / 1000,
                None if one.highest is None else one.highest / 1000,
            )
            for place, one in enumerate(self._series.bins)
        ]


def spread(samples: Samples, unit: int, above: int = 0) -> Spread:
    """A distribution in another unit, of what lies ``above`` a figure."""

    def put(value: int | None) -> float | None:
        return None if value is None else (value - above) / unit

    p50, p90, p99 = (put(value) for value in samples.at(0.5, 0.9, 0.99))
    curve = [(value - above) / unit for value in samples.spread()]
    return Spread(samples.count, put(samples.least), p50, p90, p99, put(samples.most), curve)


def _patience(codes: Sequence[str] | None) -> float | None:
    """Seconds that the producer's watchdog waits for a tick of so many codes; a single one may be silent for ever."""
    if codes is None or len(codes) >= MANY:
        return PATIENCE
    return PATIENCE * MANY / len(codes) if len(codes) > 1 else None


def _one_form(code: str) -> str:
    try:
        return resolve(code)
    except UnknownCode:
        return code


def _named_classes() -> list[str]:
    names = []
    below = 0
    for most in _CLASSES:
        names.append(str(most) if most == below + 1 else f"{below + 1}–{most}")
        below = most
    return [*names, f"over {below:,}"]


_NAMES = _named_classes()


def _class(count: int) -> str:
    if not count:
        return "none"
    return next((name for name, most in zip(_NAMES, _CLASSES, strict=False) if count <= most), _NAMES[-1])
