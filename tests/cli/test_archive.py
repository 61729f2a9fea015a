"""``ashare archive``, and ``ashare store query`` where there is one."""

from __future__ import annotations

import asyncio
import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from rich.cells import cell_len
from typer.testing import CliRunner, Result

from ashare_client.archive import Archive
from cli.main import app
from deploy.embedded import QuestDB
from schemas import UsageError
from schemas.topics import PRICE_CHANGES, TICKS
from tests.cli.pty_of import shown
from tests.consumers.archive.records import DAY, MIDNIGHT, NEXT, chunk, keep, raw, tick
from tests.stores.places import QuestDbPlace, SqlitePlace, batch, fresh_table, write

TODAY = [tick(n) for n in range(100)]
TOMORROW = [tick(n, time=MIDNIGHT + n) for n in range(100, 160)]
NO_BROKER = {"ASHARE_KAFKA_BOOTSTRAP": "127.0.0.1:1"}
"""Where no other is given: the default is the address of a demo that may be running."""
COUNT = "SELECT count(*) AS ticks, max(kafka_offset) AS last FROM ticks"


def ashare(*arguments: object, code: int = 0) -> Result:
    result = CliRunner().invoke(app, list(map(str, arguments)), env=NO_BROKER, catch_exceptions=False)
    assert result.exit_code == code
    return result


@pytest.fixture
def store(tmp_path: Path) -> SqlitePlace:
    """Two days."""
    place = SqlitePlace(tmp_path / "store")
    asyncio.run(write(place, [batch([*TODAY, *TOMORROW], partition=4, topic=TICKS)]))
    return place


def test_from_a_store(store: SqlitePlace, tmp_path: Path) -> None:
    """Closed, listed, verified; the second time there is nothing new."""
    directory = tmp_path / "archive"
    arguments = ["archive", "--dir", directory, "--from-store", f"sqlite:///{store.directory}"]
    lines = ashare(*arguments, "--date", DAY).stdout.splitlines()
    assert len(lines) == 1
    assert lines[0].startswith(f"{TICKS}  {DAY}  100 rows added, ")
    assert f"{NEXT}  60 rows added" in ashare(*arguments).stdout
    assert "nothing new" in ashare(*arguments).stdout
    zone, *listed = ashare("archive", "list", "--dir", directory).stdout.splitlines()
    assert zone == "days are Shanghai's"
    assert listed[0].startswith(f"{TICKS}  {DAY}  100 rows  ")
    assert listed[0].endswith("in 1 parts")
    assert [line.strip() for line in listed[1::2]] == ["partition 4: 0-99", "partition 4: 100-159"]
    assert ashare("archive", "--dir", directory, "list").stdout.splitlines()[1:] == listed
    assert "all 2 parts are as they were written" in ashare("archive", "verify", "--dir", directory).stdout


def test_lines_for_a_terminal_fit_it(store: SqlitePlace, tmp_path: Path) -> None:
    """At 80 columns, broken between words: what was added, what there is, why nothing was, and a day written again.

    Lines of errors are left to the terminal, so that what they tell to type can be copied.
    """
    directory, url = tmp_path / "archive", f"sqlite:///{store.directory}"
    today = ["archive", "--dir", str(directory), "--from-store", url, "--topic", "ticks"]
    commands = [
        [*today, "--date", DAY, "--include-today"],
        [*today[:3], "list"],
        [*today, "--date", DAY],
        ["store", "refill", "--day", DAY, "--from", "archive", "--archive", str(directory), "--store", url],
    ]
    for command in commands:
        shows = shown(["-m", "cli", *command], 80, TERM="dumb", **NO_BROKER).splitlines()
        lines = [line for line in shows if not line.startswith("ashare: ")]
        assert lines
        assert all(cell_len(line) <= 80 for line in lines), lines


def test_from_the_topics(bootstrap: str, tmp_path: Path) -> None:
    """Both topics by default; whatever others write into them, the run ends and the archive is sound."""
    directory = tmp_path / "archive"
    ashare("archive", "--dir", directory, "--bootstrap", bootstrap)
    held = set(Archive(directory).topics())
    assert held <= {TICKS, PRICE_CHANGES}
    if held:
        ashare("archive", "verify", "--dir", directory)
    else:
        with pytest.raises(UsageError, match="holds no archived day"):
            ashare("archive", "verify", "--dir", directory)


