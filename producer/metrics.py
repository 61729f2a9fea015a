"""The metrics of the producer: each is declared here, and read when a scrape asks."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, get_args

from broker.exposition import SESSION_OPEN, Declared, Readings
from broker.publisher import Publisher
from producer.clock import now
from producer.gaps.gap import Detected
from producer.pipeline.counters import Counters, total
from producer.streams import Stream

if TYPE_CHECKING:
    from market.open_now import OpenNow
    from producer.line.driver import Line

_LINE = ("line",)
_COUNTED: Mapping[str, Declared] = {
    "frames": Declared("ashare_producer_frames_total", "counter", "WebSocket messages received"),
    "ticks": Declared("ashare_producer_ticks_total", "counter", "Ticks sent on to Kafka"),
    "letters": Declared("ashare_producer_dead_letters_total", "counter", "What could not be read, or was kept out"),
    "no_trade": Declared("ashare_producer_dropped_without_trade_total", "counter", "Ticks of volume 0 left out"),
    "held_back": Declared("ashare_producer_held_back_total", "counter", "Times that reading waited for Kafka"),
    "reconnects": Declared("ashare_producer_reconnects_total", "counter", "Connections made again"),
    "repeated": Declared("ashare_producer_repeats_total", "counter", "Ticks that another line had brought"),
    "marked": Declared("ashare_producer_flawed_ticks_marked_total", "counter", "Flawed ticks sent on, marked"),
    "kept_out": Declared("ashare_producer_flawed_ticks_kept_out_total", "counter", "Flawed ticks kept out"),
}
"""By the name among the counters."""
ACKNOWLEDGED = Declared("ashare_producer_records_acknowledged_total", "counter", "Records that Kafka has confirmed")
RESENT = Declared("ashare_producer_records_resent_total", "counter", "Records sent again after an error")
REBUILT = Declared("ashare_producer_kafka_clients_rebuilt_total", "counter", "Kafka clients made anew")
WAITING = Declared("ashare_producer_publisher_waiting_bytes", "gauge", "Bytes that Kafka has not confirmed yet")
BATCHES = Declared("ashare_producer_batch_seconds", "histogram", "Time until Kafka confirmed a batch")
BATCH_BYTES = Declared("ashare_producer_batch_bytes_total", "counter", "Bytes of memory that confirmed batches took")
EVENTS = Declared("ashare_producer_feed_events_total", "counter", "Events announced, by kind", ("kind",))
GAPS = Declared(
    "ashare_producer_gaps_total", "counter", "Times in which ticks are missing, by how that was found", ("detected",)
)
CAUSES = Declared("ashare_producer_dead_letters_by_cause_total", "counter", "Dead letters by cause", ("cause",))
FLAWS = Declared("ashare_producer_flaws_total", "counter", "Flaws that the quality gate found", ("flaw",))
UNREAD = Declared("ashare_producer_unread_fields_total", "counter", "Fields that could not be read", ("field",))
SWITCHES = Declared("ashare_producer_switches_total", "counter", "Times that another line took over", ("stream",))
COVERED = Declared("ashare_producer_losses_covered_total", "counter", "Losses made good by another line", ("stream",))
FIRST = Declared("ashare_producer_line_first_total", "counter", "Ticks that this line brought first", _LINE)
SECOND = Declared("ashare_producer_line_second_total", "counter", "Ticks that another line had brought before", _LINE)
BEHIND = Declared(
    "ashare_producer_line_behind_seconds", "gauge", "How far this line was behind the first", ("line", "quantile")
)
SUBSCRIBED = Declared("ashare_producer_line_subscribed", "gauge", "1 while the feed has confirmed the codes", _LINE)
READABLE = Declared("ashare_producer_line_readable", "gauge", "1 while most frames can be read", _LINE)
REFUSED = Declared("ashare_producer_line_refused_codes", "gauge", "Codes that the feed refuses", _LINE)
UNSEEN = Declared("ashare_producer_line_unseen_codes", "gauge", "Codes of which no tick has come", _LINE)
TICK_AGE = Declared("ashare_producer_line_tick_age_seconds", "gauge", "How long ago the line's last tick came", _LINE)
EVENT_AGE = Declared(
    "ashare_producer_line_event_age_seconds",
    "gauge",
    "How old the line's last tick was by the exchange's clock when it came",
    _LINE,
)

METRICS: Sequence[Declared] = (
    SESSION_OPEN,
    *_COUNTED.values(),
    ACKNOWLEDGED,
    RESENT,
    REBUILT,
    WAITING,
    BATCHES,
    BATCH_BYTES,
    EVENTS,
    GAPS,
    CAUSES,
    FLAWS,
    UNREAD,
    SWITCHES,
    COVERED,
    FIRST,
    SECOND,
    BEHIND,
    SUBSCRIBED,
    READABLE,
    REFUSED,
    UNSEEN,
    TICK_AGE,
    EVENT_AGE,
)


def counted(streams: Sequence[Stream]) -> Counters:
    """The sum of all lines."""
    summed = total(pipeline.counters for stream in streams for pipeline in stream.pipelines)
    summed.frames = sum(line.frames for stream in streams for line in stream.lines)
    return summed


class ProducerMetrics:
    """Reads the figures of the producer."""

    def __init__(
        self, streams: Callable[[], Sequence[Stream]], publisher: Publisher, session: OpenNow, *, own_clock: bool
    ) -> None:
        """Nothing is read yet; ``own_clock``: the feeds' times are not comparable with ours."""
        self._session, self._own_clock = session, own_clock
        self._streams = streams
        self._publisher = publisher

    def read(self, to: Readings) -> None:
        """Add the values of now."""
        streams, publisher = self._streams(), self._publisher
        is_open = self._session.at(now() // 1000)
        to.add(SESSION_OPEN.name, None if is_open is None else int(is_open))
        summed = counted(streams)
        for name, declared in _COUNTED.items():
            to.add(declared.name, getattr(summed, name))
        to.add(ACKNOWLEDGED.name, publisher.acknowledged)
        to.add(RESENT.name, publisher.resent)
        to.add(REBUILT.name, publisher.rebuilt)
        to.add(WAITING.name, publisher.unacknowledged_bytes)
        to.add_durations(BATCHES.name, publisher.batches)
        to.add(BATCH_BYTES.name, publisher.acknowledged_bytes)
        events: Counter[str] = Counter()
        gaps: Counter[str] = Counter(dict.fromkeys(get_args(Detected), 0))  # an increase is seen from 0 on
        for stream in streams:
            events.update(stream.events.counts)
            gaps.update(stream.events.gaps)
        for metric, counts in ((CAUSES, summed.causes), (FLAWS, summed.flaws), (EVENTS, events), (GAPS, gaps)):
            for label, count in sorted(counts.items()):
                to.add(metric.name, count, label)
        unread: Counter[str] = Counter()
        for stream in streams:
            _redundancy(to, stream)
            for line in stream.lines:
                unread.update(line.guard.unread)
                _line(to, line)
                if not self._own_clock:
                    to.add(EVENT_AGE.name, None if line.event_age is None else round(line.event_age, 3), line.name)
        for field, count in sorted(unread.items()):
            to.add(UNREAD.name, count, field)


def _line(to: Readings, line: Line) -> None:
    subscription, ticked = line.subscription, line.ticked_at
    to.add(SUBSCRIBED.name, int(line.state == "subscribed"), line.name)
    to.add(READABLE.name, int(line.unreadable is None), line.name)
    to.add(REFUSED.name, len(subscription.refused), line.name)
    to.add(UNSEEN.name, len(subscription.unseen), line.name)
    to.add(TICK_AGE.name, None if ticked is None else round(max(0.0, now() - ticked) / 1e6, 3), line.name)


def _redundancy(to: Readings, stream: Stream) -> None:
    """Of a stream of several lines: which of them was first, and by how much."""
    redundant, arbiter = stream.redundant, stream.arbiter
    if redundant is None or arbiter is None:
        return
    source = stream.numbering.source
    to.add(SWITCHES.name, redundant.switches, source)
    to.add(COVERED.name, redundant.covered, source)
    for member, brought in zip(redundant.members, arbiter.statistics, strict=True):
        to.add(FIRST.name, brought.first, member.name)
        to.add(SECOND.name, brought.second, member.name)
        for share in (0.5, 0.99):
            behind = brought.behind.at(share)
            to.add(BEHIND.name, None if behind is None else behind / 1e6, member.name, share)
