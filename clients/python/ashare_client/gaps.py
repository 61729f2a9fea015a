"""What is not known: times in which a line was not connected, so that ticks, and changes, may be missing."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from ashare_client.records import FeedEvent


@dataclass(frozen=True)
class Gap:
    """Ticks may be missing.

    Attributes:
        source: the line that was not connected; another may have delivered the same codes.
        start: µs since the epoch, the producer's clock.
        end: likewise; `None` while it lasts.
        codes: those concerned, of those asked for; `None` for all.
        reason: in words.
    """

    source: str
    start: int
    end: int | None
    codes: frozenset[str] | None
    reason: str


def find_gaps(events: Iterable[FeedEvent], wants: Callable[[str], bool], since: int = 0) -> list[Gap]:
    """The gaps that end after a time, in order of their start.

    Of a producer that was killed the next one of its line tells; until then only the numbers `n` of the ticks do.

    Args:
        events: of all lines, each line's in order.
        wants: whether a code is asked for.
        since: µs since the epoch.
    """
    gaps: list[Gap] = []
    lost: dict[str, FeedEvent] = {}
    codes: dict[str, list[str] | str | None] = {}
    for event in events:
        source = event.source
        match event.event:
            case "disconnected" | "stopped":
                lost.setdefault(source, event)
            case "subscribed":
                codes[source] = event.codes
                if before := lost.pop(source, None):
                    gaps.append(_gap(before, _since(before), event.at, event.codes))
            case "resubscribed":
                codes[source] = event.codes
            case "gap" | "overflow":
                lost.pop(source, None)
                gaps.append(_gap(event, _since(event), event.end, event.codes))
    gaps += [_gap(event, _since(event), None, codes.get(source)) for source, event in lost.items()]
    found = []
    for gap in gaps:
        wanted = None if gap.codes is None else frozenset(filter(wants, gap.codes))
        if (gap.end is None or gap.end >= since) and (wanted is None or wanted):
            found.append(Gap(gap.source, gap.start, gap.end, wanted, gap.reason))
    return sorted(found, key=lambda gap: gap.start)


def _since(event: FeedEvent) -> int:
    """When ticks were last known to be whole: a loss is often noticed long after it began."""
    return event.at if event.start is None else min(event.start, event.at)


def _gap(event: FeedEvent, start: int, end: int | None, codes: list[str] | str | None) -> Gap:
    named = frozenset(codes) if isinstance(codes, list) else None
    return Gap(event.source, start, end, named, event.reason or event.event)
