"""The pipeline as processes on this machine: started in order, watched, stopped in reverse order."""

from __future__ import annotations

import contextlib
import re
import signal
import socket
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self

from broker import security
from deploy.embedded.questdb import store_url
from deploy.embedded.server import HOST, free_port
from deploy.local.groups import groups_of
from deploy.local.part import Part, PartError

CLOCK_OFFSET = "ASHARE_TEST_CLOCK_OFFSET_S"
"""For tests alone: seconds that ``producer/clock.py`` adds to the machine's clock."""
ALL_AGENTS = "snapshots,storage,changes"

_FETCHING = 300.0
"""Seconds for a server that may first have to fetch its jars."""
_STARTING = 90.0
_LOOK = 0.05
_LISTENING = re.compile(r"listening on (ws://\S+)")
_READY = re.compile(r"ready on (127\.0\.0\.1:\d+)")
_SERVING = re.compile(r"serving (http://\S+)")
_ADMIN = "admin"
_USERS = {
    "producer": "producer",
    "worker": "worker",
    "gateway": "gateway",
    "threshold": "operator",
    "topics": _ADMIN,
    "acl": _ADMIN,
}
"""The user that each part, and each command, logs in as."""
_GRACE = {"gateway": 4.0, "producer": 5.0, "worker": 5.0, "market": 2.0, "questdb": 4.0, "kafka": 6.0}
"""Seconds that a part has to end after SIGTERM, when there is time."""


@dataclass(frozen=True)
class Plan:
    """What to run.

    Attributes:
        directory: takes data and logs; made if missing.
        market: options of ``ashare simulate`` besides its port.
        producer: options of ``ashare produce`` besides brokers and address.
        store: where the storage agent writes; both are in the directory.
        workers: the agents of each worker process.
        threshold: as ``--threshold`` takes it.
        usual_ports: take the ports that other commands expect by default, where they are free.
        partitions: of the topics that have several; ``None`` as declared. Every part is told, as none could ask.
        secure: Kafka wants logins over TLS, and each part has a user of its own, which may do what it needs.
        gateway: also serve browsers.
    """

    directory: Path
    market: Sequence[str] = ()
    producer: Sequence[str] = ("--symbols", "*")
    store: Literal["sqlite", "questdb"] = "sqlite"
    workers: Sequence[str] = (ALL_AGENTS,)
    threshold: str = "0.01"
    usual_ports: bool = False
    partitions: int | None = None
    secure: bool = False
    gateway: bool = False


