"""The real parts that tests share: a Kafka broker and a QuestDB in each test process, made when first asked for."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from broker import admin
from deploy.embedded import KafkaBroker, QuestDB

# What started the tests may ignore it (nohup does), and those that they start would inherit that.
signal.signal(signal.SIGHUP, signal.SIG_DFL)

# Records of tests bear the times of a market of some past day, and are not to be forgotten whatever today is.
# The first look comes half a minute after the start, whatever the interval is.
KafkaBroker.extra = {"log.retention.check.interval.ms": "86400000", "log.initial.task.delay.ms": "86400000"}


# What a user has set for commands of theirs is not for the tests.
for _variable in list(os.environ):
    if _variable.startswith("ASHARE_") or _variable in ("NO_COLOR", "FORCE_COLOR", "COLUMNS", "LINES"):
        del os.environ[_variable]


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """Stand in an empty directory: what a user's runs have left below this one is not for the tests."""
    monkeypatch.chdir(tmp_path_factory.mktemp("elsewhere", numbered=True))


@pytest.fixture(autouse=True)
def _logging() -> None:
    """Let our loggers log: a command that an earlier test ran in this process may have silenced some."""
    for name, logger in list(logging.root.manager.loggerDict.items()):
        if name.split(".")[0] in {"broker", "producer", "processors", "instruments"} and isinstance(
            logger, logging.Logger
        ):
            logger.setLevel(logging.NOTSET)


LONG = (
    "processors/rebalance", "selfcheck/test_verify", "cli/test_readme_runs", "cli/test_secrets_of_parts", "fuzz/",
    "processors/test_membership", "processors/test_faults", "processors/test_losses", "processors/test_kill",
    "evaluation/test_evaluate_feed", "cli/test_demo", "examples/test_price_changes", "examples/test_readmes_typed",
    "processors/test_thresholds",
    "deploy/test_servers", "deploy/monitoring/test_alerts", "clients/test_broker_restart", "broker/test_cluster",
    "deploy/test_secured_run", "consumers/gateway", "consumers/web",
)  # fmt: skip
"""Files that take a minute or more: they begin first, so that the test processes end at about the same time."""


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Long files first, in the order of ``LONG``; the others as they were shuffled."""
    places = {
        item: next((n for n, name in enumerate(LONG) if f"tests/{name}" in item.nodeid), len(LONG)) for item in items
    }
    items.sort(key=lambda item: places[item])


def pytest_make_parametrize_id(val: object, argname: str) -> str | None:
    """Bytes that can't be shown have their argument's name: packed ones hold the time, and each process packs anew."""
    return argname if isinstance(val, bytes) and not (val.isascii() and val.decode().isprintable()) else None


@pytest.fixture(scope="session")
def kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[KafkaBroker]:
    """A running broker without topics. Tests share it: use topics of your own, or tolerate others' records."""
    with KafkaBroker(tmp_path_factory.mktemp("kafka")) as broker:
        yield broker


@pytest.fixture(scope="session")
def bootstrap(kafka: KafkaBroker) -> str:
    """The shared broker's address, the project's topics applied."""
    # In a thread of its own: pytest-asyncio's event loop belongs to the tests.
    with ThreadPoolExecutor(1) as pool:
        pool.submit(lambda: asyncio.run(admin.apply(kafka.bootstrap))).result()
    return kafka.bootstrap


@pytest.fixture(scope="session")
def questdb(tmp_path_factory: pytest.TempPathFactory) -> Iterator[QuestDB]:
    """A running QuestDB. Tests share it: use tables of your own."""
    with QuestDB(tmp_path_factory.mktemp("questdb")) as database:
        yield database
