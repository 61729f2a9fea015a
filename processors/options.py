"""What a worker is told: which agents it runs, and with which settings."""

from __future__ import annotations

import importlib
import re
import socket
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from broker.http_access import HttpAccess
from jobs.thresholds import Thresholds
from processors.agents.bar_store import BarStoreAgent
from processors.agents.bars import BarsAgent
from processors.agents.changes import ChangesAgent
from processors.agents.snapshots import SnapshotsAgent
from processors.agents.storage import StorageAgent
from processors.streaming.agent import Agent
from schemas import UsageError

AGENTS = ("snapshots", "storage", "changes", "bars")
"""The agents of this project that read the ticks, in the order in which they start."""
OWN = (*AGENTS, "bar-store")
"""All agents of this project: the last one reads what ``bars`` makes."""
_NAME = re.compile(r"[a-z0-9]+(?:-[a-z0-9]+)*")
_FILE = re.compile(r"[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*:[A-Za-z_]\w*")


@dataclass(frozen=True)
class WorkerOptions:
    """What a worker is told.

    Attributes:
        agents: of ``OWN``, or ``MODULE:CLASS``.
        web: the address that its HTTP server listens on, and who may ask there.
        web_url: where other workers reach this one.
        web_hosts: further names that its HTTP is asked by.
        peer_secret: what the workers of the group share.
        http_ca: authorities of the other workers' certificates, besides the system's.
        group_instance_id: what this worker is called in its groups; default: by its host and port.
    """

    bootstrap: str
    agents: tuple[str, ...]
    store: str
    thresholds: Thresholds
    web: HttpAccess
    web_port: int
    web_url: str
    web_hosts: tuple[str, ...] = ()
    peer_secret: str | None = field(default=None, repr=False)
    http_ca: str | None = None
    group_instance_id: str | None = None


def reached_at(host: str) -> str:
    """The host by which others reach a server that listens on ``host``: on all addresses, this machine's name."""
    return socket.gethostname() if host in {"0.0.0.0", "::"} else host  # noqa: S104 - compared, not bound


def parse_agents(text: str) -> tuple[str, ...]:
    """Agents from a comma string: this project's in their fixed order, then the others.

    Raises:
        UsageError: none, or one that does not exist.
    """
    named = list(dict.fromkeys(name.strip() for name in text.split(",") if name.strip()))
    unknown = [name for name in named if name not in OWN and not _FILE.fullmatch(name)]
    if unknown or not named:
        what = f"{unknown[0]!r} is not an agent" if unknown else "no agent is named"
        raise UsageError(f"{what}: --agents takes {', '.join(OWN)}, and agents of your own as MODULE:CLASS")
    return (*(name for name in OWN if name in named), *(name for name in named if name not in OWN))


def make_agents(options: WorkerOptions) -> list[Agent]:
    """The agents, in order.

    Raises:
        UsageError: one can't be made, or two have the same name.
    """
    known: dict[str, Callable[[], Agent]] = {
        "snapshots": SnapshotsAgent,
        "storage": lambda: StorageAgent(options.store),
        "changes": lambda: ChangesAgent(options.thresholds),
        "bars": BarsAgent,
        "bar-store": lambda: BarStoreAgent(options.store),
    }
    agents = [known[name]() if name in known else load(name) for name in options.agents]
    names = [agent.name for agent in agents]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise UsageError(f"two agents are called {twice!r}: give one another name")
    return agents


def load(place: str) -> Agent:
    """An agent of another team, from ``MODULE:CLASS``; modules of the working directory are found too.

    Raises:
        UsageError: it can't be imported, is not an agent, or declares something that can't be.
    """
    module_name, _, class_name = place.partition(":")
    here = str(Path.cwd())
    if here not in sys.path:
        sys.path.append(here)
    try:
        module = importlib.import_module(module_name)
    except Exception as error:
        raise UsageError(f"--agents {place}: the module {module_name} can't be imported: {error!r}") from error
    made = getattr(module, class_name, None)
    if not isinstance(made, type) or not issubclass(made, Agent):
        what = "has no" if made is None else "is not a subclass of processors.streaming.agent.Agent:"
        raise UsageError(f"--agents {place}: {module_name} {what} {class_name}")
    try:
        agent = made()
    except Exception as error:
        raise UsageError(f"--agents {place}: {class_name}() failed: {error!r}") from error
    name = getattr(agent, "name", None)
    # Names of several agents were those of their shared groups in earlier versions (``streaming.groups``).
    if not isinstance(name, str) or not _NAME.fullmatch(name) or taken(name):
        raise UsageError(
            f"--agents {place}: its name is {name!r}: set `name` to lower-case letters, digits and dashes, other than"
            f" {', '.join(OWN)}, or these joined"
        )
    return agent


def taken(name: str) -> bool:
    """Whether a name is one of this project's, or some of them joined."""
    return name in OWN or set(name.split("-")) <= set(AGENTS)
