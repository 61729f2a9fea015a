"""A Compose project, read from its files as Compose reads them; of its rules, those that our files use."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from schemas import UsageError

VARIABLE = re.compile(r"\$\$|\$\{(\w+)(?:(:?[-+])([^}]*))?\}")
"""``${NAME}``, with what stands for it where it is unset (``-``, or empty: ``:-``), or instead of it (``+``)."""
_REPLACED = frozenset({"command", "entrypoint", "test"})
"""Lists that an override replaces; the others it adds to."""
_SIZES = {"": 1, "b": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30}
_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}


def project(files: Sequence[Path], variables: Mapping[str, str]) -> dict[str, Any]:
    """The files, each over those before it, with variables put in."""
    read: Any = {}
    for file in files:
        read = _over(read, yaml.safe_load(file.read_text("utf-8")))
    whole: dict[str, Any] = _filled(read, variables)
    return whole


def started(project: Mapping[str, Any], profiles: Collection[str] = ()) -> Iterator[str]:
    """The services that ``up`` starts, each after those that it waits for.

    Raises:
        UsageError: they wait for each other.
    """
    waiting = {
        name: set(service.get("depends_on", ()))
        for name, service in project["services"].items()
        if not service.get("profiles") or set(service["profiles"]) & set(profiles)
    }
    while waiting:
        free = [name for name, needed in waiting.items() if not needed & waiting.keys()]
        if not free:
            raise UsageError(f"compose: {', '.join(waiting)} wait for each other")
        yield from free
        for name in free:
            del waiting[name]


def size(text: str | int) -> int:
    """Bytes, of ``512m``."""
    found = re.fullmatch(r"(\d+(?:\.\d+)?)([bkmg]?)b?", str(text).lower())
    if found is None:
        raise UsageError(f"compose: {text!r} is not a size: give 512m")
    return int(float(found[1]) * _SIZES[found[2]])


def seconds(text: str) -> float:
    """Seconds, of ``1m30s``."""
    found = re.findall(r"(\d+(?:\.\d+)?)(ms|s|m|h)", text)
    if not found or "".join(number + unit for number, unit in found) != text:
        raise UsageError(f"compose: {text!r} is not a time: give 30s")
    return sum(float(number) * _SECONDS[unit] for number, unit in found)


def _over(under: Any, above: Any, key: str = "") -> Any:
    if isinstance(under, dict) and isinstance(above, dict):
        return under | {name: _over(under.get(name), value, name) for name, value in above.items()}
    if isinstance(under, list) and isinstance(above, list) and key not in _REPLACED:
        return [*under, *(one for one in above if one not in under)]
    return above


def _filled(node: Any, variables: Mapping[str, str]) -> Any:
    if isinstance(node, dict):
        return {key: _filled(inner, variables) for key, inner in node.items()}
    if isinstance(node, list):
        return [_filled(inner, variables) for inner in node]
    return VARIABLE.sub(lambda found: _value(found, variables), node) if isinstance(node, str) else node


def _value(found: re.Match[str], variables: Mapping[str, str]) -> str:
    name, how, other = found.groups()
    if name is None:
        return "$"
    given = variables.get(name)
    there = bool(given) if (how or "").startswith(":") else given is not None
    if how in {":+", "+"}:
        return other if there else ""
    return given or "" if there else other or ""
