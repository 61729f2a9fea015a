"""From the options of ``ashare replay`` to a replay that runs: reads them, refuses what does not go together."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import secrets
import signal
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Literal, cast

from cli.archives import existing
from cli.following import topic_name
from cli.serving import ReplayServer
from cli.terminal import live
from consumers.replay import bounds, pace, selection
from consumers.replay.controls import Controls
from consumers.replay.outputs.base import Output
from consumers.replay.outputs.feed import ToFeed
from consumers.replay.outputs.files import WholeFile
from consumers.replay.outputs.lines import Lines, Stream
from consumers.replay.outputs.topic import ToTopic
from consumers.replay.progress import LiveProgress, PlainProgress
from consumers.replay.run import Progress, Request, Summary, replay
from consumers.replay.terminal import HELP, interactive, keyboard
from consumers.replay.through import Through, ThroughBars, ThroughChanges, ThroughSnapshots
from jobs.thresholds import parse_overrides
from schemas import UsageError
from schemas.outside import printable, printable_lines
from schemas.topics import topics
from simulator.server import Settings

_FORMS = {".jsonl": "json", ".ndjson": "json", ".json": "json", ".csv": "csv", ".parquet": "parquet", ".arrow": "arrow"}
_FOR_EVER = 1 << 60


@dataclass(frozen=True)
class Wanted:
    """The options as they were given; ``ashare replay --help`` says what each means."""

    bootstrap: str
    topic: str = "ticks"
    start: str = "earliest"
    end: str = "end"
    codes: str = ""
    boards: str = ""
    pace: str | None = None
    longest_pause: str = "30m"
    to_file: Path | None = None
    form: str | None = None
    overwrite: bool = False
    to_topic: str | None = None
    replay_id: str | None = None
    serve: int | None = None
    host: str = "127.0.0.1"
    token: str | None = None
    ticks_per_frame: int = 50
    through: str | None = None
    threshold: str = "0.01"
    thresholds: str = ""
    archive: Path | None = None
    partial: bool = False
    scan: bool = False
    lateness: str | None = None


def said(line: str) -> None:
    """A line for the person at standard error: standard output is the records' own."""
    print(f"replay: {printable(line)}", file=sys.stderr, flush=True)


async def run(wanted: Wanted) -> int:
    """Replay; SIGTERM and Ctrl-C end it before its end, and its readers are told so.

    Returns:
        The records that were given out.

    Raises:
        UsageError: an option is wrong, or does not go with another.
        ReadError, DeliveryError: as ``replay`` raises them.
    """
    request = read_request(wanted, now=time.time_ns() // 1_000_000)
    through = read_through(wanted, request)
    output = read_output(wanted, request, through, say=said)
    controls = Controls(seekable=output.seekable and through is None)
    # A replay makes millions of short-lived objects and no cycles: looking for some would take a quarter of the time.
    gc.freeze()
    gc.set_threshold(200_000, 50, 50)
    own = asyncio.current_task()
    assert own is not None
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, own.cancel)
    with contextlib.ExitStack() as stack:
        # Records that scroll through the terminal, and a line that stays, do not go together.
        scrolling = sys.stdout.isatty() and not (wanted.to_file or wanted.to_topic or wanted.serve is not None)
        progress: Progress = PlainProgress(said)
        if interactive():
            said(HELP)
            stack.enter_context(keyboard(controls))
            if live(sys.stderr):
                progress = LiveProgress(controls, request.topic)
        summary = await replay(
            request, output, controls=controls, say=said, through=through, progress=None if scrolling else progress
        )
    said(summed_up(summary, request))
    if not summary.given and wanted.to_file is not None:
        said(f"{wanted.to_file} is not written")
    return summary.given


def summed_up(summary: Summary, request: Request) -> str:
    """The last line."""
    rate = summary.given / summary.seconds if summary.seconds else 0.0
    parts = [f"{summary.given:,} records in {summary.seconds:,.1f} s, {rate:,.0f}/s"]
    if not request.pace.flat and summary.given:
        parts.append(f"99 % at most {summary.late * 1000:.1f} ms late")
    if summary.repeated:
        parts.append(f"{summary.repeated:,} ticks had been sent again and count once")
    if summary.unreadable:
        parts.append(f"{summary.unreadable:,} left out: no record of this kind")
    if not summary.given:
        parts.append("nothing in this range: `ashare topics describe` shows what there is")
    return "; ".join(parts)


