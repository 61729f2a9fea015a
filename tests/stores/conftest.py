"""A fresh place in either store, for tests of what both must do."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from deploy.embedded import QuestDB
from tests.stores.places import Place, QuestDbPlace, SqliteApartPlace, SqlitePlace, fresh_table


@pytest.fixture
def questdb_place(questdb: QuestDB) -> Iterator[QuestDbPlace]:
    """A table of the test's own on the shared server."""
    with fresh_table(questdb.url) as place:
        yield place


@pytest.fixture(params=["sqlite", "sqlite apart", "questdb"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    """An empty place."""
    if request.param == "sqlite":
        return SqlitePlace(tmp_path / "ticks")
    if request.param == "sqlite apart":
        return SqliteApartPlace(tmp_path / "ticks")
    questdb_place: QuestDbPlace = request.getfixturevalue("questdb_place")
    return questdb_place
