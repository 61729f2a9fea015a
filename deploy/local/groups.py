"""The consumer groups of workers, as the workers themselves name them: the one place that knows how."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Iterable, Mapping
from typing import Any

from schemas.topics import TICKS


def groups_of(urls: Iterable[str]) -> list[str]:
    """The groups in which the workers at these addresses read the ticks, each once, in order of name.

    Args:
        urls: the workers' HTTP addresses; all of them have to answer.

    Raises:
        OSError: one does not answer.
        ValueError: what one answers is not a status that names its groups.
    """
    return sorted({group for url in urls for group in groups_in(_status(url))})


def groups_in(status: Mapping[str, Any]) -> list[str]:
    """The groups that a worker's ``/status`` names, but for those of agents that read another topic than the ticks.

    ``groups`` names one for each agent, as an object of them by agent or as a list; ``group`` is that of a worker whose
    agents share one.

    Raises:
        ValueError: it names none.
    """
    named = status.get("groups") or status.get("group") or ()
    if isinstance(named, str):
        named = (named,)
    elif isinstance(named, Mapping):
        named = named.values()
    agents = status.get("agents") or {}
    elsewhere = {agent.get("group") for agent in agents.values() if agent.get("input", TICKS) != TICKS}
    found = sorted({str(group) for group in named} - elsewhere)
    if not found:
        raise ValueError("the worker's /status names no consumer group")
    return found


def _status(url: str) -> dict[str, Any]:
    with urllib.request.urlopen(f"{url}/status", timeout=10.0) as answer:  # noqa: S310 - http:// of the stack's own
        status: dict[str, Any] = json.load(answer)
        return status
