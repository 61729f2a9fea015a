"""``ashare verify``, for real and briefly."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

COMMAND = [sys.executable, "-m", "cli", "verify"]


@pytest.mark.timeout(240)
def test_a_brief_load_comes_through_the_whole_pipeline_unharmed() -> None:
    """Opening rate of a retail feed, five seconds: exit code 0, and one JSON object that says what was counted."""
    done = subprocess.run(
        [*COMMAND, "--rate", "400", "--seconds", "5", "--threshold", "2ticks", "--seed", "3", "--json"],
        capture_output=True,
        text=True,
        timeout=220,
        check=False,
    )
    verdict = json.loads(done.stdout)
    assert done.returncode == 0, done.stdout + done.stderr
    assert verdict["ok"]
    assert verdict["sent"] == verdict["published"] == verdict["stored"] == 2000
    assert verdict["changes"] > 100
    wrong = ("lost", "duplicated", "out_of_order", "snapshot_mismatches", "store_mismatches", "change_mismatches")
    assert not any(verdict[name] for name in wrong)
    assert verdict["rate_sent"] > 0
    assert verdict["rate_stored"] > 0
    late = verdict["latency_ms"]
    assert 0 < late["p50"] <= late["p99"] <= late["max"]
    assert late["samples"] > 100


def test_a_threshold_that_is_none_is_refused_before_anything_starts() -> None:
    done = subprocess.run([*COMMAND, "--threshold", "5%"], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 2
    assert "50bp" in done.stderr
