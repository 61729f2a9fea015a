"""A real Prometheus scrapes the real pipeline: faults are made, and their alerts fire, and no others."""

from __future__ import annotations

import asyncio
import json
import re
import time
import urllib.request
from base64 import b64encode
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit

import pytest
from aiokafka import AIOKafkaProducer

from deploy.embedded import free_port
from deploy.embedded.questdb import PASSWORD_FILE, USER
from deploy.local.stack import Plan, Stack
from deploy.monitoring.dashboards import DASHBOARDS
from schemas.topics import TICKS
from tests.deploy.monitoring.prometheus import Prometheus, alerts, hurried, loaded, prometheus

pytestmark = pytest.mark.timeout(300)

ROOT = Path(__file__).parents[3]
SOUND_SECONDS = 6.0


@dataclass
class Story:
    """What fired after each fault, by the fault's name."""

    server: Prometheus
    seen: dict[str, set[str]] = field(default_factory=dict)
    panels: dict[str, int] = field(default_factory=dict)
    annotations: list[dict[str, str]] = field(default_factory=list)

    def watch(self, fault: str, expected: set[str], seconds: float = 60.0) -> None:
        """Wait until what is expected fires, and keep what else does."""
        seen = self.seen.setdefault(fault, set())
        end = time.monotonic() + seconds
        while not expected <= seen and time.monotonic() < end:
            seen |= self.server.firing()
            time.sleep(0.5)
        self.annotations += [one["annotations"] for one in self.server.get("alerts")["alerts"]]


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Story]:
    """One run with all faults: junk in the topic, the store, the feed, the broker, then the processes themselves."""
    directory, port = tmp_path_factory.mktemp("alerts"), free_port()
    plan = Plan(directory, ["--rate", "300"], ("--symbols", "*", "--http-port", str(port)), store="questdb")
    with Stack(plan) as stack:
        stack.start()
        stack.feed()
        targets = {
            "ashare-producer": [f"127.0.0.1:{port}"],
            "ashare-worker": [stack.workers[0].removeprefix("http://")],
        }
        rules = [hurried(loaded(), market_open=True), hurried(loaded(), market_open=False)]
        Prometheus.until(lambda: _answers(f"http://127.0.0.1:{port}/metrics"), "the producer answers")
        with prometheus(directory / "prometheus", targets, rules) as server:
            story = Story(server)
            server.until(lambda: server.query("rate(ashare_worker_ticks_stored_total[5s]) > 0"), "ticks are stored")
            sound = time.monotonic() + SOUND_SECONDS
            while time.monotonic() < sound:
                story.seen.setdefault("none", set()).update(server.firing())
                time.sleep(0.5)
            story.panels = _asked(server, directory / "questdb", stack.store_url)
            asyncio.run(_junk(stack.bootstrap))
            story.watch("junk", {"AshareDeadLetters"})
            stack.kill("questdb")
            story.watch("store", {"AshareStoreFailing", "AshareLag"})
            market = next(part for part in stack.parts if part.name == "market")
            stack.kill("market")
            story.watch("feed", {"AshareNoTicks", "AshareLineDown"})
            stack._begin("market", *_on_port(market.arguments, stack.feed_url))
            story.watch("feed again", {"AshareGap"})
            server.until(lambda: server.query("rate(ashare_producer_ticks_total[5s]) > 0"), "ticks come again")
            stack.kill("kafka")
            story.watch("broker", {"AshareBrokerAway", "AshareNothingAcknowledged"})
            stack.kill_worker(0)
            stack.kill("producer")
            story.watch("processes", {"AshareWorkerDown", "AshareProducerDown"})
            yield story


def _on_port(arguments: tuple[str, ...], url: str) -> list[str]:
    """The same command, on the port that it was given by the system."""
    changed = list(arguments)
    changed[changed.index("--port") + 1] = url.rpartition(":")[2].rstrip("/")
    return changed


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=5):  # noqa: S310 - http:// of our own making
            return True
    except OSError:
        return False


