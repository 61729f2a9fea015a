"""Thresholds set in the middle of a run: by which rule each tick is due to be judged, and whether they were prompt.

A worker says in ``ashare.threshold-marks.v1`` from which tick of a partition on it judges by what was set. That alone
is taken from it; that every mark is of something that was set, how soon it came and what follows is worked out here.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from selfcheck.exact import Rule
from selfcheck.findings import Findings
from selfcheck.log import Entry
from selfcheck.reference import board_of

LATE = 5_000
"""Milliseconds from the set to the ticks that must be judged by it: not the promise, which is measured, but stuck."""

_rule = lru_cache(maxsize=1024)(Rule.parse)


@dataclass
class Setting:
    """One record of the thresholds' topic, and what became of it.

    Attributes:
        at: when it was set, ms since the epoch.
        partitions: those with a tick that was judged by it.
        after_ms: from the set until the last tick that was not yet judged by it came off the socket, in the slowest
            partition; 0 where those that had come before were judged by it already.
    """

    scope: str
    threshold: str | None
    at: int
    version: int
    partitions: int = 0
    after_ms: int = 0


@dataclass(frozen=True)
class _Step:
    threshold: str | None
    version: int


class Rules:
    """The rule of each tick: the default, or what was set at run time, from where the partition's marks say.

    Attributes:
        settings: every record of the thresholds' topic, in order.
    """

    def __init__(self, default: Rule, findings: Findings, settings: Iterable[Entry] = ()) -> None:
        """Rules that ``settings``, the records of the thresholds' topic, may change."""
        self.settings = [
            Setting(
                (entry.key or b"").decode(),
                None if entry.value is None else json.loads(entry.value)["threshold"],
                entry.timestamp,
                entry.offset,
            )
            for entry in settings
        ]
        self._default = default
        self._findings = findings
        self._steps: dict[int, dict[str, dict[int, _Step]]] = {}
        self._awaited: dict[int, list[Setting]] = {}

    def mark(self, entry: Entry) -> None:
        """Take a record of the marks' topic, of a partition, in order."""
        mark = json.loads(entry.value or b"{}")
        scope, start, step = mark["scope"], mark["start"], _Step(mark["threshold"], mark["version"])
        asked = {(one.version, one.scope, one.threshold) for one in self.settings}
        if (step.version, scope, step.threshold) not in asked or entry.key != scope.encode():
            self._findings.add("threshold_mismatches", why="a mark of what nobody set", mark=mark, key=repr(entry.key))
        steps = self._steps.setdefault(entry.partition, {}).setdefault(scope, {})
        for superseded in [other for other in steps if other >= start]:
            del steps[superseded]
        steps[start] = step

    def of(self, partition: int, offset: int, tick: dict[str, Any]) -> Rule:
        """The rule that a tick is due to be judged by; to be asked in the order of the partition."""
        if not self.settings:
            return self._default
        steps = self._steps.get(partition, {})
        scopes = (f"code:{tick['code']}", f"board:{board_of(tick['code'])}", "default")
        self._prompt(partition, offset, tick["received"] // 1000, scopes, steps)
        for scope in scopes:
            step = _at(steps.get(scope, {}), offset)
            if step is not None and step.threshold is not None:
                return _rule(step.threshold)
        return self._default

    def _prompt(
        self, partition: int, offset: int, received: int, scopes: Sequence[str], steps: dict[str, dict[int, _Step]]
    ) -> None:
        """See whether what was set before the tick came, at ``received`` ms, is in force."""
        awaited = self._awaited.get(partition)
        if awaited is None:
            awaited = self._awaited[partition] = list(self.settings)
        for setting in list(awaited):
            step = _at(steps.get(setting.scope, {}), offset) or _Step(None, -1)
            mine = setting.scope in scopes
            if step.version >= setting.version or (step.threshold == setting.threshold and received >= setting.at):
                if mine:
                    setting.partitions += 1
                    awaited.remove(setting)
            elif mine or setting.scope in steps:
                setting.after_ms = max(setting.after_ms, received - setting.at)
                if received > setting.at + LATE:
                    awaited.remove(setting)
                    self._findings.add(
                        "threshold_mismatches",
                        why=f"not in force {LATE / 1000:g} s after it was set",
                        scope=setting.scope,
                        threshold=setting.threshold,
                        partition=partition,
                        offset=offset,
                    )


def _at(steps: dict[int, _Step], offset: int) -> _Step | None:
    start = max((start for start in steps if start <= offset), default=None)
    return None if start is None else steps[start]
