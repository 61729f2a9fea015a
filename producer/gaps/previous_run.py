"""How the last run of each source ended, as its topics show: what a new run must be above, and what nobody received.

A producer that is killed announces nothing more, and what Kafka had not acknowledged is lost with it. As that was the
end of a run, no number shows it. So the next run announces the gap: from the last tick up to which the log is whole.
"""

from __future__ import annotations

import logging
import time
from array import array
from collections.abc import AsyncIterator, Collection, Container, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from aiokafka import TopicPartition
from aiokafka.errors import KafkaError

from broker.chunk import Chunk
from broker.reader import ChunkReader, ReadError
from market.times import SHANGHAI
from schemas import FeedEvent, RecordError, Tick, UsageError, decode
from schemas.bounds import RUN_AHEAD_MS
from schemas.topics import FEED_EVENTS, TICKS

log = logging.getLogger(__name__)

LOOK_SECONDS = 10.0
"""How long the start of a producer may take to look back. What was not found by then is announced with less detail."""
_EVENTS_FIRST = 2_000
_TICKS_FIRST = 4_096
"""Records of a partition that are looked at first; then four times as many, and so on."""
_WIDER = 4
_TICKS_MOST = 500_000
"""Ticks of one source's tail that are enough: 64 MiB, which the publisher holds at most, are fewer."""
UNACKNOWLEDGED_US = 60_000_000
"""How far before a source's last tick its tail is searched for a hole: a batch waits for its acknowledgement, and then
for a new client, some 30 s each."""


_ALWAYS = 1 << 62


@dataclass(frozen=True)
class PreviousRun:
    """The last run of a source.

    Attributes:
        run: the highest that was published.
        since: from when on ticks may be missing, µs since the epoch; ``None`` where it stopped cleanly.
        reason: in words.
    """

    run: int
    since: int | None = None
    reason: str = ""


@dataclass
class _Run:
    """What the events show of one run."""

    began: int = _ALWAYS
    at: int = 0
    stopped: int | None = None
    announced: bool = False
    subscribed: bool = False


class _Part:
    """The ticks of one source in one partition that were looked at: those of its highest run.

    Attributes:
        begun: whether the run began within what was looked at.
    """

    __slots__ = ("begun", "numbers", "received", "run")

    def __init__(self) -> None:
        self.run = -1
        self.begun = False
        self.numbers = array("q")
        self.received = array("q")

    def add(self, tick: Tick) -> None:
        if tick.run == self.run:
            self.numbers.append(tick.n)
            self.received.append(tick.received)
        elif tick.run > self.run:
            self.begun = self.run >= 0
            self.run = tick.run
            self.numbers, self.received = array("q", [tick.n]), array("q", [tick.received])
        else:
            self.begun = True


@dataclass(frozen=True)
class _Tail:
    """What the partitions show together of a source's highest run.

    Attributes:
        run: -1 where no tick was found.
        n, received: the last tick up to which none is missing; where the first ones are, 0 and the first that is there.
        deep: what lies before that was looked at far enough back.
    """

    run: int = -1
    n: int = 0
    received: int = 0
    deep: bool = False


def _tail(parts: Iterable[_Part], entire: Container[int]) -> _Tail:
    numbered = list(enumerate(parts))
    run = max((part.run for _, part in numbered), default=-1)
    if run < 0:
        return _Tail()
    mine = [(number, part) for number, part in numbered if part.run == run]
    # From here on every tick of the run was looked at.
    since = max(0 if part.begun or number in entire else min(part.numbers) for number, part in mine)
    times = {
        n: received for _, part in mine for n, received in zip(part.numbers, part.received, strict=True) if n >= since
    }
    known = sorted(times)
    last = known[0]
    if since > 0 or last == 1:
        for n in known[1:]:
            if n != last + 1:
                break
            last = n
    deep = since == 0 or times[known[-1]] - times[known[0]] >= UNACKNOWLEDGED_US or len(times) >= _TICKS_MOST
    return _Tail(run, last if since > 0 or known[0] == 1 else 0, times[last], deep)


