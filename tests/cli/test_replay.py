"""``ashare replay`` as a command: its options, its outputs, its end."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from broker import admin
from broker.publisher import Publisher
from cli.replaying import Wanted, read_output, read_request, read_through
from consumers.replay.bounds import Edge, ExchangeTime
from consumers.replay.outputs.feed import ToFeed
from consumers.replay.pace import Pace
from schemas import Tick, UsageError, encode
from schemas.topics import PRICE_CHANGES, TICKS, Topic, topics

NOW = 1_795_150_000_000
CODES = ("688111", "688112")
TIME = 1_795_138_200_000
PARTITION = 5


def refused(**options: object) -> str:
    """The one-line error that an impossible command ends with."""
    wanted = Wanted(bootstrap="127.0.0.1:1", **options)  # type: ignore[arg-type]

    def read() -> None:
        request = read_request(wanted, now=NOW)
        read_output(wanted, request, read_through(wanted, request), say=lambda _: None)

    with pytest.raises(UsageError) as error:
        read()
    assert "\n" not in str(error.value)
    return str(error.value)


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"topic": "tick"}, "did you mean ticks"),
        ({"start": "yesterday"}, "--from 'yesterday'"),
        ({"end": "2026-13-01"}, "--to '2026-13-01'"),
        ({"codes": "6005"}, "--codes"),
        ({"boards": "NASDAQ"}, "--boards"),
        ({"topic": "feed-events", "codes": "600519"}, "--codes"),
        ({"pace": "fast"}, "--pace 'fast'"),
        ({"longest_pause": "long"}, "--longest-pause"),
        ({"lateness": "5"}, "--lateness"),
        ({"to_topic": PRICE_CHANGES}, "is a live topic"),
        ({"to_topic": "mine", "serve": 0}, "--to-topic and --serve"),
        ({"to_file": Path("ticks.xlsx")}, ".parquet"),
        ({"to_file": Path("no/such/folder/t.csv")}, "no folder"),
        ({"form": "parquet"}, "needs --to-file"),
        ({"form": "csv", "serve": 0}, "--format"),
        ({"topic": "price-changes", "serve": 0}, "--serve"),
        ({"through": "changes", "serve": 0}, "--serve"),
        ({"topic": "price-changes", "through": "changes"}, "--through changes is for ticks"),
        ({"through": "changes", "threshold": "much"}, "much"),
    ],
)
def test_what_does_not_go_together_is_refused_before_anything_is_read(options: dict[str, object], text: str) -> None:
    """In one line that names the option; no broker is asked."""
    assert text in refused(**options)


def test_options_become_a_request() -> None:
    """Topics by their short names; flat out by default, at the original pace where a strategy listens."""
    request = read_request(Wanted("b:1", topic="price-changes", end="2026-11-20 10:00"), now=NOW)
    assert (request.topic, request.kind, request.start) == (PRICE_CHANGES, "price-change", Edge.EARLIEST)
    assert request.end == ExchangeTime(TIME + 1_800_000)
    assert request.pace.flat
    served = Wanted("b:1", serve=0)
    request = read_request(served, now=NOW)
    assert request.pace == Pace(factor=1.0)
    assert isinstance(read_output(served, request, None, say=lambda _: None), ToFeed)
    other = read_request(Wanted("b:1", topic="replay.mine", through="changes"), now=NOW)
    assert (other.topic, other.kind) == ("replay.mine", "tick")
    assert read_request(Wanted("b:1", longest_pause="none"), now=NOW).longest_pause > 10**15


@pytest.fixture(scope="module")
def ticks(bootstrap: str) -> list[Tick]:
    """Ticks of two codes of this module's own in the shared tick topic."""
    made = [
        Tick(
            code=CODES[n % 2], exchange="SSE", price=(1_000 + n % 37) / 100, time=TIME + n * 10,
            received=(TIME + n * 10) * 1000, source="replay-test", run=1, n=n + 1,
        )
        for n in range(3_000)
    ]  # fmt: skip

    async def publish() -> None:
        publisher = Publisher(bootstrap, client_id="test")
        await publisher.start(TICKS)
        for tick in made:
            publisher.queue(TICKS, _partition(tick.code)).add(tick.code.encode(), encode(tick), tick.received // 1000)
        await publisher.stop()

    with ThreadPoolExecutor(1) as pool:
        pool.submit(lambda: asyncio.run(publish())).result()
    return made


def _partition(code: str) -> int:
    from schemas.topics import partition_of

    return partition_of(code, topics()[TICKS].partitions)


def command(bootstrap: str, *options: str) -> list[str]:
    return [sys.executable, "-m", "cli", "replay", "--bootstrap", bootstrap, "--codes", ",".join(CODES), *options]


def replayed(bootstrap: str, *options: str) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(command(bootstrap, *options), capture_output=True, timeout=60, check=False)


def test_lines_go_to_standard_output_and_everything_else_to_standard_error(bootstrap: str, ticks: list[Tick]) -> None:
    """So that it can be piped; the last line sums up."""
    done = replayed(bootstrap, "--from", "2026-11-20 09:30:01")
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [encode(tick) for tick in ticks[100:]]
    assert re.search(rb"replay: 2,900 records in [0-9.]+ s", done.stderr)
    assert b"offsets from the log" in done.stderr
    rows = replayed(bootstrap, "--format", "csv", "--to", "2026-11-20 09:30:01").stdout.splitlines()
    assert rows[0].startswith(b"code,exchange,price,time")
    assert len(rows) == 101


def test_a_reader_that_has_enough_ends_it_quietly(bootstrap: str, ticks: list[Tick]) -> None:
    """As ``| head`` does."""
    process = subprocess.Popen(command(bootstrap, "--pace", "2000/s"), stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stderr is not None
    assert json.loads(process.stdout.readline())["code"] in CODES
    process.stdout.close()
    assert process.wait(30) == 0
    assert b"Traceback" not in process.stderr.read()
    process.stderr.close()
    assert len(ticks) == 3_000


def test_reprocessing_twice_writes_the_same_file(bootstrap: str, ticks: list[Tick], tmp_path: Path) -> None:
    """Byte for byte; another threshold writes another."""
    paths = [tmp_path / name for name in ("one.jsonl", "two.jsonl", "other.jsonl")]
    for path, threshold in zip(paths, ("0.05", "0.05", "0.2"), strict=True):
        done = replayed(bootstrap, "--through", "changes", "--threshold", threshold, "--to-file", str(path))
        assert done.returncode == 0, done.stderr
    once, twice, other = (path.read_bytes() for path in paths)
    assert once == twice
    assert 0 < len(other.splitlines()) < len(once.splitlines()) < len(ticks)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130), (signal.SIGHUP, 143)])