def test_verify(tmp_path: Path) -> None:
    """Every fault in a line of its own, and exit code 1."""
    for number, partition in enumerate((0, 1, 2)):
        keep(tmp_path, [chunk([raw(one) for one in TODAY], partition=partition, start=number * 1000)])
    parts = sorted(tmp_path.glob("ticks/*/*/*.parquet"))
    parts[0].unlink()
    parts[1].write_bytes(parts[1].read_bytes()[:-1] + b"?")
    parts[2].with_name("part-x.parquet").write_bytes(b"")
    lines = ashare("archive", "verify", "--dir", tmp_path, code=1).stdout.splitlines()
    assert len(lines) == 3
    assert "bucket=00/part-000000000000-000000000099.parquet: No such file" in lines[0]
    assert "bucket=01/part-000000001000-000000001099.parquet: is not the file that was written" in lines[1]
    assert "bucket=02/part-x.parquet: no manifest names it" in lines[2]


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (
            ["--topic", "snapshots"],
            "'ashare.snapshots.v1' is not archived: ashare.ticks.v1, ashare.price-changes.v1, ashare.bars-1m.v1",
        ),
        (["--topic", "tick"], "did you mean ticks"),
        (["--topic", "price-changes", "--from-store", "sqlite:///x"], "a store holds ticks and nothing else"),
        (["--from-store", "postgres://x"], "'postgres://x' is not a store's address"),
        (["--date", "20th"], "--date '20th' is not a date: write it YYYY-MM-DD"),
        (["--date", "2999-01-01"], "2999-01-01 is not over in Shanghai: --include-today"),
    ],
)
def test_wrong_arguments(tmp_path: Path, arguments: list[str], why: str) -> None:
    """Said in one line that names the way out."""
    with pytest.raises(UsageError, match=why):
        ashare("archive", "--dir", tmp_path / "archive", *arguments)
    with pytest.raises(UsageError, match="is not an archive: `ashare archive` makes one"):
        ashare("archive", "list", "--dir", tmp_path / "none")


def test_query(store: SqlitePlace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Archive and store are asked together; the archive's days can leave the store; each can be asked alone."""
    directory = tmp_path / "archive"
    url = f"sqlite:///{store.directory}"

    def counted(*arguments: object) -> object:
        return json.loads(ashare("store", "query", COUNT, "--json", "--store", url, *arguments).stdout)

    assert counted("--archive", directory) == {"ticks": 160, "last": 159}
    ashare("archive", "--dir", directory, "--from-store", url, "--date", DAY)
    (store.directory / f"ticks-{DAY}.sqlite").unlink()
    assert counted("--archive", directory) == {"ticks": 160, "last": 159}
    assert counted("--archive", directory, "--no-archive") == {"ticks": 60, "last": 159}
    assert counted("--archive", directory, "--day", DAY) == {"ticks": 100, "last": 99}
    monkeypatch.setenv("ASHARE_ARCHIVE", str(directory))
    assert counted() == {"ticks": 160, "last": 159}
    shutil.rmtree(store.directory)
    assert counted() == {"ticks": 100, "last": 99}
    table = ashare("store", "query", "SELECT code, sum(volume)::DECIMAL(20, 2) v FROM ticks GROUP BY 1", "--store", url)
    assert "600003" in table.stdout
    assert "1 day from the archive" in table.stderr


@pytest.fixture
def questdb_place(questdb: QuestDB) -> Iterator[QuestDbPlace]:
    with fresh_table(questdb.url) as place:
        yield place


def test_query_with_questdb(questdb_place: QuestDbPlace, store: SqlitePlace, tmp_path: Path) -> None:
    """A server's days beside the archive's, in the same table."""
    from consumers.archive.sql import query

    asyncio.run(write(questdb_place, [batch([*TODAY, *TOMORROW], partition=4, topic=TICKS)]))
    asyncio.run(questdb_place.rows())
    directory = tmp_path / "archive"
    ashare("archive", "--dir", directory, "--from-store", f"sqlite:///{store.directory}", "--date", DAY)
    with query(
        directory, questdb_place.reader(), "SELECT count(*), count(DISTINCT n), sum(volume) FROM ticks"
    ) as result:
        assert list(result.rows) == [(160, 160, float(sum(one.volume or 0 for one in [*TODAY, *TOMORROW])))]
        assert result.note is not None
        assert result.note.endswith(f"{NEXT} from the store")
    with pytest.raises(UsageError, match=r"no QuestDB answers at http://127.0.0.1:1"):
        ashare("store", "query", COUNT, "--store", "questdb://127.0.0.1:1", "--archive", directory)
