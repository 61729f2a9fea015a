"""Results: as cells, as files, as sections and pictures of the page."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.plots import draw
from benchmarks.report import PAGE, put, section, tables, write
from benchmarks.results import Result, Sample, Value, shown
from benchmarks.run import SUITE


def result(name: str, *samples: tuple[str, dict[str, Value]]) -> Result:
    return Result(
        name,
        f"python -m benchmarks.{name}",
        {"repeats": 2},
        {"processor": "2 × slow"},
        [Sample(*one) for one in samples],
    )


CHANGES = result(
    "changes_job",
    ("ashare-stream", {"ticks/s": 300_000.0, "right": True, "wrong": None}),
    ("Pathway", {"ticks/s": 250_000.0, "right": False, "wrong": "order"}),
    ("ashare-stream", {"ticks/s": 200_000.0, "right": True, "wrong": None}),
    ("Pathway", {"ticks/s": 150_000.0, "right": True, "wrong": None}),
)
LATENCY = result(
    "latency",
    ("400 ticks/s", {"p50 ms": 2.0, "p99 ms": 9.0}),
    ("two raw hops at 400/s", {"p50 ms": 1.5, "p99 ms": 6.0}),
    ("5,000 ticks/s", {"p50 ms": 3.0, "p99 ms": 12.0}),
    ("two raw hops at 5,000/s", {"p50 ms": 2.0, "p99 ms": 8.0}),
)
PIPELINE = result(
    "pipeline",
    ("400 ticks/s", {"stored/s": 400.0, "ok": True, "CPU % worker": 11.0, "MB worker": 90.0}),
    ("5,000 ticks/s", {"stored/s": 5_000.0, "ok": True, "CPU % worker": 30.0, "MB worker": 95.0}),
)


@pytest.mark.parametrize(
    ("values", "cell"),
    [
        ([], "–"),
        ([None], "–"),
        ([3.14159], "3.14"),
        ([123_456.7], "123,000"),
        ([1.0, 3.0, 2.0], "2 (1 – 3)"),
        ([True, True], "yes"),
        ([True, False], "NO (1 of 2)"),
        (["a", "b", "a"], "a; b"),
    ],
)
def test_a_cell_is_the_median_with_its_spread(values: list[Value], cell: str) -> None:
    """One wrong output of several is a NO."""
    assert shown(values) == cell


def test_a_result_comes_back_as_it_was_kept(tmp_path: Path) -> None:
    """Samples, machine and settings."""
    CHANGES.save(tmp_path / "a" / "changes.json")
    assert Result.load(tmp_path / "a" / "changes.json") == CHANGES


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"samples": [{}]}', '{"samples": []}'])
def test_a_file_that_is_no_result_is_refused(tmp_path: Path, content: str) -> None:
    """The error names the file."""
    (tmp_path / "x.json").write_text(content, "utf-8")
    with pytest.raises(ValueError, match=r"x\.json is not a result"):
        Result.load(tmp_path / "x.json")


def test_a_section_has_command_figures_and_machine() -> None:
    """Under every figure what produced it, and on what."""
    text = section(CHANGES, ["changes-job.svg"])
    assert "`python -m benchmarks.changes_job`" in text
    assert "| **ashare-stream** | 250,000 (200,000 – 300,000) | yes | – |" in text
    assert "| Pathway | 200,000 (150,000 – 250,000) | NO (1 of 2) | order |" in text
    assert "![changes_job: changes-job](plots/changes-job.svg)" in text
    assert "Medians of 2 turns, with the least and the most. processor 2 × slow." in text


def test_cpu_and_memory_by_process_stand_in_tables_of_their_own() -> None:
    """Their columns are the processes."""
    plain, cpu, memory = tables(PIPELINE)
    assert plain.splitlines()[0] == "|  | stored/s | ok |"
    assert cpu.splitlines()[0] == "| CPU, % of one core | worker |"
    assert memory.splitlines()[-1] == "| 5,000 ticks/s | 95 |"


def test_only_what_stands_between_the_markers_is_replaced() -> None:
    """And the markers stay, for the next time."""
    page = "a\n<!-- bench:x -->\nold\n<!-- /bench:x -->\nz\n"
    once = put(page, "x", "new")
    assert once == "a\n<!-- bench:x -->\nnew\n<!-- /bench:x -->\nz\n"
    assert put(once, "x", "new") == once


def test_a_result_without_a_section_is_refused() -> None:
    """The error says which lines to write."""
    with pytest.raises(ValueError, match="<!-- bench:y -->"):
        put("nothing", "y", "text")


def test_every_benchmark_of_the_suite_has_its_section() -> None:
    """``make bench`` would fail after an hour otherwise."""
    page = PAGE.read_text("utf-8")
    for entry in SUITE:
        assert put(page, entry.name, "x") != page


def test_results_are_written_into_a_page_with_their_pictures(tmp_path: Path) -> None:
    """Table and picture, side by side with what was there."""
    page = tmp_path / "performance.md"
    page.write_text("# P\n<!-- bench:changes_job -->\n<!-- /bench:changes_job -->\nend\n", "utf-8")
    assert write([CHANGES], page) == ["changes_job"]
    text = page.read_text("utf-8")
    assert text.startswith("# P\n")
    assert text.endswith("-->\nend\n")
    assert "| Pathway |" in text
    assert (tmp_path / "plots" / "changes-job.svg").exists()


@pytest.mark.parametrize(
    ("some", "files"),
    [(CHANGES, ["changes-job.svg"]), (LATENCY, ["latency.svg"]), (PIPELINE, ["pipeline.svg"]), (result("limits"), [])],
    ids=lambda value: value.name if isinstance(value, Result) else "",
)
def test_the_same_figures_give_the_same_picture(tmp_path: Path, some: Result, files: list[str]) -> None:
    """So that a picture changes in the history only when its figures do; none is larger than a page of text."""
    assert draw(some, tmp_path / "one") == draw(some, tmp_path / "two") == files
    for file in files:
        content = (tmp_path / "one" / file).read_bytes()
        assert content == (tmp_path / "two" / file).read_bytes()
        assert len(content) < 60_000
