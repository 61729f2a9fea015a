"""What a long command shows of its way: a bar on a terminal, plain lines elsewhere, always on standard error."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest

from tests.cli.pty_of import shown

STEPS = """
import time
from cli.progress import Steps
with Steps(quiet={quiet}, every=0.2) as steps:
    steps("starting")
    steps.lasting("measuring", 60.0)
    time.sleep(1.0)
    steps("comparing")
"""
COUNTED = """
import time
from cli.progress import progress
with progress("verifying", "parts", every=0.0) as told:
    told(1, 4)
    time.sleep(0.3)
    told(2, 4)
    time.sleep(0.3)
"""
LIVE = """
import asyncio
from cli.live import Status, show
from selfcheck.latency import summary
class Meter:
    async def look(self):
        return Status(1234567, 400.0, 1234000, 399.0, 3005, 56.0, 102, summary([7, 8, 9]))
stop = asyncio.Event()
looks = 0
def check():
    global looks
    looks += 1
    if looks == 3:
        stop.set()
print(asyncio.run(show(Meter(), [("kcat", {kcat!r})], check, stop)).ticks)
"""
KCAT = r"kcat -C -b 127.0.0.1:19092 -t ashare.price-changes.v1 -o end -f '%k %s\n'"


def plain(program: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60)


@pytest.mark.parametrize("columns", [80, 140])
def test_on_a_terminal_a_step_that_lasts_has_a_bar_with_the_time_left(columns: int) -> None:
    text = shown(["-c", STEPS.format(quiet=False)], columns)
    assert re.search(r"━.* of 60 s, (1:00|0:59) left", text)
    assert text.index("starting …") < text.index("measuring …") < text.index("comparing …")


@pytest.mark.parametrize("program", [STEPS.format(quiet=False), COUNTED])
def test_a_dumb_terminal_and_a_file_get_plain_lines(program: str) -> None:
    """Now and then, with the time left, and nothing on standard output."""
    done = plain(program)
    dumb = shown(["-c", program], 80, TERM="dumb")
    assert done.stdout == ""
    for text in (done.stderr, dumb):
        assert "\x1b" not in text
        assert re.search(r"\d of \d+ (s|parts), \d+:\d\d left\n", text)


def test_a_count_has_a_bar_on_a_terminal() -> None:
    text = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", shown(["-c", COUNTED], 80))
    assert "━" in text
    assert "2/4 parts" in text


def test_quiet_steps_say_nothing() -> None:
    assert plain(STEPS.format(quiet=True)).stderr == ""


@pytest.mark.parametrize("columns", [80, 140])
def test_the_live_status_fits_and_leaves_commands_unbroken(columns: int) -> None:
    """The command line is written once and whole, whatever the terminal's width; the figures are in place."""
    text = shown(["-c", LIVE.format(kcat=KCAT)], columns)
    assert text.count(KCAT) == 1
    assert "\x1b[" in text
    assert "1,234,567" in text
    figures = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", text.partition(KCAT)[2])
    assert max(map(len, figures.replace("\r", "\n").splitlines())) <= columns


@pytest.mark.parametrize("term", ["dumb", None], ids=["dumb", "file"])
def test_without_a_live_view_the_status_is_plain_lines(term: str | None) -> None:
    program = LIVE.format(kcat=KCAT)
    text = plain(program).stdout if term is None else shown(["-c", program], 80, TERM=term)
    assert "\x1b" not in text
    assert f"kcat       {KCAT}\n" in text
    assert re.search(r"^in 400/s \(1,234,567\) +stored 399/s", text, re.MULTILINE)
    assert term is None or max(map(len, text.replace(KCAT, "").splitlines())) <= 80