class Stack:
    """The running pipeline. For one thread; its parts do not outlive the process, and ``stop`` leaves none.

    ``start`` brings up everything but the producer, so that a reader can take its place first; ``feed`` starts the
    producer, and so the ticks.
    """

    def __init__(self, plan: Plan) -> None:
        """Nothing is started."""
        self.plan = plan
        self.logs = plan.directory / "logs"
        self.bootstrap = ""
        self.feed_url = ""
        self.store_url = ""
        self.page_url = ""
        """Where the gateway serves the page, if the plan has one."""
        self.workers: list[str] = []
        """The workers' HTTP addresses, in the order of the plan."""
        self.groups: list[str] = []
        """The workers' consumer groups, known once they are started."""
        self._parts: list[Part] = []

    @property
    def store_directory(self) -> Path:
        """Where SQLite's files are."""
        return self.plan.directory / "ticks"

    @property
    def parts(self) -> Sequence[Part]:
        """The parts, in the order in which they were started."""
        return tuple(self._parts)

    def start(self, say: Callable[[str], None] = lambda _: None) -> None:
        """Start everything but the producer, and wait until it is ready.

        Args:
            say: told what is being waited for.

        Raises:
            PartError: a part ended, or was not ready in time.
        """
        directory, port = self.plan.directory, self._port
        self.logs.mkdir(parents=True, exist_ok=True)
        say("starting Kafka")
        users = [word for user in sorted({*_USERS.values()} - {_ADMIN}) for word in ("--user", user)]
        secured = ["--secure", *users] if self.plan.secure else []
        kafka = self._begin("kafka", "kafka", "--data", str(directory / "kafka"), "--port", str(port(9092)), *secured)
        market = self._begin("market", "simulate", "--port", str(port(8765)), *self.plan.market)
        self.store_url = f"sqlite:///{self.store_directory}"
        if self.plan.store == "questdb":
            questdb = self._begin("questdb", "questdb", "--data", str(directory / "questdb"), "--port", str(port(9000)))
            place = self._announced(questdb, _FETCHING, _READY)
            self.store_url = store_url(directory / "questdb", int(place.rpartition(":")[2]))
        self.bootstrap = self._announced(kafka, _FETCHING, _READY)
        say("declaring the topics")
        self._run("topics", _STARTING, "topics", "apply", "--wait", "30", "--bootstrap", self.bootstrap)
        if self.plan.secure:
            self._run("acl", _STARTING, "acl", "apply", "--bootstrap", self.bootstrap)
        self.feed_url = self._announced(market, _STARTING, _LISTENING)
        say("starting the workers")
        for number in range(len(self.plan.workers)):
            self.workers.append(f"http://{HOST}:{self._port(6066 + number) or free_port()}")
            self.start_worker(number)
        gateway = self._begin_gateway() if self.plan.gateway else None
        self.await_workers()
        self.groups = groups_of(self.workers)
        if gateway is not None:
            self.page_url = self._announced(gateway, _STARTING, _SERVING)

    def feed(self, *options: str, clock_offset: float = 0.0) -> None:
        """Start the producer.

        Args:
            options: further ones of ``ashare produce``.
            clock_offset: seconds by which its clock is off.
        """
        self._begin(
            "producer", "produce", "--bootstrap", self.bootstrap, "--url", self.feed_url,
            "--own-clock", *self.plan.producer, *options,
            environment={CLOCK_OFFSET: f"{clock_offset:g}"} if clock_offset else None,
        )  # fmt: skip

    def command(self, name: str, *arguments: str) -> None:
        """Run an ``ashare`` command on the stack's broker, to its end.

        Raises:
            PartError: it failed.
        """
        self.run(name, *arguments, "--bootstrap", self.bootstrap)

    def run(self, name: str, *arguments: str) -> None:
        """Run an ``ashare`` command that asks no broker, to its end.

        Raises:
            PartError: it failed.
        """
        self._run(name, _STARTING, name, *arguments)

    def end(self, name: str) -> None:
        """End the parts of this name, and no other; nothing if there is none."""
        for part in [part for part in self._parts if part.name == name]:
            part.ask_to_end()
            part.end(_GRACE[name])
            self._parts.remove(part)

    def kill(self, name: str) -> None:
        """Kill the parts of this name with SIGKILL, as a crash would, and no other; nothing if there is none."""
        doomed = [part for part in self._parts if part.name == name]
        # Out of the list first: whoever checks meanwhile must not take this for an end of its own.
        self._parts = [part for part in self._parts if part.name != name]
        for part in doomed:
            part.kill()

    def restart(self, kind: str) -> None:
        """Kill the parts of a kind, as ``worker``, with SIGKILL, start them as before, and wait until workers answer.

        Raises:
            PartError: one ended, or was not ready in time.
        """
        for part in [part for part in self._parts if part.name.split()[0] == kind]:
            self.kill(part.name)
            self._begin(part.name, *part.arguments)
        self.await_workers()

    def worker(self, number: int) -> Part:
        """A running worker, by its place in the plan.

        Raises:
            KeyError: it does not run.
        """
        found = {part.name: part for part in self._parts}
        return found[_name(number)]

    def start_worker(self, number: int) -> None:
        """Start a worker of the plan, which does not run, on the port that is its own."""
        self._begin(
            _name(number),
            "process",
            "--bootstrap", self.bootstrap,
            "--agents", self.plan.workers[number],
            "--store", self.store_url,
            "--threshold", self.plan.threshold,
            "--web-port", self.workers[number].rpartition(":")[2],
        )  # fmt: skip

    def _begin_gateway(self) -> Part:
        port = str(self._port(8080))
        return self._begin("gateway", "gateway", "--bootstrap", self.bootstrap, "--port", port)

    def kill_worker(self, number: int) -> None:
        """Kill a worker with SIGKILL, as a crash would."""
        self.kill(_name(number))

    def end_worker(self, number: int, within: float = 60.0) -> float:
        """End a worker with SIGTERM; gives the seconds that it took.

        Raises:
            PartError: it did not end within so many seconds, or not as it should: with code 0, or by the signal itself
                where it was not up yet.
        """
        part, begun = self.worker(number), time.monotonic()
        # Out of the list first, as for ``kill``.
        self._parts = [one for one in self._parts if one is not part]
        part.ask_to_end()
        if not part.end(within):
            raise part.failure(f"did not end within {within:g} s of SIGTERM")
        if part.code not in {0, -signal.SIGTERM}:
            raise part.failure(f"ended with code {part.code} after SIGTERM")
        return time.monotonic() - begun

    def await_workers(self) -> None:
        """Wait until every worker that runs is well.

        Raises:
            PartError: one ended, or was not ready in time.
        """
        for number, url in enumerate(self.workers):
            for part in [part for part in self._parts if part.name == _name(number)]:
                self._wait(part, _STARTING, partial(_answers, f"{url}/health"))

    def check(self) -> None:
        """Do nothing while every part runs.

        Raises:
            PartError: one has ended by itself.
        """
        for part in self._parts:
            part.check()

    def stop(self, within: float = 30.0) -> list[str]:
        """End every part, the last started first, each with SIGTERM and, when its time is up, SIGKILL.

        Args:
            within: seconds for all of them.

        Returns:
            The names of the parts that had to be killed.
        """
        deadline = time.monotonic() + within
        killed: list[str] = []
        while self._parts:
            kind = self._parts[-1].name.split()[0]
            together = [part for part in self._parts if part.name.split()[0] == kind]
            for part in together:
                part.ask_to_end()
            until = min(deadline, time.monotonic() + _GRACE[kind])
            for part in together:
                if not part.end(until - time.monotonic()):
                    killed.append(part.name)
                self._parts.remove(part)
        return killed

    def __enter__(self) -> Self:
        """Nothing yet: what is started within is stopped at the end."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop."""
        self.stop()

    @property
    def _program(self) -> Sequence[str]:
        return ("cli",) if self.plan.partitions is None else ("cli.wide", str(self.plan.partitions))

    def _port(self, usual: int) -> int:
        if self.plan.usual_ports:
            with contextlib.suppress(OSError), socket.socket() as probe:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                probe.bind((HOST, usual))
                return usual
        return 0

    def login(self, user: str) -> dict[str, str]:
        """The environment of a process that logs in to the stack's Kafka; empty where it wants no login."""
        if not self.plan.secure:
            return {}
        secrets = self.plan.directory / "kafka" / "secure"
        return {
            "ASHARE_KAFKA_SECURITY": "sasl-tls",
            "ASHARE_KAFKA_USER": user,
            "ASHARE_KAFKA_PASSWORD_FILE": str(secrets / f"{user}.password"),
            "ASHARE_KAFKA_CA": str(secrets / "ca.pem"),
        }

    def client_options(self) -> dict[str, Any]:
        """The arguments of an aiokafka client that may read everything; for a stack that has started."""
        return security.options(self.login(_ADMIN))

    def _begin(self, name: str, *arguments: str, environment: Mapping[str, str] | None = None) -> Part:
        log = self.logs / f"{name.replace(' ', '-')}.log"
        user = _USERS.get(name.split(maxsplit=1)[0])
        login = {} if user is None else self.login(user)
        part = Part(name, arguments, log, program=self._program, environment=login | dict(environment or {}))
        self._parts.append(part)
        return part

    def _run(self, name: str, patience: float, *arguments: str) -> None:
        """Run a command that ends by itself, to its end."""
        environment = self.login(_USERS.get(name, _ADMIN))
        part = Part(name, arguments, self.logs / f"{name}.log", program=self._program, environment=environment)
        until = time.monotonic() + patience
        try:
            while part.code is None:
                self.check()
                if time.monotonic() > until:
                    raise part.failure(f"was not done after {patience:g} s")
                time.sleep(_LOOK)
            if part.code:
                part.check()
        finally:
            part.end(0.0)

    def _announced(self, part: Part, patience: float, pattern: re.Pattern[str]) -> str:
        """What a part says when it is ready."""
        self._wait(part, patience, lambda: pattern.search(part.output()) is not None)
        return str(pattern.findall(part.output())[0])

    def _wait(self, part: Part, patience: float, ready: Callable[[], bool]) -> None:
        until = time.monotonic() + patience
        while not ready():
            self.check()
            if time.monotonic() > until:
                raise part.failure(f"was not ready after {patience:g} s")
            time.sleep(_LOOK)


def _name(number: int) -> str:
    """Of the worker at a place in the plan."""
    return f"worker {number + 1}"


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=2.0) as answer:  # noqa: S310 - http:// of our own making
            return bool(answer.status == 200)
    except (OSError, urllib.error.URLError):
        return False


__all__ = ["ALL_AGENTS", "CLOCK_OFFSET", "PartError", "Plan", "Stack"]
