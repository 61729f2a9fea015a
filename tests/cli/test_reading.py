"""Reading commands: what they print, and what they say when there is nothing to read."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from types import SimpleNamespace
from typing import Any

import pytest

from cli.commands import snapshot
from cli.following import topic_name
from cli.lines import as_line, as_text, head, moved, with_name, yuan
from schemas import UsageError
from schemas.topics import DEAD_LETTERS, FEED_EVENTS, PRICE_CHANGES, SNAPSHOTS, TICKS
from tests.cli.pty_of import shown


def record(value: object, headers: Any = (), key: bytes = b"600519") -> Any:
    body = value if isinstance(value, bytes) or value is None else json.dumps(value).encode()
    return SimpleNamespace(value=body, key=key, headers=headers)


TICK = {"code": "600519", "price": 1700.01, "time": 1_795_138_200_123, "volume": 300, "side": "buy"}
CHANGE = {"code": "600519", "price": 1700.01, "previous": 1699.0, "change": 1.01, "change_bp": 5.94}
CHANGE |= {"time": 1_795_138_200_123, "volume": None, "ticks": 1}
SNAPSHOT = {"session": "2026-11-20", "time": 1_795_138_200_123, "code": "600519", "price": 1700.01, "open": 1710.0}
SNAPSHOT |= {"high": 1720.0, "low": 1699.0, "volume": 1_234_567, "ticks": 99, "previous_close": 1720.0}
FIRST = CHANGE | {"previous": None, "change": None, "change_bp": None, "volume": 12300, "ticks": 3}
EVENT = {"event": "gap", "source": "post-1", "n": 7, "at": 1_795_138_200_123_000, "reason": "no pong"}


@pytest.mark.parametrize(
    ("topic", "fields", "line"),
    [
        (TICKS, TICK, "09:30:00.123  600519      1700.01           300  buy"),
        (PRICE_CHANGES, CHANGE, "09:30:00.123  600519      1700.01     +1.01      +5.94             –      1"),
        (PRICE_CHANGES, FIRST, "09:30:00.123  600519      1700.01     first                   12,300      3"),
        (FEED_EVENTS, EVENT, "09:30:00.123  post-1      gap                    7  no pong"),
        (SNAPSHOTS, SNAPSHOT, "11-20 09:30:00 600519     1700.01   -1.16%   1720.00   1699.00      1,234,567"),
        (TICKS, None, "600519   deleted"),
        (TICKS, b"\xffoops", "600519   b'\\xffoops'"),
        (TICKS, {"code": "600519"}, '600519   b\'{"code": "600519"}\''),
    ],
)
def test_a_record_is_one_line(topic: str, fields: object, line: str) -> None:
    """Exchange time as the clock in Shanghai; what is not known is a dash; what can't be read stands as it is."""
    assert as_line(topic, record(fields)) == line


@pytest.mark.parametrize("topic", [TICKS, PRICE_CHANGES, SNAPSHOTS])
def test_a_name_stands_behind_a_line_where_there_is_room(topic: str) -> None:
    """Names begin below each other, whatever the lines before them are; a name obeys nobody and is never cut."""
    fields = {TICKS: TICK, PRICE_CHANGES: CHANGE, SNAPSHOTS: SNAPSHOT}[topic]
    line, column = as_line(topic, record(fields), wide=True), len(head(topic, wide=True)) + 2
    named = with_name(line, "贵州茅台", topic, wide=True, room=None)
    assert named == f"{line:<{column}}贵州茅台"
    assert with_name(line, "贵州茅台", topic, wide=True, room=column + 8) == named
    assert with_name(line, "贵州茅台", topic, wide=True, room=column + 7) == line
    assert with_name(line, None, topic, wide=True, room=None) == line
    assert "\x1b" not in with_name(line, "\x1b[2J", topic, wide=True, room=None)


@pytest.mark.parametrize(
    ("topic", "fields"), [(TICKS, TICK), (PRICE_CHANGES, CHANGE), (SNAPSHOTS, SNAPSHOT), (FEED_EVENTS, EVENT)]
)
def test_a_line_fits_below_its_head(topic: str, fields: object) -> None:
    """Both in 80 columns, a wide one in 100; the head names the zone, and columns of numbers end where it says."""
    for wide, room in ((False, 80), (True, 100)):
        line, above = as_line(topic, record(fields), wide=wide), head(topic, wide=wide)
        assert len(line) <= room
        assert len(above) <= room
        assert above.startswith("Shanghai time")
    assert as_line(topic, record(fields)) in as_line(topic, record(fields), wide=True)


BOOK = {"bids": [[1700.0, 400], [1699.99, 1200]], "asks": [[1700.02, 100]]}


