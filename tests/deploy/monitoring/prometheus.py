"""A real Prometheus on this machine, with the project's rules at a test's pace."""

from __future__ import annotations

import contextlib
import json
import re
import shutil
import subprocess
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from deploy.embedded import free_port

MONITORING = Path(__file__).parents[3] / "deploy" / "monitoring"
RULES = MONITORING / "rules.yml"


def tool(name: str) -> str:
    """A program of Debian's prometheus packages; the test is skipped where it is not installed."""
    found = shutil.which(name)
    if found is None:
        pytest.skip(f"{name} is not installed (Debian: prometheus, prometheus-alertmanager)")
    return found


def ran(name: str, *arguments: object, cwd: Path = MONITORING) -> subprocess.CompletedProcess[str]:
    """The outcome of one of the programs."""
    return subprocess.run(
        [tool(name), *map(str, arguments)], capture_output=True, text=True, timeout=120, check=False, cwd=cwd
    )


def alerts(rules: Any) -> dict[str, dict[str, Any]]:
    """The alerts of a rule file, by name."""
    return {rule["alert"]: rule for group in rules["groups"] for rule in group["rules"] if "alert" in rule}


def loaded() -> Any:
    """The rule file."""
    return yaml.safe_load(RULES.read_text("utf-8"))


def hurried(rules: Any, *, market_open: bool) -> Any:
    """Rules that fire within seconds of the same faults, on a day whose market is open, or closed, all the time.

    ``for:``, the ranges of rates and the wait for a broker are shortened; other thresholds stay. All names of a closed
    day end with ``Closed``.
    """
    suffix = "" if market_open else "Closed"
    for group in rules["groups"]:
        group["name"] += suffix
        for rule in group["rules"]:
            if "record" in rule:
                rule["expr"] = f"vector({int(market_open)})"
                rule["record"] += suffix
                continue
            rule["alert"] += suffix
            if "for" in rule:
                rule["for"] = "2s"
            rule["expr"] = re.sub(
                r"\[1m\]", "[5s]", rule["expr"].replace("ashare:session_open", f"ashare:session_open{suffix}")
            )
            rule["expr"] = re.sub(r"\[2m\]", "[3s]", rule["expr"]).replace(
                "log_ends_age_seconds) > 20", "log_ends_age_seconds) > 8"
            )
    return rules


class Prometheus:
    """A server that scrapes and evaluates each second."""

    def __init__(self, directory: Path, targets: Mapping[str, list[str]], rules: list[Any]) -> None:
        """Start it, and wait until it answers.

        Args:
            targets: addresses, HOST:PORT, by job.
            rules: the contents of rule files.
        """
        directory.mkdir(parents=True)
        files = []
        for number, content in enumerate(rules):
            files.append(f"rules-{number}.yml")
            (directory / files[-1]).write_text(yaml.safe_dump(content), "utf-8")
        config = {
            "global": {"scrape_interval": "1s", "scrape_timeout": "1s", "evaluation_interval": "1s"},
            "rule_files": files,
            "scrape_configs": [
                {"job_name": job, "static_configs": [{"targets": places}]} for job, places in targets.items()
            ],
        }
        (directory / "prometheus.yml").write_text(yaml.safe_dump(config), "utf-8")
        self.url = f"http://127.0.0.1:{(port := free_port())}"
        self._log = (directory / "prometheus.log").open("wb")
        self._process = subprocess.Popen(
            [
                tool("prometheus"),
                "--config.file=prometheus.yml",
                "--storage.tsdb.path=data",
                f"--web.listen-address=127.0.0.1:{port}",
            ],
            cwd=directory,
            stdout=self._log,
            stderr=subprocess.STDOUT,
        )
        try:
            self.until(lambda: self.query("vector(1)"), "Prometheus answers")
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """End it."""
        self._process.kill()
        self._process.wait(10)
        self._log.close()

    def get(self, path: str, **parameters: str) -> Any:
        """The data of an answer of its HTTP.

        Raises:
            OSError: it does not answer, or refuses.
        """
        url = f"{self.url}/api/v1/{path}?{urllib.parse.urlencode(parameters)}"
        with urllib.request.urlopen(url, timeout=10) as answer:  # noqa: S310 - http:// of our own making
            return json.load(answer)["data"]

    def query(self, promql: str) -> list[Any]:
        """What an instant query finds; nothing where Prometheus does not answer."""
        with contextlib.suppress(urllib.error.URLError, ConnectionError, TimeoutError):
            found: list[Any] = self.get("query", query=promql)["result"]
            return found
        return []

    def firing(self) -> set[str]:
        """The names of the alerts that fire."""
        return {one["metric"]["alertname"] for one in self.query('ALERTS{alertstate="firing"}')}

    def fired(self, seconds: int) -> set[str]:
        """The names of the alerts that fired at some time in the last seconds."""
        return {
            one["metric"]["alertname"]
            for one in self.query(f'last_over_time(ALERTS{{alertstate="firing"}}[{seconds}s])')
        }

    @staticmethod
    def until(true: Any, what: str, seconds: float = 60.0) -> None:
        """Wait until something is true.

        Raises:
            AssertionError: it is not in time.
        """
        end = time.monotonic() + seconds
        while not true():
            assert time.monotonic() < end, f"not within {seconds:g} s: {what}"
            time.sleep(0.3)


@contextlib.contextmanager
def prometheus(directory: Path, targets: Mapping[str, list[str]], rules: list[Any]) -> Iterator[Prometheus]:
    """A server for as long as it is needed."""
    server = Prometheus(directory, targets, rules)
    try:
        yield server
    finally:
        server.stop()
