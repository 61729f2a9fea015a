"""A store's address."""

from __future__ import annotations

from pathlib import Path

import pytest

from processors.stores import open_store
from processors.stores.questdb import QuestDbStore
from processors.stores.sqlite import SqliteStore
from processors.stores.urls import QuestDbUrl, SqliteUrl, parse
from schemas import UsageError


@pytest.mark.parametrize(
    ("url", "address"),
    [
        ("sqlite:///data/ticks", SqliteUrl(Path("data/ticks"))),
        ("sqlite:////var/lib/ashare", SqliteUrl(Path("/var/lib/ashare"))),
        ("sqlite:///100% 行情?#", SqliteUrl(Path("100% 行情?#"))),
        ("questdb://localhost:9000", QuestDbUrl("localhost", 9000)),
        ("questdb://db.internal", QuestDbUrl("db.internal", 9000)),
        ("questdb://[::1]:9001/", QuestDbUrl("::1", 9001)),
    ],
)
def test_what_an_address_means(url: str, address: SqliteUrl | QuestDbUrl) -> None:
    """Three slashes and a path from here, four from the root; a host, and the port where it is not 9000."""
    assert parse(url) == address


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("", "sqlite:///DIR"),
        ("postgres://x", "sqlite:///DIR .* questdb://HOST:9000"),
        ("data/ticks", "sqlite:///DIR .* questdb://HOST:9000"),
        ("sqlite://data/ticks", "three slashes before a relative directory, sqlite:///data/ticks"),
        ("sqlite:///", "names no directory"),
        ("sqlite:////", "names no directory"),
        ("questdb://", "questdb://HOST:9000"),
        ("questdb://host:port", "questdb://HOST:9000"),
        ("questdb://host:9000/ticks", "nothing behind it"),
    ],
)
def test_what_is_no_address(url: str, why: str) -> None:
    """The error names what is possible."""
    with pytest.raises(UsageError, match=why):
        parse(url)


def test_a_password_is_not_printed() -> None:
    """An address with a password is refused without repeating it."""
    with pytest.raises(UsageError, match="no user and password") as caught:
        parse("questdb://me:hunter2@host:9000")
    assert "hunter2" not in str(caught.value)


def test_open_store() -> None:
    """An address gives a store that is not opened yet and has touched nothing."""
    assert isinstance(open_store("sqlite:////nowhere/at/all"), SqliteStore)
    assert isinstance(open_store("questdb://nowhere.invalid:1"), QuestDbStore)
