"""What the producer shows as counters, by their names in Prometheus' text form."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from broker.publisher import Publisher
from producer.pipeline.counters import Counters, numbers, total
from producer.streams import Stream


def counted(streams: Sequence[Stream]) -> Counters:
    """The sum of all lines."""
    summed = total(pipeline.counters for stream in streams for pipeline in stream.pipelines)
    summed.frames = sum(line.frames for stream in streams for line in stream.lines)
    return summed


def metrics(streams: Sequence[Stream], publisher: Publisher) -> dict[str, int]:
    """Everything that is counted, by name and labels."""
    summed = counted(streams)
    shown = {f"{name}_total": value for name, value in numbers(summed).items()}
    shown |= {
        "records_acknowledged_total": publisher.acknowledged,
        "records_resent_total": publisher.resent,
        "kafka_clients_rebuilt_total": publisher.rebuilt,
    }
    shown |= {f"dead_letters_total{{cause={_quoted(cause)}}}": value for cause, value in summed.causes.items()}
    shown |= {f"flaws_total{{flaw={_quoted(flaw)}}}": value for flaw, value in summed.flaws.items()}
    unread: Counter[str] = Counter()
    for stream in streams:
        for line in stream.lines:
            unread.update(line.guard.unread)
        shown |= _redundancy(stream)
    return shown | {f"unread_total{{field={_quoted(field)}}}": value for field, value in unread.items()}


def _redundancy(stream: Stream) -> dict[str, int]:
    """Of a stream of several lines: which of them was first, and by how much."""
    redundant, arbiter = stream.redundant, stream.arbiter
    if redundant is None or arbiter is None:
        return {}
    source = stream.numbering.source
    shown = {
        f'switches_total{{stream="{source}"}}': redundant.switches,
        f'losses_covered_total{{stream="{source}"}}': redundant.covered,
    }
    for member, brought in zip(redundant.members, arbiter.statistics, strict=True):
        shown[f'first_total{{line="{member.name}"}}'] = brought.first
        shown[f'second_total{{line="{member.name}"}}'] = brought.second
        for share in (0.5, 0.99):
            behind = brought.behind.at(share)
            if behind is not None:
                shown[f'behind_us{{line="{member.name}",quantile="{share}"}}'] = behind
    return shown


def _quoted(text: str) -> str:
    """A label's value as Prometheus' text form wants it."""
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", " ") + '"'
