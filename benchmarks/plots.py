"""Results as pictures: bars of contenders, lines against a rate. SVG, the same bytes for the same figures."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import matplotlib as mpl

mpl.use("Agg")
mpl.rcParams["svg.hashsalt"] = "ashare-stream"
mpl.rcParams["svg.fonttype"] = "none"  # text stays text: a tenth of the size
mpl.rcParams["font.size"] = 9

from matplotlib import pyplot as plt  # noqa: E402 - the backend is chosen before

from benchmarks.results import Result, number  # noqa: E402

_OURS, _THEIRS = "#1f6feb", "#9aa4b0"
Belongs = Callable[[str], bool]
"""Whether a row is of a kind."""
_LEADING = re.compile(r"[\d,]+")


def bars(result: Result, name: str, path: Path, *, only: str = "") -> bool:
    """One bar a row, with the span of its samples; ``only`` takes the rows that end so. False without any figure."""
    rows = [row for row in result.rows if row.endswith(only) and result.median(row, name)]
    if not rows:
        return False
    figure, axes = plt.subplots(figsize=(7, 0.6 + 0.32 * len(rows)))
    for at, row in enumerate(rows):
        middle = result.median(row, name) or 0.0
        seen = [v for v in result.rows[row][name] if isinstance(v, float | int)]
        color = _OURS if row.startswith(("ashare", "Publisher")) else _THEIRS
        axes.barh(at, middle, color=color, xerr=[[middle - min(seen)], [max(seen) - middle]], ecolor="#444", height=0.7)
        axes.text(max(seen), at, f"  {number(middle)}", va="center")
    axes.set_yticks(range(len(rows)), [row.removesuffix(only) for row in rows])
    axes.invert_yaxis()
    axes.set_xlabel(name)
    axes.xaxis.set_major_formatter(_plain)
    axes.margins(x=0.14)
    _save(figure, axes, path)
    return True


def lines(
    result: Result,
    names: Mapping[str, Belongs],
    values: list[str],
    path: Path,
    labels: tuple[str, str],
    *,
    logarithmic: bool = True,
) -> bool:
    """Medians of some values against the number in each row's name, a line for each kind of row and each value."""
    figure, axes = plt.subplots(figsize=(7, 3.2))
    drawn = 0
    for kind, belongs in names.items():
        rows = [(_number(row), row) for row in result.rows if belongs(row)]
        for style, value in zip(("-", "--", ":"), values, strict=False):
            found = [(at, middle) for at, row in sorted(rows) if (middle := result.median(row, value))]
            if not found:
                continue
            drawn += 1
            color = _OURS if kind == next(iter(names)) else _THEIRS
            axes.plot(*zip(*found, strict=True), style, marker="o", ms=3, color=color, label=f"{kind}, {value}")
    if drawn:
        axes.set_xscale("log")
        axes.xaxis.set_major_formatter(_plain)
        if logarithmic:
            axes.set_yscale("log")
            axes.yaxis.set_major_formatter(_plain)
        else:
            axes.set_ylim(bottom=0)
        axes.set_xlabel(labels[0])
        axes.set_ylabel(labels[1])
        axes.legend(frameon=False)
        _save(figure, axes, path)
    else:
        plt.close(figure)
    return drawn > 0


def _plain(value: float, _: object) -> str:
    return number(value)


def _number(row: str) -> float:
    found = _LEADING.search(row)
    return float(found[0].replace(",", "")) if found else 0.0


def _save(figure: Any, axes: Any, path: Path) -> None:
    axes.spines[["top", "right"]].set_visible(False)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, bbox_inches="tight", metadata={"Date": None, "Creator": None})
    plt.close(figure)


def _hop(row: str) -> bool:
    return row.startswith("two raw hops")


def _ours(row: str) -> bool:
    return not _hop(row)


def _plain_clients(row: str) -> bool:
    return row.endswith(" clients")


def _broadcast(row: str) -> bool:
    return "broadcast" in row


def _ending(kind: str) -> Belongs:
    return lambda row: row.endswith(kind)


def draw(result: Result, folder: Path) -> list[str]:  # noqa: C901 - a case a benchmark
    """The pictures of a result; their file names, in the order in which they belong below its table."""
    made: list[str] = []

    def note(name: str, drawn: bool) -> None:  # noqa: FBT001 - a private helper
        if drawn:
            made.append(name)

    match result.name:
        case "changes_job":
            note("changes-job.svg", bars(result, "ticks/s", folder / "changes-job.svg"))
        case "produce_job":
            for per in (1, 50):
                file = f"produce-job-{per}.svg"
                note(file, bars(result, "ticks/s", folder / file, only=f"; {per} a frame"))
        case "latency":
            kinds: dict[str, Belongs] = {"ashare-stream": _ours, "two raw hops": _hop}
            drawn = lines(
                result,
                kinds,
                ["p50 ms", "p99 ms", "p99.9 ms"],
                folder / "latency.svg",
                ("ticks/s", "socket to reader, ms"),
            )
            note("latency.svg", drawn)
        case "pipeline":
            kinds = {"pipeline": _ours}
            drawn = lines(
                result, kinds, ["stored/s", "pushed/s"], folder / "pipeline.svg", ("asked ticks/s", "ticks/s")
            )
            note("pipeline.svg", drawn)
        case "gateway":
            kinds = {"ashare gateway": _plain_clients, "websockets.broadcast": _broadcast}
            file, axes = "gateway.svg", ("clients", "ms from receipt to client")
            note(file, lines(result, kinds, ["p50 ms", "p99 ms"], folder / file, axes))
            file, axes = "gateway-cpu.svg", ("clients", "% of one core")
            note(file, lines(result, kinds, ["% CPU"], folder / file, axes))
        case "sweeps":
            for kind in ("codes", "partitions"):
                belongs = {kind: _ending(f" {kind}")}
                axes = (f"number of {kind}", "µs CPU a tick")
                file = f"cost-by-{kind}.svg"
                note(file, lines(result, belongs, ["µs CPU a tick"], folder / file, axes, logarithmic=False))
        case _:
            pass
    return made
