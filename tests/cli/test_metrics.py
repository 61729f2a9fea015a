"""What a running pipeline exports: every metric that is declared, by Prometheus' conventions, listed in the docs."""

from __future__ import annotations

import re
import shutil
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.samples import Sample

from broker.exposition import Declared
from cli import metrics_page
from deploy.embedded import free_port
from deploy.local.stack import Plan, Stack
from processors.http import metrics as worker
from producer import metrics as producer

pytestmark = pytest.mark.timeout(240)
DECLARED = [*producer.METRICS, *worker.METRICS]
UNITS = ("_seconds", "_bytes", "_records", "_rows", "_codes", "_partitions")
NOT_IN_EVERY_RUN = {
    "ashare_worker_complaint",
    "ashare_producer_line_event_age_seconds",
    "ashare_producer_dead_letters_by_cause_total",
    "ashare_producer_flaws_total",
    "ashare_producer_unread_fields_total",
    "ashare_producer_switches_total",
    "ashare_producer_losses_covered_total",
    "ashare_producer_line_first_total",
    "ashare_producer_line_second_total",
    "ashare_producer_line_behind_seconds",
}
"""Those of faults, of several lines, and of feeds whose clock is ours."""


@pytest.fixture(scope="module")
def scraped(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """The text of both processes after some ticks."""
    port = free_port()
    plan = Plan(tmp_path_factory.mktemp("metrics"), ["--rate", "200"], ("--symbols", "*", "--http-port", str(port)))
    with Stack(plan) as stack:
        stack.start()
        stack.feed()
        found = {}
        until = time.monotonic() + 60
        while time.monotonic() < until:
            found = {"worker": _scrape(stack.workers[0]), "producer": _scrape(f"http://127.0.0.1:{port}")}
            if _value(found["worker"], "ashare_worker_ticks_stored_total") > 200:
                break
            time.sleep(0.2)
        yield found


def _scrape(place: str) -> str:
    try:
        with urllib.request.urlopen(f"{place}/metrics", timeout=5) as answer:  # noqa: S310 - http:// of our own making
            return str(answer.read().decode())
    except OSError:
        return ""


def _value(text: str, name: str) -> float:
    return sum(sample.value for sample in _samples(text) if sample.name == name)


def _samples(text: str) -> list[Sample]:
    return [sample for family in text_string_to_metric_families(text) for sample in family.samples]


def test_every_metric_of_a_sound_run_is_exported(scraped: dict[str, str]) -> None:
    """And none that is not declared, but for those of the process."""
    names = {sample.name for text in scraped.values() for sample in _samples(text)}
    names = {re.sub(r"(_seconds)_(bucket|sum|count)$", r"\1", name) for name in names}
    ours = {name for name in names if not name.startswith("process_")}
    assert ours == {metric.name for metric in DECLARED} - NOT_IN_EVERY_RUN
    assert "process_resident_memory_bytes" in names


def test_figures_agree_with_what_happened(scraped: dict[str, str]) -> None:
    """Ticks were sent, confirmed, handled by each agent and stored; nothing is wrong."""
    sent = _value(scraped["producer"], "ashare_producer_ticks_total")
    assert sent >= _value(scraped["worker"], "ashare_worker_ticks_stored_total") > 200
    assert _value(scraped["worker"], "ashare_worker_healthy") == 1
    assert _value(scraped["producer"], "ashare_producer_line_subscribed") == 1
    assert 0 <= _value(scraped["producer"], "ashare_producer_line_tick_age_seconds") < 60
    assert _value(scraped["worker"], "ashare_worker_store_write_seconds_sum") > 0


@pytest.mark.parametrize("metric", DECLARED, ids=lambda metric: metric.name)
def test_names_follow_the_conventions(metric: Declared) -> None:
    """Lower case with the process before it; a counter ends with ``_total``; seconds and bytes, no other units."""
    assert re.fullmatch(r"ashare_(producer|worker)_[a-z0-9_]+|ashare_session_open", metric.name)
    assert (metric.kind == "counter") == metric.name.endswith("_total")
    assert not re.search(r"_(ms|us|millis|minutes|kb|mb)(_|$)", metric.name)
    assert metric.about
    assert metric.about[-1] != "."


def test_promtool_has_nothing_to_say(scraped: dict[str, str]) -> None:
    """Prometheus' own check of names and texts."""
    promtool = shutil.which("promtool")
    if promtool is None:
        pytest.skip("promtool is not installed")
    for text in scraped.values():
        done = subprocess.run(
            [promtool, "check", "metrics"], input=text, capture_output=True, text=True, timeout=60, check=False
        )
        assert (done.returncode, done.stdout) == (0, ""), done.stderr


def test_the_page_lists_what_is_declared() -> None:
    """``python -m cli.metrics_page`` after a change."""
    assert (Path(__file__).parents[2] / "docs" / "metrics.md").read_text("utf-8") == metrics_page.text()