def read_request(wanted: Wanted, *, now: int) -> Request:
    """What to replay.

    Raises:
        UsageError: names the option and how to write it.
    """
    name = _topic(wanted.topic)
    declared = topics().get(name)
    kind = declared.record if declared else ""
    if wanted.through and not declared:
        kind = "tick"
    text = wanted.pace or ("flat" if wanted.serve is None else "original")
    longest = _FOR_EVER
    if wanted.longest_pause != "none":
        longest = bounds.duration(wanted.longest_pause, flag="--longest-pause")
    return Request(
        bootstrap=wanted.bootstrap,
        topic=name,
        kind=kind,
        start=bounds.parse(wanted.start, flag="--from", now=now),
        end=bounds.parse(wanted.end, flag="--to", now=now),
        codes=selection.read_codes(wanted.codes, kind),
        boards=selection.read_boards(wanted.boards, kind),
        pace=pace.parse(text),
        longest_pause=longest,
        archive=existing(wanted.archive),
        partial=wanted.partial,
        scan=wanted.scan,
        lateness=None if wanted.lateness is None else bounds.duration(wanted.lateness, flag="--lateness"),
    )


def _topic(given: str) -> str:
    """A topic's full name; one that is not declared, as a replay's own, is taken as it stands if it has a dot."""
    try:
        return topic_name(given)
    except UsageError:
        if "." in given:
            return given
        raise


def read_through(wanted: Wanted, request: Request) -> Through | None:
    """The job that the ticks go through.

    Raises:
        UsageError: these records are not ticks, or a threshold is none.
    """
    if wanted.through is None:
        return None
    if request.kind != "tick":
        raise UsageError(
            f"--through {wanted.through} is for ticks, and {request.topic} holds records of {request.kind!r}"
        )
    if wanted.through == "snapshots":
        return ThroughSnapshots()
    if wanted.through == "bars":
        return ThroughBars()
    return ThroughChanges(parse_overrides(wanted.threshold, wanted.thresholds), request.topic)


def read_output(wanted: Wanted, request: Request, through: Through | None, *, say: Callable[[str], None]) -> Output:
    """Where the records go.

    Raises:
        UsageError: two outputs, or one that these records can't go to.
    """
    asked = [
        flag
        for flag, given in (("--to-file", wanted.to_file), ("--to-topic", wanted.to_topic), ("--serve", wanted.serve))
        if given is not None
    ]
    if len(asked) > 1:
        raise UsageError(f"{' and '.join(asked)}: a replay has one output, so run one for each")
    if wanted.form and wanted.to_file is None and asked:
        raise UsageError(f"--format is for --to-file and standard output, not for {asked[0]}")
    kind = through.kind if through else request.kind
    name = wanted.replay_id or f"{time.strftime('%Y%m%dT%H%M%S', time.gmtime())}-{secrets.token_hex(3)}"
    if wanted.to_topic is not None:
        output = ToTopic(wanted.bootstrap, wanted.to_topic, source=request.topic, replay_id=name, say=say)
        say(f"replay id {name}")
        return output
    if wanted.serve is not None:
        if kind != "tick" or through:
            raise UsageError(
                "--serve speaks the feed's protocol, which knows ticks alone: replay ticks, without --through"
            )
        settings = Settings(
            host=wanted.host, port=wanted.serve, token=wanted.token, ticks_per_frame=wanted.ticks_per_frame
        )
        return ToFeed(ReplayServer(settings, say), paced=not request.pace.flat, replay_id=name)
    if wanted.to_file is not None:
        return _file(wanted, kind)
    if wanted.form in ("parquet", "arrow"):
        raise UsageError(f"--format {wanted.form} needs --to-file")
    # To a file or a pipe the records go byte for byte; what a terminal shows, it must not obey.
    stream = cast("BinaryIO", _Terminal()) if sys.stdout.isatty() else sys.stdout.buffer
    return Lines(Stream(stream), kind, cast('Literal["json", "csv"]', wanted.form or "json"), seekable=True)


class _Terminal:
    """Standard output where it is a terminal: takes whole lines of bytes."""

    def write(self, data: bytes) -> None:
        sys.stdout.write(printable_lines(data.decode("utf-8", "backslashreplace")))

    def flush(self) -> None:
        sys.stdout.flush()


def _file(wanted: Wanted, kind: str) -> Output:
    path = wanted.to_file
    assert path is not None
    form = wanted.form or _FORMS.get(path.suffix.lower())
    if form is None:
        raise UsageError(f"--to-file {path}: end its name with .jsonl, .csv, .parquet or .arrow, or give --format")
    whole = WholeFile(path, overwrite=wanted.overwrite)
    if form in ("json", "csv"):
        return Lines(whole, kind, cast('Literal["json", "csv"]', form))
    # pyarrow is 40 MB that the other outputs spare.
    from consumers.replay.outputs.tables import Table

    return Table(whole, kind, cast('Literal["parquet", "arrow"]', form))
