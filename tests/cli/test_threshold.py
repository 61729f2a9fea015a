"""``ashare threshold``: what is written into the topic, what is shown of it, and what is refused."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from typer.testing import CliRunner, Result

from broker import admin
from broker.publisher import Publisher
from cli.main import app
from deploy.embedded import KafkaBroker, free_port
from schemas import UsageError
from schemas.topics import THRESHOLDS

run = CliRunner()


@pytest.fixture(scope="module")
def own_broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """One of the tests' own, since workers of other tests would apply what is set here."""
    with KafkaBroker(tmp_path_factory.mktemp("thresholds")) as broker:
        with ThreadPoolExecutor(1) as pool:
            pool.submit(lambda: asyncio.run(admin.apply(broker.bootstrap))).result()
        yield broker.bootstrap


def threshold(bootstrap: str, *words: str) -> Result:
    """Run the command, which succeeds."""
    result = run.invoke(app, ["threshold", *words, "--bootstrap", bootstrap], catch_exceptions=False)
    assert result.exit_code == 0
    return result


def shown(bootstrap: str) -> dict[str, str]:
    """What ``show --json`` says is set."""
    return {scope: one["threshold"] for scope, one in json.loads(threshold(bootstrap, "show", "--json").stdout).items()}


def test_what_is_set_is_shown_until_it_is_unset(own_broker: str) -> None:
    """A code, a board and the default, however they are written; the last one of a scope counts."""
    assert "nothing is set at run time" in threshold(own_broker, "show").stdout
    assert "within a second" in threshold(own_broker, "set", "600519", "0.5").stdout
    threshold(own_broker, "set", "board", "star", "20bp")
    threshold(own_broker, "set", "default", "2ticks")
    threshold(own_broker, "set", "code:600519", "1tick")
    threshold(own_broker, "set", "board:BSE", "0.10")
    assert shown(own_broker) == {
        "default": "2ticks",
        "board:BSE": "0.1",
        "board:STAR": "20bp",
        "code:600519": "1ticks",
    }
    table = threshold(own_broker, "show").stdout.splitlines()
    assert table[0].split(maxsplit=2) == ["scope", "threshold", "set (Shanghai time)"]
    assert table[1].split()[:2] == ["default", "2ticks"]
    assert "settings are in force for everything else" in table[-1]
    for scope in (("600519",), ("board", "STAR"), ("board:BSE",)):
        assert "in force again" in threshold(own_broker, "unset", *scope).stdout
    assert shown(own_broker) == {"default": "2ticks"}
    assert "nothing to do" in threshold(own_broker, "unset", "600519").stdout
    threshold(own_broker, "unset", "default")
    assert shown(own_broker) == {}


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["set", "600519"], "ashare threshold set 600519 0.5"),
        (["set", "600519", "5%"], "write 0.05 .yuan., 2ticks or 50bp"),
        (["set", "board", "moon", "0.5"], "boards are MAIN, CHINEXT, STAR, BSE"),
        (["set", "star", "0.5"], "write 600519, board:STAR or default"),
        (["set", "60051", "0.5"], "60051"),
        (["unset", "all"], "write 600519, board:STAR or default"),
    ],
)
def test_what_can_not_be_meant_is_refused_with_the_way_to_write_it(words: list[str], said: str) -> None:
    """Before anything is connected to."""
    with pytest.raises(UsageError, match=said):
        run.invoke(app, ["threshold", *words], catch_exceptions=False)


def test_without_a_broker_it_says_where_it_looked() -> None:
    """Exit code 2 is what the command makes of it."""
    nowhere = f"127.0.0.1:{free_port()}"
    for words in (["show"], ["set", "default", "0.5"], ["unset", "default"]):
        with pytest.raises(UsageError, match=f"no Kafka broker answers at {nowhere}"):
            run.invoke(app, ["threshold", *words, "--bootstrap", nowhere], catch_exceptions=False)


def test_a_record_that_somebody_else_wrote_wrongly_is_shown_as_such(own_broker: str) -> None:
    """It is not in force, and can be unset."""

    async def scribble() -> None:
        publisher = Publisher(own_broker, client_id="scribble")
        await publisher.start(THRESHOLDS)
        publisher.queue(THRESHOLDS, 0).add(b"board:STAR", b'{"scope":"board:STAR"}', 1)
        await publisher.stop()

    asyncio.run(scribble())
    assert shown(own_broker)["board:STAR"].startswith("unreadable: Threshold: ")
    threshold(own_broker, "unset", "board:STAR")
    assert shown(own_broker) == {}
