"""``bench_bounds.json`` and the judgement on measured ratios."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.bounds import FILE, Bound, judge, load

BOUNDS = {"read / limit": Bound(0.5, "because")}


def test_a_ratio_at_its_bound_holds() -> None:
    """The median counts, not the worst of the turns."""
    (line,) = judge({"read / limit": [0.1, 0.5, 0.9]}, BOUNDS)
    assert line.holds
    assert line.measured == 0.5


def test_a_ratio_below_its_bound_fails_and_says_why_it_is_bound() -> None:
    """The text has what was measured, what should have been, and the reason."""
    (line,) = judge({"read / limit": [0.4, 0.3, 0.6]}, BOUNDS)
    assert not line.holds
    assert line.text == "0.40 (0.30 – 0.60), at least 0.5: because"


@pytest.mark.parametrize(
    ("measured", "said"),
    [({}, "was not measured"), ({"read / limit": []}, "was not measured")],
)
def test_a_bound_that_nothing_was_measured_for_fails(measured: dict[str, list[float]], said: str) -> None:
    """A measurement that was renamed or dropped does not take its bound along."""
    (line,) = judge(measured, BOUNDS)
    assert not line.holds
    assert line.text == said


def test_a_ratio_without_a_bound_fails() -> None:
    """Nothing is measured in vain."""
    lines = judge({"read / limit": [1.0], "new / old": [2.0]}, BOUNDS)
    assert [line.holds for line in lines] == [True, False]
    assert "has no bound" in lines[1].text


def test_the_bounds_of_this_project_are_readable_and_each_has_a_reason() -> None:
    """They are ratios: a figure of thousands would be an absolute one."""
    bounds = load(FILE)
    assert bounds
    assert all(0 < bound.at_least < 100 and len(bound.why) > 20 for bound in bounds.values())


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ('{"a": {"at_least": 0, "why": "x"}}', "bounds nothing"),
        ('{"a": {"at_least": 1, "why": " "}}', "bounds nothing"),
        ('{"a": {"at_least": 1}}', "why"),
        ('{"a": {"at_least": 1, "why": "x", "at_most": 2}}', "at_most"),
        ("", "truncated"),
    ],
)
def test_a_bound_that_bounds_nothing_is_refused(tmp_path: Path, content: str, said: str) -> None:
    """The error names the file and what is wrong."""
    file = tmp_path / "bounds.json"
    file.write_text(content, "utf-8")
    with pytest.raises(ValueError, match=rf"bounds\.json.*{said}"):
        load(file)