class History:
    """What the topics show of some sources. No I/O."""

    def __init__(self, sources: Iterable[str]) -> None:
        """Nothing was read."""
        self._runs: dict[str, dict[int, _Run]] = {source: {} for source in sources}
        self._parts: dict[str, dict[int, _Part]] = {source: {} for source in self._runs}
        self._tails: dict[str, _Tail] = {source: _Tail() for source in self._runs}

    # -- events --------------------------------------------------------------------------------------------------------

    def events(self, values: Iterable[bytes | None]) -> None:
        """Take feed events in, in any order of their windows; in one, in the order of the topic."""
        for value in values:
            try:
                event = decode(FeedEvent, value or b"")
            except RecordError:
                continue  # readers of the topic report it
            runs = self._runs.get(event.source)
            if runs is None:
                continue
            run = runs.setdefault(event.run, _Run())
            run.began, run.at = min(run.began, event.at), max(run.at, event.at)
            match event.event:
                case "stopped":
                    run.stopped = event.n
                case "subscribed":
                    run.subscribed = True
                case "gap" if event.detected == "killed":
                    run.announced = True

    def settled(self) -> bool:
        """Whether the events that were read show of every source how its last run ended, and what came before it."""
        return all(runs and self._unclosed(runs)[1] for runs in self._runs.values())

    @staticmethod
    def _unclosed(runs: Mapping[int, _Run]) -> tuple[int | None, bool]:
        """The run whose end nobody announced, ``None`` if the last one stopped; and whether more can't change it.

        A run that was killed before it announced the end of the run before it leaves that to the next.
        """
        found: int | None = None
        for number in sorted(runs, reverse=True):
            run = runs[number]
            if run.stopped is not None:
                return found, True
            found = number
            if run.announced:
                return found, True
        return found, False

    # -- ticks ---------------------------------------------------------------------------------------------------------

    def ticks(self, partition: int, ticks: Iterable[Tick | None]) -> None:
        """Take ticks of a partition in, window by window, the last one first."""
        parts = self._parts
        for tick in ticks:
            if tick is not None and tick.source in parts:
                by_partition = parts[tick.source]
                part = by_partition.get(partition)
                if part is None:
                    part = by_partition[partition] = _Part()
                part.add(tick)

    def looked(self, entire: Collection[int]) -> None:
        """A window of every partition was taken in; some were looked at from their beginning."""
        for source, by_partition in self._parts.items():
            numbers = [place for place, partition in enumerate(by_partition) if partition in entire]
            self._tails[source] = _tail(by_partition.values(), numbers)

    def deep(self) -> bool:
        """Whether the ticks looked at show all that there is to know of every source."""
        return all(
            tail.deep or self._clean(source) or not any(run.subscribed for run in self._runs[source].values())
            for source, tail in self._tails.items()
        )

    def _clean(self, source: str) -> bool:
        """Whether the last run stopped, and the last tick that it spoke of is in the log, as far as is known."""
        runs, tail = self._runs[source], self._tails[source]
        last = max([*runs, tail.run])
        stopped = runs[last].stopped if last in runs else None
        if stopped is None:
            return False
        return tail.run != last or tail.n >= stopped

    # -- what follows --------------------------------------------------------------------------------------------------

    def previous_runs(self) -> dict[str, PreviousRun]:
        """The last run of each source that has one."""
        return {
            source: self._previous_run(source)
            for source, tail in self._tails.items()
            if self._runs[source] or tail.run >= 0
        }

    def _previous_run(self, source: str) -> PreviousRun:
        runs, tail = self._runs[source], self._tails[source]
        last = max([*runs, tail.run])
        if self._clean(source):
            return PreviousRun(last)
        unclosed = self._unclosed(runs)[0]
        whole = last in runs and runs[last].stopped is not None
        ended = f"the producer before (run {last}) {'could not deliver all at its end' if whole else 'was killed'}"
        if tail.run >= 0 and (unclosed is None or tail.run <= unclosed or unclosed not in runs):
            text = f"{ended}: of run {tail.run} nothing is known to be missing up to n {tail.n}"
            began = runs[tail.run].began if not tail.n and tail.run in runs else tail.received
            return PreviousRun(last, min(began, tail.received), text)
        # None of its ticks is within reach, or a later run has some and nobody announced what is missing before them.
        if unclosed is None or not any(run.subscribed for run in runs.values()):
            return PreviousRun(last)
        return PreviousRun(last, runs[unclosed].at, f"{ended}: its last feed event is the last that is known of it")


