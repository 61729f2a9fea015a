"""Who may do what in Kafka, as ``acls.yaml`` declares it: least privilege, one user for each part."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from schemas.errors import UsageError

OPERATIONS = {
    "all": 2,
    "read": 3,
    "write": 4,
    "create": 5,
    "delete": 6,
    "alter": 7,
    "describe": 8,
    "cluster-action": 9,
    "describe-configs": 10,
    "alter-configs": 11,
    "idempotent-write": 12,
}
"""Kafka's number of each operation."""
RESOURCES = {"topic": 2, "group": 3, "cluster": 4, "transactional-id": 5}
"""Kafka's number of each kind of resource."""


class Rule(NamedTuple):
    """One thing that one user may do; ``name`` is a whole name, or the beginning of one."""

    principal: str
    operation: str
    resource: str
    name: str
    prefixed: bool

    def __str__(self) -> str:
        """As in ``acls.yaml``, with the user before it."""
        return f"{self.principal} {self.operation} {self.resource} {self.name}{'*' if self.prefixed else ''}"


@dataclass(frozen=True)
class Role:
    """A part, or a team of readers."""

    name: str
    about: str
    allow: tuple[str, ...]

    def rules(self, principal: str) -> list[Rule]:
        """What its user may do.

        Args:
            principal: as Kafka names it, ``User:quant``.
        """
        return [rule for line in self.allow for rule in _rules(line.replace("{team}", self.name), principal)]


@cache
def roles() -> Mapping[str, Role]:
    """The declared parts, by name, in the order of ``acls.yaml``."""
    return {name: _role(name, declared) for name, declared in _declared()["principals"].items()}


def team(name: str) -> Role:
    """A team of readers.

    Raises:
        UsageError: it has the name of a part.
    """
    if name in roles():
        raise UsageError(f"--team {name}: that is a part of the pipeline: choose another name")
    return _role(name, _declared()["team"])


def declared(teams: Iterable[str] = (), principals: Mapping[str, str] | None = None) -> list[Rule]:
    """All rules, of the parts and of these teams.

    Args:
        principals: Kafka's name of a part's or team's user, where it is not ``User:`` and the name.
    """
    wanted = [*roles().values(), *(team(name) for name in teams)]
    named = principals or {}
    return [rule for role in wanted for rule in role.rules(named.get(role.name, f"User:{role.name}"))]


@cache
def _declared() -> dict[str, Any]:
    read: dict[str, Any] = yaml.safe_load((Path(__file__).parent / "acls.yaml").read_text("utf-8"))
    return read


def _role(name: str, found: Mapping[str, Any]) -> Role:
    return Role(name, found["about"], tuple(found["allow"]))


def _rules(line: str, principal: str) -> list[Rule]:
    operations, resource, name = line.rsplit(" ", 2)
    assert resource in RESOURCES, line
    made = [
        Rule(principal, one.strip(), resource, name.removesuffix("*"), name.endswith("*"))
        for one in operations.split(",")
    ]
    assert all(rule.operation in OPERATIONS for rule in made), line
    return made