def _asked(server: Prometheus, data: Path, store: str) -> dict[str, int]:
    """What each query of a panel finds, as so many series or rows, by dashboard, panel and legend."""
    found: dict[str, int] = {}
    password = (data / PASSWORD_FILE).read_text("utf-8").strip()
    place = f"http://{urlsplit(store).hostname}:{urlsplit(store).port}"
    code = _sql(place, "SELECT code FROM ticks LIMIT 1", password)[0][0]
    for name, (_, panels, _) in DASHBOARDS.items():
        for panel in panels:
            for legend, ask in panel.ask.items():
                if panel.sql:
                    sql = ask.replace("$__timeFilter(timestamp)", "timestamp > '2000-01-01'")
                    rows = _sql(place, sql.replace("${code:sqlstring}", f"'{code}'"), password)
                else:
                    rows = server.query(ask.replace("$__rate_interval", "5s"))
                found[f"{name}: {panel.title}: {legend}"] = len(rows)
    return found


def _sql(place: str, statement: str, password: str) -> list[Any]:
    """The rows that QuestDB answers."""
    request = urllib.request.Request(  # noqa: S310 - http:// of our own making
        f"{place}/exec?{urlencode({'query': statement})}",
        headers={"Authorization": "Basic " + b64encode(f"{USER}:{password}".encode()).decode()},
    )
    with urllib.request.urlopen(request, timeout=10) as answer:  # noqa: S310
        rows: list[Any] = json.load(answer)["dataset"]
        return rows


async def _junk(bootstrap: str) -> None:
    async with AIOKafkaProducer(bootstrap_servers=bootstrap) as client:
        await client.send_and_wait(TICKS, b"not a tick", key=b"600519", partition=0)


FAULTS = {
    "junk": {"AshareDeadLetters"},
    "store": {"AshareStoreFailing", "AshareLag"},
    "feed": {"AshareNoTicks", "AshareLineDown"},
    "feed again": {"AshareGap"},
    "broker": {"AshareBrokerAway", "AshareNothingAcknowledged"},
    "processes": {"AshareWorkerDown", "AshareProducerDown"},
}
BESIDE = {
    "store": {"AshareStuck", "AshareStoreSlow"},
    "feed": {"AshareGap"},
    "feed again": {"AshareReconnecting", "AshareFlawedTicks"},
    "broker": {"AshareNotRecovered", "AshareStuck", "AshareLeaseLapsed", "AshareSocketHeldBack", "AshareRebalancing"},
}
"""What may fire as well, by what the fault does to a busy machine."""


def test_nothing_fires_in_a_sound_run(story: Story) -> None:
    """Neither on an open day nor on a closed one."""
    assert story.seen["none"] == set()


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_fires_its_alerts_and_none_of_a_later_one(story: Story, fault: str) -> None:
    """The alerts of the faults before may still fire, those of the faults after do not yet."""
    seen = {name for name in story.seen[fault] if not name.endswith("Closed")}
    assert seen >= FAULTS[fault]
    so_far = list(FAULTS)[: list(FAULTS).index(fault) + 1]
    assert seen <= set().union(*(FAULTS[one] | BESIDE.get(one, set()) for one in so_far))


def test_no_fault_fires_an_alert_while_the_exchanges_are_closed(story: Story) -> None:
    """The same rules, at the same time, on a day without a session."""
    assert {name for seen in story.seen.values() for name in seen if name.endswith("Closed")} == set()


def test_every_panel_shows_something(story: Story) -> None:
    """Each query of each dashboard, asked of the Prometheus and the QuestDB of a running pipeline."""
    assert len(story.panels) == sum(len(panel.ask) for _, panels, _ in DASHBOARDS.values() for panel in panels)
    assert [name for name, rows in story.panels.items() if not rows] == []


def test_what_an_alert_says_is_whole(story: Story) -> None:
    """No label that is not there, no template that failed; the page of the run book is there."""
    assert story.annotations
    for said in story.annotations:
        assert "<no value>" not in said["summary"]
        assert "error" not in said["summary"]
        assert (ROOT / said["runbook_url"]).is_file()


def test_every_metric_of_a_rule_was_exported(story: Story) -> None:
    """Prometheus has seen each of them in this run; a clock of the exchange is not comparable with a simulator's."""
    names = set(story.server.get("label/__name__/values"))
    wanted = {name for rule in alerts(loaded()).values() for name in _names(rule["expr"])}
    assert wanted - names <= {"ashare_producer_line_event_age_seconds"}


def _names(expression: str) -> set[str]:
    return set(re.findall(r"\b(?:ashare_\w+|process_\w+|up)\b", expression))
