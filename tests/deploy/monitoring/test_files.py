"""What stands in deploy/monitoring is what its own tools take, fits together, and a mistake in it is seen."""

from __future__ import annotations

import json
import re
import shlex
import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml

from broker.exposition import SESSION_OPEN
from deploy.monitoring.dashboards import DASHBOARDS, FOLDER, text
from processors.http import metrics as worker
from producer import metrics as producer
from tests.command_line import parse
from tests.deploy.monitoring.prometheus import MONITORING, alerts, loaded, ran

ROOT = MONITORING.parents[1]
RUNBOOK = ROOT / "docs" / "runbook"
DECLARED = {metric.name for metric in (*producer.METRICS, *worker.METRICS, SESSION_OPEN)}
OF_OTHERS = {"up", "process_cpu_seconds_total", "process_resident_memory_bytes", "process_start_time_seconds"}
ALERTS = alerts(loaded())
EXPRESSIONS = [
    *(rule["expr"] for group in loaded()["groups"] for rule in group["rules"]),
    *(ask for _, panels, _ in DASHBOARDS.values() for panel in panels if not panel.sql for ask in panel.ask.values()),
]


def test_prometheus_takes_its_configuration_and_rules() -> None:
    """By its own check, every warning included."""
    for arguments in (
        ("check", "config", "prometheus.yml"),
        ("check", "rules", "--lint=all", "--lint-fatal", "rules.yml"),
    ):
        done = ran("promtool", *arguments)
        assert done.returncode == 0, done.stdout + done.stderr


def test_the_rules_tests_pass() -> None:
    """Each alert fires of its fault alone; none outside of the exchanges' hours."""
    done = ran("promtool", "test", "rules", "rules.test.yml", "session.test.yml")
    assert done.returncode == 0, done.stdout + done.stderr


_OPEN = "\n          and on() (min_over_time(ashare:session_open[2m]) == 1)"
MISTAKES = {
    "condition": ("ashare_worker_recovered == 0", "ashare_worker_recovered == 1"),
    "session": (f"ashare_worker_lag_seconds) > 10{_OPEN}", "ashare_worker_lag_seconds) > 10"),
    "threshold": (f"> 20{_OPEN}", f"> 1{_OPEN}"),
}


@pytest.mark.parametrize(("right", "wrong"), MISTAKES.values(), ids=MISTAKES)
def test_a_mistake_in_a_rule_is_seen(tmp_path: Path, right: str, wrong: str) -> None:
    """A condition turned round, an alert that forgets the session, a threshold that a sound run crosses."""
    rules = (MONITORING / "rules.yml").read_text("utf-8")
    assert right in rules
    (tmp_path / "rules.yml").write_text(rules.replace(right, wrong), "utf-8")
    shutil.copy(MONITORING / "rules.test.yml", tmp_path)
    assert ran("promtool", "test", "rules", "rules.test.yml", cwd=tmp_path).returncode == 1


def test_alertmanager_takes_its_configuration() -> None:
    """By its own check; what it inhibits are alerts that there are."""
    done = ran("amtool", "check-config", "alertmanager.yml")
    assert done.returncode == 0, done.stdout + done.stderr
    named = set(re.findall(r"Ashare\w+", (MONITORING / "alertmanager.yml").read_text("utf-8")))
    assert named <= set(ALERTS)


@pytest.mark.parametrize("name", ALERTS)
def test_each_alert_has_its_tests_and_its_page(name: str) -> None:
    """A unit test that has it fire, and a page of the run book of its name, which its annotation leads to."""
    rule = ALERTS[name]
    assert rule["labels"]["severity"] in {"critical", "warning"}
    assert "ashare:session_open" in rule["expr"]
    page = ROOT / rule["annotations"]["runbook_url"]
    assert page.read_text("utf-8").startswith(f"# {name}\n")
    tests: Any = yaml.safe_load((MONITORING / "rules.test.yml").read_text("utf-8"))
    assert name in [one["name"] for one in tests["tests"]]
    assert f"[{name}]({page.name})" in (RUNBOOK / "README.md").read_text("utf-8")


def test_the_run_book_has_no_other_pages() -> None:
    """A page of an alert that is gone goes with it."""
    pages = {Path(rule["annotations"]["runbook_url"]).name for rule in ALERTS.values()}
    assert {page.name for page in RUNBOOK.glob("*.md")} == pages | {"README.md"}


@pytest.mark.parametrize("page", sorted(RUNBOOK.glob("*.md")), ids=lambda page: page.stem)
def test_commands_of_the_run_book_are_there(page: Path) -> None:
    """Each `ashare` line of a block is one that the program takes; each link leads somewhere."""
    said = page.read_text("utf-8")
    for block in re.findall(r"```\n(.*?)```", said, re.DOTALL):
        for line in block.splitlines():
            if line.startswith("ashare "):
                parse(shlex.split(line.partition("|")[0], comments=True)[1:])
    for link in re.findall(r"\]\(([^)#]+)\)", said):
        assert (page.parent / link).is_file(), link


@pytest.mark.parametrize("name", DASHBOARDS)
def test_dashboards_are_as_they_are_made(name: str) -> None:
    """``python -m deploy.monitoring.dashboards`` after a change; each panel's source is provisioned."""
    file = FOLDER / f"{name}.json"
    assert file.read_text("utf-8") == text(name)
    provisioned = yaml.safe_load(
        (MONITORING / "grafana" / "provisioning" / "datasources" / "ashare.yml").read_text("utf-8")
    )
    known = {(source["type"], source["uid"]) for source in provisioned["datasources"]}
    used = {
        (panel["datasource"]["type"], panel["datasource"]["uid"]) for panel in json.loads(file.read_text())["panels"]
    }
    assert used <= known


def test_every_metric_that_is_asked_for_is_declared() -> None:
    """By rules and panels; those of a process come from Prometheus' own client."""
    asked = {name for expression in EXPRESSIONS for name in re.findall(r"\b(?:ashare|process)_\w+", expression)}
    plain = {re.sub(r"(_seconds)_bucket$", r"\1", name) for name in asked}
    assert plain <= DECLARED | OF_OTHERS