def test_a_signal_ends_it_and_leaves_no_half_a_file(
    bootstrap: str, ticks: list[Tick], tmp_path: Path, number: int, code: int
) -> None:
    """With the shell's exit code of a signal."""
    path = tmp_path / "ticks.csv"
    process = subprocess.Popen(command(bootstrap, "--pace", "10/s", "--to-file", str(path)), stderr=subprocess.PIPE)
    deadline = time.monotonic() + 30
    while not (tmp_path / "ticks.csv.part").exists() and time.monotonic() < deadline:
        time.sleep(0.02)
    process.send_signal(number)
    _, said = process.communicate(timeout=30)
    assert process.returncode == code, said
    assert b"Traceback" not in said
    assert list(tmp_path.iterdir()) == []
    assert ticks


def test_a_live_topic_is_refused_with_exit_code_2() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "cli", "replay", "--to-topic", TICKS, "--bootstrap", "127.0.0.1:1"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env={name: value for name, value in os.environ.items() if not name.startswith("ASHARE_")},
    )
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
    assert "live topic" in done.stderr


def test_at_a_terminal_keys_pause_and_end_it(bootstrap: str, ticks: list[Tick], tmp_path: Path) -> None:
    """Space stops the records, space lets them go on; what the terminal was like comes back."""
    import pty
    import termios

    main, side = pty.openpty()
    before = termios.tcgetattr(side)
    path = tmp_path / "out.jsonl"
    with path.open("wb") as out:
        process = subprocess.Popen(
            command(bootstrap, "--pace", "300/s"), stdin=side, stdout=out, stderr=side, start_new_session=True
        )

    def lines() -> int:
        return path.read_bytes().count(b"\n")

    def until(condition: bool, wanted: int) -> None:
        deadline = time.monotonic() + 30
        while (lines() > wanted) != condition and time.monotonic() < deadline:
            time.sleep(0.02)
        assert (lines() > wanted) == condition

    try:
        until(condition=True, wanted=50)
        os.write(main, b" ")
        seen = b""
        while b"paused" not in seen:
            seen += os.read(main, 4096)
        held = lines()
        time.sleep(0.5)
        assert lines() == held
        os.write(main, b" ")
        until(condition=True, wanted=held + 50)
        os.write(main, b"\x1b[C")
        # A minute is more than is left: the replay is over.
        reading = ThreadPoolExecutor(1)
        reading.submit(_drain, main)
        assert process.wait(30) == 0
        assert lines() < len(ticks)
        assert termios.tcgetattr(side) == before
    finally:
        process.kill()
        process.wait()
        os.close(side)
        reading.shutdown()
        os.close(main)


def _drain(descriptor: int) -> None:
    try:
        while os.read(descriptor, 4096):
            pass
    except OSError:
        pass


def test_a_terminal_obeys_no_record_and_a_file_gets_every_byte(bootstrap: str, tmp_path: Path) -> None:
    """Escape sequences, C1 controls, marks that turn the direction, and what is not text."""
    import pty

    name = f"replay.foreign-{time.time_ns()}"
    values = [
        b'{"a":"\x1b]0;owned\x07"}',
        '{"b":"\x9b2J\u202e"}'.encode(),
        b"\xff\xfe\x1b[2J",
        '{"c":"贵州茅台"}'.encode(),
    ]

    async def publish() -> None:
        await admin.apply(bootstrap, {name: Topic(name, "", "", "", 1, 1, {"cleanup.policy": "delete"})})
        publisher = Publisher(bootstrap, client_id="test")
        await publisher.start(name)
        for value in values:
            publisher.queue(name, 0).add(b"k", value, TIME)
        await publisher.stop()

    with ThreadPoolExecutor(1) as pool:
        pool.submit(lambda: asyncio.run(publish())).result()
    asked = [sys.executable, "-m", "cli", "replay", name, "--bootstrap", bootstrap]
    whole = subprocess.run(asked, capture_output=True, timeout=60, check=True)
    assert whole.stdout == b"\n".join(values) + b"\n"
    main, side = pty.openpty()
    try:
        subprocess.run(asked, stdin=subprocess.DEVNULL, stdout=side, stderr=subprocess.DEVNULL, timeout=60, check=True)
        shown = b""
        while "贵州茅台".encode() not in shown:
            shown += os.read(main, 65_536)
        assert not {character for character in shown.decode() if not character.isprintable()} - {"\r", "\n"}
        assert b"\\x1b]0;owned\\x07" in shown
    finally:
        os.close(side)
        os.close(main)
