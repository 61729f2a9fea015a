"""Several Kafka nodes on one machine, as one cluster: three copies of each partition, of which two must have a record.

``DIR/cluster.json`` settles the nodes' ports and the cluster's id once and for all, since each node is told those of
all others. ``DIR/node-1`` and so on are the nodes' data directories, ``DIR/secure`` holds what they share of secrets.
A node can be run by a process of its own (``ashare kafka --brokers 3 --node 2``): whichever comes first makes the plan.
"""

from __future__ import annotations

import fcntl
import json
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from deploy.embedded.kafka import KafkaBroker, Member, Node, cluster_id
from deploy.embedded.secure import ADMIN, Secrets
from deploy.embedded.server import HOST, steady_ports
from schemas import UsageError

HEAP = "256m"
"""Of each node's JVM."""
_LOOK_SECONDS = 0.2


def members(
    data: Path, brokers: int, port: int = 0, *, secure: bool = False, users: Sequence[str] = ()
) -> list[Member]:
    """The nodes of the cluster in this directory; what it shares is made if it is new.

    Args:
        port: of the first node's clients, the next ones' follow; 0 for free ones. Of a cluster that is there, its own.

    Raises:
        UsageError: it has another number of nodes, other ports, or the directory can't be written.
    """
    try:
        data.mkdir(mode=0o700, parents=True, exist_ok=True)
        with (data / "cluster.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            plan = _plan(data, brokers, port)
            if secure:
                _share(Secrets(data / "secure"), users)
    except OSError as error:
        raise UsageError(f"{data} can't be used as a data directory: {error.strerror}") from error
    nodes = tuple(Node(*node) for node in plan["nodes"])
    if len(nodes) != brokers:
        raise UsageError(
            f"{data} holds a cluster of {len(nodes)} brokers: give --brokers {len(nodes)}, or another --data"
        )
    if port and nodes[0].port != port:
        raise UsageError(
            f"the cluster in {data} has its ports, from {nodes[0].port} on: give --port 0 or another --data"
        )
    return [Member(node, nodes, str(plan["cluster"]), data.absolute() / "secure") for node in nodes]


def _plan(data: Path, brokers: int, port: int) -> dict[str, Any]:
    path = data / "cluster.json"
    if not path.exists():
        ports = steady_ports(3 * brokers)
        clients = [port + number for number in range(brokers)] if port else ports[:brokers]
        others = iter(ports[brokers:])
        nodes = [(number + 1, clients[number], next(others), next(others)) for number in range(brokers)]
        beside = path.with_name("cluster.json.new")
        beside.write_text(json.dumps({"cluster": cluster_id(), "nodes": nodes}), "utf-8")
        beside.rename(path)
    read: dict[str, Any] = json.loads(path.read_text("utf-8"))
    return read


def _share(secrets: Secrets, users: Sequence[str]) -> None:
    secrets.prepare((HOST, "localhost"))
    for user in (ADMIN, *users):
        secrets.password(user)


def node_of(
    data: Path, member: Member, *, heap: str = HEAP, secure: bool = False, users: Sequence[str] = ()
) -> KafkaBroker:
    """The broker of one node; nothing is started."""
    folder = data / f"node-{member.node.number}"
    return KafkaBroker(folder, heap=heap, secure=secure, users=users, member=member)


class KafkaCluster:
    """All nodes of a cluster, as children of this process."""

    title = "Kafka"

    def __init__(
        self,
        data: Path,
        brokers: int = 3,
        port: int = 0,
        *,
        heap: str = HEAP,
        secure: bool = False,
        users: Sequence[str] = (),
    ) -> None:
        """Nothing is started; arguments as for ``members`` and ``KafkaBroker``.

        Raises:
            UsageError: see ``members``.
        """
        self.brokers = [
            node_of(data, member, heap=heap, secure=secure, users=users)
            for member in members(data, brokers, port, secure=secure, users=users)
        ]

    @property
    def bootstrap(self) -> str:
        """The addresses of all nodes."""
        return ",".join(broker.bootstrap for broker in self.brokers)

    @property
    def address(self) -> str:
        """The same, as of one server."""
        return self.bootstrap

    def start(self, timeout: float = 180.0) -> Self:
        """Start all nodes, and wait until each answers; none runs if one does not.

        Raises:
            UsageError: what became of the first that did not come up.
        """
        failures: list[Exception] = []

        def start(broker: KafkaBroker) -> None:
            try:
                broker.start(timeout)
            except Exception as error:  # noqa: BLE001 - raised below, in the caller's thread
                failures.append(error)

        # Together: a node is up when the controllers, of which most must be there, have let it in.
        starting = [threading.Thread(target=start, args=(broker,), daemon=True) for broker in self.brokers]
        for thread in starting:
            thread.start()
        for thread in starting:
            thread.join()
        if failures:
            self.kill()
            raise failures[0]
        return self

    def stop(self) -> None:
        """Ask all to end, and kill those that have not in time."""
        # Together, too: the last one alone could hand its leaders to nobody, and would wait.
        ending = [threading.Thread(target=broker.stop, daemon=True) for broker in self.brokers]
        for thread in ending:
            thread.start()
        for thread in ending:
            thread.join()

    def kill(self) -> None:
        """End all at once (SIGKILL)."""
        for broker in self.brokers:
            broker.kill()

    def wait(self) -> None:
        """Wait until one of them ends by itself."""
        while all(broker.running for broker in self.brokers):
            time.sleep(_LOOK_SECONDS)

    def failure(self) -> str:
        """Why one of them has ended, with the end of its log."""
        return next((broker.failure() for broker in self.brokers if not broker.running), "no broker has ended")

    def __enter__(self) -> Self:
        """Start."""
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop."""
        self.stop()