async def look(bootstrap: str, sources: Sequence[str], *, patience: float = LOOK_SECONDS) -> dict[str, PreviousRun]:
    """Read how the last runs of these sources ended; sources that never had one are left out.

    Takes ``patience`` seconds at most, but for a broker that does not answer: what lies too far back to be found by
    then is announced from the last that is known.
    """
    began = time.monotonic()
    history = History(sources)
    try:
        async with ChunkReader(bootstrap, client_id=f"ashare-producer-{sources[0]}-start") as reader:
            await _events(reader, history, began + patience / 2)
            await _ticks(reader, history, began + patience)
    except (ReadError, KafkaError) as error:
        log.warning("how the last run ended can't be read to its end: %s", error)
    found = history.previous_runs()
    took = time.monotonic() - began
    log.info("looked back at the last run of %d of %d sources in %.1f s", len(found), len(sources), took)
    return found


def run_after(previous: Mapping[str, PreviousRun], clock: int) -> int:
    """The run of a producer that starts now: the clock, but above every run that its sources had.

    Args:
        clock: ms since the epoch.

    Raises:
        UsageError: a run of before is ahead of the clock by more than a clock can be wrong.
    """
    run = clock
    for source, before in previous.items():
        if before.run - clock > RUN_AHEAD_MS:
            raise UsageError(
                f"--source {source}: its last run began at {_shown(before.run)}, and this machine's clock says"
                f" {_shown(clock)}: set the clock right; if it was the other clock that was wrong, give another"
                " --source"
            )
        run = max(run, before.run + 1)
    if run != clock:
        log.warning(
            "this machine's clock (%s) is behind the last run: run %d is taken, the next above it", _shown(clock), run
        )
    return run


def _shown(ms: int) -> str:
    try:
        return f"{datetime.fromtimestamp(ms / 1000, SHANGHAI):%Y-%m-%d %H:%M:%S} in Shanghai"
    except (ValueError, OverflowError, OSError):
        return f"{ms} ms since 1970"


async def _events(reader: ChunkReader, history: History, deadline: float) -> None:
    places = await _places(reader, FEED_EVENTS)
    begins, ends = await reader.begins(places), await reader.ends(places)
    width = _EVENTS_FIRST
    while not history.settled() and any(ends[tp] > begins[tp] for tp in places) and time.monotonic() < deadline:
        starts = {tp: max(begins[tp], end - width) for tp, end in ends.items()}
        async for chunk in _read(reader, {tp: (starts[tp], ends[tp]) for tp in places}):
            history.events(chunk.values)
        ends, width = starts, width * _WIDER


async def _ticks(reader: ChunkReader, history: History, deadline: float) -> None:
    places = await _places(reader, TICKS)
    begins, ends = await reader.begins(places), await reader.ends(places)
    width = _TICKS_FIRST
    while any(ends[tp] > begins[tp] for tp in places):
        starts = {tp: max(begins[tp], end - width) for tp, end in ends.items()}
        async for chunk in _read(reader, {tp: (starts[tp], ends[tp]) for tp in places}):
            history.ticks(chunk.partition, chunk.ticks)
        ends, width = starts, width * _WIDER
        # What retention took of a partition was there, and is none of a run's beginning.
        history.looked({tp.partition for tp in places if ends[tp] <= begins[tp] == 0})
        if history.deep() or time.monotonic() >= deadline:
            return


async def _places(reader: ChunkReader, topic: str) -> list[TopicPartition]:
    try:
        return await reader.partitions(topic)
    except UsageError:
        return []  # whoever needs the topic refuses to start


async def _read(reader: ChunkReader, windows: Mapping[TopicPartition, tuple[int, int]]) -> AsyncIterator[Chunk]:
    reader.assign(windows)
    while reader.left:
        for chunk in await reader.fetch():
            yield chunk
