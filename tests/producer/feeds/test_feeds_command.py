"""``ashare feeds`` prints what is declared."""

from __future__ import annotations

import json

import pytest
from typer.testing import CliRunner

from cli.main import app
from producer.feeds import feeds

run = CliRunner()


def test_the_table_has_a_column_of_each_provider() -> None:
    """Rows are capabilities, cells are short, and every provider's markets are said below."""
    result = run.invoke(app, ["feeds"])
    assert result.exit_code == 0
    head, *rows = result.stdout.splitlines()
    assert head.split() == list(feeds())
    by_name = {row[:21].strip(): row[21:].split("  ") for row in rows if row}
    assert "3,000" in " ".join(by_name["codes a connection"])
    assert [name for name in feeds() if any(row.startswith(f"{name}: ") for row in rows)] == list(feeds())
    assert all(len(row) <= 170 for row in rows)


def test_one_provider_has_its_address_and_words() -> None:
    """The rows that are too long for eight columns, and the URL."""
    result = run.invoke(app, ["feeds", "itick"])
    assert "1 sell, 2 buy, 0 neutral" in result.stdout
    assert "wss://api.itick.org/stock" in result.stdout


def test_json_has_every_capability_of_every_provider() -> None:
    """Plain data, for programs."""
    shown = json.loads(run.invoke(app, ["feeds", "--json"]).stdout)
    assert list(shown) == list(feeds())
    assert shown["alltick"]["units"] == {
        "volume": "lots",
        "volume_by_board": {},
        "turnover": "computed",
        "time": "auto",
    }
    assert shown["infoway"]["messages"] == 60
    assert all(len(one) == len(shown["post"]) for one in shown.values())


def test_an_unknown_provider_is_an_error_that_lists_them() -> None:
    """And no table."""
    result = run.invoke(app, ["feeds", "sina"])
    assert result.exit_code != 0
    assert "none of: post, alltick" in str(result.exception)


@pytest.mark.parametrize("name", list(feeds()))
def test_the_page_has_a_section_of_each_provider(name: str, request: pytest.FixtureRequest) -> None:
    """docs/providers.md says what was chosen for it."""
    page = (request.config.rootpath / "docs" / "providers.md").read_text("utf-8")
    assert f"\n## {name}\n" in page
    assert f"| `{name}` |" in page
