"""What a benchmark hands back: samples of rows, told as medians with their spread, kept as JSON.

Every benchmark has the same shape: some rows (a contender, a rate, a stage), each measured several times in turns, each
time with some values whose names carry their unit. So one way of printing, one file format, and one report do for all.
"""

from __future__ import annotations

import argparse
import json
import logging
import shlex
import statistics
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.machine import machine

Value = float | str | bool | None
"""A number in the unit that its name says, a word, or whether something was right."""


@dataclass(frozen=True)
class Sample:
    """One row, measured once."""

    row: str
    values: Mapping[str, Value]


@dataclass
class Result:
    """One run of one benchmark.

    Attributes:
        name: of its module.
        command: what anyone can type to get the same.
        settings: what it was told.
    """

    name: str
    command: str
    settings: Mapping[str, Any]
    machine: Mapping[str, str] = field(default_factory=machine)
    samples: list[Sample] = field(default_factory=list)

    def add(self, row: str, values: Mapping[str, Value]) -> None:
        """Note one sample, and say it on stderr."""
        self.samples.append(Sample(row, dict(values)))
        told = ", ".join(f"{name} {shown([value])}" for name, value in values.items())
        sys.stderr.write(f"{self.name}: {row}: {told}\n")
        sys.stderr.flush()

    @property
    def rows(self) -> dict[str, dict[str, list[Value]]]:
        """By row, in the order of their first samples: by name, the values of all its samples."""
        found: dict[str, dict[str, list[Value]]] = {}
        for sample in self.samples:
            row = found.setdefault(sample.row, {})
            for name, value in sample.values.items():
                row.setdefault(name, []).append(value)
        return found

    def median(self, row: str, name: str) -> float | None:
        """The median of a row's numbers; ``None`` where it has none of that name."""
        numbers = [v for v in self.rows.get(row, {}).get(name, []) if v is not None and not isinstance(v, bool | str)]
        return statistics.median(numbers) if numbers else None

    def table(self) -> list[list[str]]:
        """Heads and rows, for people."""
        rows = self.rows
        told = ((name, values) for row in rows.values() for name, values in row.items())
        names = list(dict.fromkeys(name for name, values in told if any(value is not None for value in values)))
        return [
            ["", *names],
            *([row, *(shown(values.get(name, [])) for name in names)] for row, values in rows.items()),
        ]

    def as_text(self) -> str:
        """Machine, settings and table."""
        table = self.table()
        widths = [max(len(line[column]) for line in table) for column in range(len(table[0]))]
        lines = [
            "  ".join(
                cell.rjust(width) if at else cell.ljust(width)
                for at, (cell, width) in enumerate(zip(line, widths, strict=True))
            )
            for line in table
        ]
        about = "; ".join(f"{name} {value}" for name, value in self.machine.items())
        return "\n".join((self.command, about, "", *lines))

    def save(self, path: Path) -> None:
        """Keep it as JSON."""
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(asdict(self), indent=1, ensure_ascii=False) + "\n", "utf-8")

    @classmethod
    def load(cls, path: Path) -> Result:
        """What ``save`` kept.

        Raises:
            ValueError: the file is none of these.
        """
        try:
            kept = json.loads(path.read_text("utf-8"))
            samples = [Sample(sample["row"], sample["values"]) for sample in kept.pop("samples")]
            return cls(**kept, samples=samples)
        except (json.JSONDecodeError, KeyError, TypeError, AttributeError) as error:
            raise ValueError(f"{path} is not a result of a benchmark: {error!r}") from error


def shown(values: Sequence[Value]) -> str:
    """Values of one kind as a cell: the median and, of several, the least and the most."""
    values = [value for value in values if value is not None]
    if not values:
        return "–"
    if all(isinstance(value, bool) for value in values):
        return "yes" if all(values) else f"NO ({sum(map(bool, values))} of {len(values)})" if len(values) > 1 else "NO"
    numbers = [value for value in values if not (value is None or isinstance(value, bool | str))]
    if len(numbers) < len(values):
        return "; ".join(dict.fromkeys(map(str, values)))
    middle = number(statistics.median(numbers))
    if len(numbers) == 1:
        return middle
    return f"{middle} ({number(min(numbers))} – {number(max(numbers))})"


def number(value: float) -> str:
    """Three significant digits, or whole, with thousands apart."""
    if value == 0:
        return "0"
    if abs(value) >= 100_000:
        return f"{round(value, -3):,.0f}"
    if abs(value) >= 1_000:
        return f"{round(value, -1):,.0f}"
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.3g}"


def options(about: str | None, **defaults: Any) -> argparse.ArgumentParser:
    """The options that benchmarks share: ``ticks``, ``repeats``, ``seconds`` where a default is given, and the file."""
    parser = argparse.ArgumentParser(description=about, formatter_class=argparse.RawDescriptionHelpFormatter)
    if "ticks" in defaults:
        parser.add_argument("--ticks", type=int, default=defaults["ticks"], help="of one measurement")
    if "repeats" in defaults:
        parser.add_argument("--repeats", type=int, default=defaults["repeats"], help="turns of everything")
    if "seconds" in defaults:
        parser.add_argument("--seconds", type=float, default=defaults["seconds"], help="of one measurement")
    parser.add_argument("--json", type=Path, metavar="FILE", help="keep every sample in this file")
    return parser


def hush() -> None:
    """A topic that was made a moment ago has no leader yet: aiokafka tries again, and would say so twelve times."""
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)


def begin(given: argparse.Namespace, name: str) -> Result:
    """An empty result of a benchmark with these options."""
    hush()
    told = sys.argv[1:]
    for flag in ("--json", "--peers"):
        if flag in told:
            at = told.index(flag)
            told = told[:at] + told[at + 2 :]
    settings = {key: value for key, value in vars(given).items() if key not in {"json", "peers"}}
    return Result(name, shlex.join(("python", "-m", f"benchmarks.{name}", *told)), settings)


def finish(result: Result, given: argparse.Namespace) -> None:
    """Print the table, and keep the samples where that was asked for."""
    sys.stdout.write(result.as_text() + "\n")
    if given.json:
        result.save(given.json)