def test_the_best_bid_and_ask_are_shown_where_they_fit() -> None:
    """A side without a level is a dash; a line of long numbers is left as it is where it is narrow."""
    plain = as_line(TICKS, record(TICK))
    assert as_line(TICKS, record(TICK | BOOK)) == f"{plain}   bid 1700.00 ask 1700.02"
    assert as_line(TICKS, record(TICK | {"bids": [[9.5, 1]], "asks": []})) == f"{plain}   bid 9.50 ask –"
    assert as_line(TICKS, record(TICK | {"bids": None, "asks": None})) == plain
    long = record(TICK | {"bids": [[123_456.7891, 1]], "asks": [[123_456.7892, 1]]})
    assert as_line(TICKS, long) == plain
    assert as_line(TICKS, long, wide=True) == f"{plain}   bid 123456.7891 ask 123456.7892"
    assert as_line(TICKS, record(TICK | {"bids": [5]})).startswith("600519   b'{")


def test_which_way_a_price_went() -> None:
    """Up is above 0, down below; neither where there is nothing to compare with, and for what can't be read."""
    down = CHANGE | {"change": -0.01}
    ways = [moved(PRICE_CHANGES, record(fields)) for fields in (CHANGE, down, FIRST, None, b"\xff", {"change": "x"})]
    assert [(way > 0) - (way < 0) for way in ways] == [1, -1, 0, 0, 0, 0]
    assert "-0.01" in as_line(PRICE_CHANGES, record(down))
    assert moved(SNAPSHOTS, record(SNAPSHOT)) < 0
    assert moved(TICKS, record(TICK)) == 0


def test_a_dead_letter_is_shown_with_its_reason() -> None:
    letter = record(b"\xff{", [("reason", b"not JSON"), ("part", b"frame")])
    assert as_line(DEAD_LETTERS, letter) == "frame  not JSON: '\ufffd{'"
    assert json.loads(as_text(DEAD_LETTERS, letter)) == {"reason": "not JSON", "part": "frame", "payload": "\ufffd{"}


def test_a_foreign_letter_whose_headers_have_no_value_is_shown() -> None:
    """Kafka lets anybody write such a header: it ended `ashare tail dead-letters` for as long as it was kept."""
    letter = record(b"x", [("reason", None), ("content-type", None)])
    assert as_line(DEAD_LETTERS, letter) == "?      : 'x'"
    assert json.loads(as_text(DEAD_LETTERS, letter))["payload"] == "x"


def test_prices_have_two_decimals_at_least() -> None:
    assert [yuan(price) for price in (1700.0, 10.5, 1.234, None)] == ["1700.00", "10.50", "1.234", "–"]


def test_topics_have_short_names() -> None:
    assert topic_name("ticks") == topic_name(TICKS) == TICKS
    with pytest.raises(UsageError, match="did you mean price-changes"):
        topic_name("price-change")


def test_nobody_there_is_one_line_that_names_the_setting() -> None:
    """Exit code 2, no traceback."""
    for arguments, flag in (
        (["tail", "ticks", "--bootstrap", "127.0.0.1:1"], "--bootstrap"),
        (["snapshot", "600519", "--worker", "http://127.0.0.1:1"], "--worker"),
    ):
        done = subprocess.run(
            [sys.executable, "-m", "cli", *arguments], capture_output=True, text=True, timeout=60, check=False
        )
        assert done.returncode == 2
        assert done.stderr.startswith("ashare: no ")
        assert flag in done.stderr
        assert done.stderr.count("\n") == 1


class Serving(BaseHTTPRequestHandler):
    """A worker with one snapshot."""

    def do_GET(self) -> None:
        """Answer as the worker does."""
        body = json.dumps({"snapshots": [SNAPSHOT]}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the name is the library's
        """Say nothing."""


@contextlib.contextmanager
def served(handler: type[BaseHTTPRequestHandler]) -> Iterator[str]:
    """The address of a worker."""
    with HTTPServer(("127.0.0.1", 0), handler) as server:
        serving = threading.Thread(target=server.serve_forever)
        serving.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        serving.join()


def test_a_snapshot_on_a_terminal_and_in_a_file() -> None:
    """One head with the zone; one that fell is green, with a sign; where there is room, open and ticks stand too."""
    with served(Serving) as worker:
        program = ["-m", "cli", "snapshot", "600519", "--worker", worker]
        narrow, wide = shown(program, 80), shown(program, 140)
        file = subprocess.run([sys.executable, *program], capture_output=True, text=True, check=True, timeout=60)
    head, line = narrow.splitlines()
    assert head.startswith("Shanghai time")
    assert line.startswith("\x1b[32m11-20 09:30:00 600519     1700.01   -1.16%")
    assert max(map(len, narrow.replace("\x1b[32m", "").replace("\x1b[0m", "").splitlines())) <= 80
    assert wide.replace("\x1b[32m", "").replace("\x1b[0m", "") == file.stdout
    assert file.stdout.splitlines()[1].split()[-2:] == ["1710.00", "99"]


class Recovering(BaseHTTPRequestHandler):
    """A worker that has not recovered yet."""

    def do_GET(self) -> None:
        """Answer as the worker does."""
        body = b'{"error": "unavailable", "message": "recovering"}'
        self.send_response(503)
        self.send_header("Retry-After", "3")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the name is the library's
        """Say nothing."""


def test_a_worker_that_is_not_ready_says_when_to_ask_again() -> None:
    with served(Recovering) as worker, pytest.raises(UsageError, match="ask again in 3 s: recovering"):
        snapshot.command(["600519"], worker=worker)
