"""A store's address."""

from __future__ import annotations

from pathlib import Path

import pytest

from schemas import UsageError
from stores import open_store
from stores.questdb import QuestDbStore
from stores.sqlite import SqliteStore
from stores.urls import QuestDbUrl, SqliteUrl, parse, with_password


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
    for url in ["questdb://me:hunter2@host:9000", "questdb://me:hunter2@host:x", "questdb://me:hunter2@[host"]:
        with pytest.raises(UsageError, match="questdb://") as caught:
            parse(url)
        assert "hunter2" not in str(caught.value)


def test_a_password_comes_from_a_file(tmp_path: Path) -> None:
    """Named in the address or by options; who is asked for it is not shown what it is."""
    file = tmp_path / "my password"
    file.write_text("hunter2\n")
    url = with_password("questdb://host", "me", str(file))
    read = parse(url)
    assert read == QuestDbUrl("host", 9000, "me", "hunter2")
    assert "hunter2" not in f"{url} {read!r}"
    assert parse(with_password("questdb://host:1", None, str(file))) == QuestDbUrl("host", 1, "admin", "hunter2")
    assert parse(with_password("questdb://a%40b@host/", "me", str(file))) == QuestDbUrl("host", 9000, "a@b", "hunter2")
    assert with_password("questdb://host", None, None) == "questdb://host"
    (tmp_path / "empty").touch()
    for place, user, named, why in [
        (url, None, str(file), "keep one"),
        ("sqlite:///data", None, str(file), "is of a QuestDB"),
        ("questdb://host", "me", None, "without a password"),
        ("questdb://host", None, str(tmp_path / "none"), "can't be read: No such file"),
        ("questdb://host", None, str(tmp_path / "empty"), "is empty"),
        ("questdb://me@host", None, None, "names a user and no password"),
        ("questdb://me@host?password=x", None, None, "nothing behind it"),
    ]:
        with pytest.raises(UsageError, match=why):
            parse(with_password(place, user, named))


def test_open_store() -> None:
    """An address gives a store that is not opened yet and has touched nothing."""
    assert isinstance(open_store("sqlite:////nowhere/at/all"), SqliteStore)
    assert isinstance(open_store("questdb://nowhere.invalid:1"), QuestDbStore)
