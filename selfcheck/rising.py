"""A code's row in the snapshots topic never goes back: not in the ticks topic, nor by any of its lines."""

from __future__ import annotations

from typing import Any

from selfcheck.findings import Findings
from selfcheck.repeats import HEALED

Json = dict[str, Any]


class Rising:
    """Takes every published row of a topic, in the order of its partition."""

    def __init__(self, findings: Findings) -> None:
        """Nothing was read yet."""
        self._findings = findings
        self._last: dict[str, tuple[Json, dict[str, Json]]] = {}

    def add(self, key: str, row: Json) -> None:
        """Take one row; a line may go back where the tick before was wrong, which its time of receipt tells."""
        origin, lines = row["origin"], {line["source"]: line for line in row["lines"]}
        before = self._last.get(key)
        self._last[key] = origin, lines
        if before is None:
            return
        if (origin["partition"], origin["offset"]) < (before[0]["partition"], before[0]["offset"]):
            self._findings.add("rows_went_back", key=key, why="origin", got=origin, after=before[0])
            return
        for source, line in lines.items():
            last = before[1].get(source)
            if last is not None and (line["run"], line["n"]) < (last["run"], last["n"]) and not _healed(last, line):
                self._findings.add("rows_went_back", key=key, why="line", got=line, after=last)


def _healed(last: Json, line: Json) -> bool:
    before, now = last.get("received"), line.get("received")
    return before is not None and now is not None and now - before > HEALED
