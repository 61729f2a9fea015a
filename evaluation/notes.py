"""What to mind when reading the figures of a line. Pure."""

from __future__ import annotations

from evaluation.figures import LineFigures, RaceFigures
from producer.gaps.drift import SMALLEST_MS
from producer.gaps.drift import described as in_words
from producer.pipeline.quality import FUTURE, STALE

_FAST_MS = -1.0
_TURN_MS = 1.0


def notes(line: LineFigures) -> list[str]:
    """Sentences, each for itself; none where the figures say all."""
    said: list[str] = []
    offset = line.offset_ms
    if line.own_clock and offset is not None:
        said.append(
            f"{in_words(-round(offset))}; only the latency above the least one says something"
            + ("; --own-clock keeps the quality gate from judging its times" if _judged(line) else "")
        )
    elif offset is not None and offset >= SMALLEST_MS:
        said.append(f"{in_words(-round(offset))}; no tick came sooner after its time")
    elif offset is not None and offset < _FAST_MS:
        said.append(
            f"the least latency is negative, {offset:,.1f} ms: the local clock is slow or the provider's is fast;"
            " set the local one by NTP, and read the latency above the least one until then"
        )
    said += _unread(line)
    if line.whole_seconds:
        said.append("its times are whole seconds: a latency is known to 1 s only")
    if line.ahead_ticks:
        said.append(
            f"{line.ahead_ticks:,} of the ticks had a time over a minute ahead of what the others say: they are left"
            " out of the least latency, and of nothing else"
        )
    if line.held_ticks:
        said.append(
            f"{line.held_ticks:,} of the ticks came over a minute later than the fastest: from a cache, or held back;"
            " they are in the latency"
        )
    if line.equal and line.sequence != "code":
        said.append(
            "ticks without a number that equal an earlier one may be true trades of the same ms, price and volume:"
            " they are counted, not judged"
        )
    if not line.gaps and line.sequence != "packet" and line.volume_is != "cumulative":
        said.append("nothing in this feed tells a lost tick: no gap means only that no connection was lost")
    if line.ended:
        said.append(f"it ended early: {line.ended}")
    return [f"{line.name}: {text}" for text in said]


def _unread(line: LineFigures) -> list[str]:
    said = []
    unreadable = sum(line.malformed.values())
    if unreadable > line.ticks:
        kind = max(line.malformed, key=line.malformed.__getitem__)
        said.append(
            f"{unreadable:,} of {unreadable + line.ticks:,} ticks or frames can't be read, most often: {kind},"
            f" as in {line.malformed_as or kind!r}"
        )
    if line.unread:
        fields = ", ".join(f"{field} ({count:,})" for field, count in line.unread.items())
        said.append(f"fields that could not be read, and are null: {fields}")
    return said


def _judged(line: LineFigures) -> bool:
    return not line.flaws.keys().isdisjoint({FUTURE, STALE})


def notes_of_race(race: RaceFigures) -> list[str]:
    """Likewise, of two lines beside one another."""
    middles = [lead.p50 for lead in race.lead if lead.p50 is not None]
    if not middles or max(middles) >= _TURN_MS:
        return []
    return [f"leads below {_TURN_MS:g} ms say whose socket was read first here, not whose provider is faster"]
