"""Tables at any width: nothing is cut, whatever the terminal is."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from cli.tables import Column, hanging, lines, side_by_side
from schemas.topics import topics
from tests.cli.pty_of import shown

COLUMNS = [Column("topic"), Column("partitions", right=True), Column("retention")]
COLUMNS += [Column("records", right=True), Column("policy", below=True), Column("about", below=True)]
ROWS = [(name, "12", "latest per key", "9,876,543,210", "compact", topic.about) for name, topic in topics().items()]
WHOLE = {word for row in ROWS for cell in row for word in cell.split()}


@pytest.mark.parametrize("room", [40, 80, 100, 140, None])
def test_no_name_and_no_number_is_cut(room: int | None) -> None:
    """Every word stands there whole, in lines that fit; a word that is longer than the terminal alone does not."""
    table = lines(COLUMNS, ROWS, room)
    words = {word for line in table for word in line.split()}
    assert words >= WHOLE
    for line in table:
        assert room is None or len(line) <= room or len(line.split()) <= 2


def test_a_table_is_one_line_a_row_where_there_is_room_and_in_a_file() -> None:
    assert len(lines(COLUMNS, ROWS, None)) == len(lines(COLUMNS, ROWS, 200)) == len(ROWS) + 1


def test_at_80_columns_a_topic_is_a_line_with_its_meaning_below() -> None:
    """Numbers stay below one another."""
    table = lines(COLUMNS, ROWS, 80)
    named = [line for line in table if line.startswith("ashare.")]
    assert len(named) == len(ROWS)
    assert len({line.index("9,876,543,210") for line in named}) == 1
    assert any(line.startswith("    compact  one record per pushed tick") for line in table)


def test_on_a_narrow_terminal_each_cell_has_a_line() -> None:
    assert lines([Column("code"), Column("shares", right=True)], [("600519", "123,456,789")], 18) == [
        "code    600519",
        "shares  123,456,789",
    ]


def test_things_are_compared_in_as_many_tables_as_it_takes() -> None:
    """Each with the labels."""
    rows = [["", "one", "two", "three"], ["size", "1" * 10, "2" * 10, "3" * 10]]
    assert side_by_side(rows, None) == [
        ["      one         two         three", f"size  {'1' * 10}  {'2' * 10}  {'3' * 10}"]
    ]
    assert [part[1] for part in side_by_side(rows, 30)] == [f"size  {'1' * 10}  {'2' * 10}", f"size  {'3' * 10}"]


def test_a_long_record_goes_on_in_an_indented_line() -> None:
    assert hanging("a" * 30 + " " + "b" * 30, 40) == ["a" * 30, "    " + "b" * 30]
    assert "".join(line.strip() for line in hanging("x" * 100, 40)) == "x" * 100


@pytest.mark.parametrize(
    ("columns", "rows", "environment"),
    [(80, 24, {}), (80, 24, {"NO_COLOR": "1"}), (80, 24, {"TERM": "dumb"}), (80, 24, {"LC_ALL": "C"}), (140, 40, {})],
    ids=str,
)
@pytest.mark.parametrize("command", [["config"], ["feeds"], ["feeds", "alltick"]], ids=" ".join)
def test_a_table_fits_a_terminal_of_any_kind(
    command: list[str], columns: int, rows: int, environment: dict[str, str]
) -> None:
    """It has the words that it has in a file, in lines that fit, and no escape sequence."""
    program = ["-m", "cli", *command]
    text = shown(program, columns, rows, **environment)
    assert "\x1b" not in text
    assert max(map(len, text.splitlines())) <= columns
    clean = {name: value for name, value in os.environ.items() if not name.startswith("ASHARE_")}
    file = subprocess.run([sys.executable, *program], env=clean, capture_output=True, text=True, check=True, timeout=60)
    dashes = str.maketrans("–…", "-.")
    assert set(text.translate(dashes).split()) >= {
        word for word in file.stdout.translate(dashes).split() if word[-1:] != "."
    }
