"""Results into ``docs/performance.md``: between its markers a benchmark's command, tables, machine and pictures.

``python -m benchmarks.report``: every ``benchmarks/results/NAME.json`` into the section that ``<!-- bench:NAME -->``
and ``<!-- /bench:NAME -->`` enclose, and its pictures into ``docs/plots/``. What stands outside of markers stays.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable
from pathlib import Path

from benchmarks.results import Result, shown

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "benchmarks" / "results"
PAGE = ROOT / "docs" / "performance.md"
PLOTS = "plots"
_APART = {"CPU % ": "CPU, % of one core", "MB ": "Memory, MB"}
"""Columns that begin so stand in a table of their own."""


def tables(result: Result) -> list[str]:
    """The rows as Markdown, those that have the same values together; medians, and the least and most of several."""
    groups: list[tuple[list[str], list[str]]] = []
    rows = result.rows
    for row, values in rows.items():
        told = [name for name, seen in values.items() if any(value is not None for value in seen)]
        # Rows that share less than half of their values would leave a table of dashes.
        if groups and 2 * len(set(told) & set(groups[-1][0])) >= len(set(told) | set(groups[-1][0])):
            names, members = groups[-1]
            groups[-1] = ([*names, *(name for name in told if name not in names)], [*members, row])
        else:
            groups.append((told, [row]))
    made: list[str] = []
    for names, members in groups:
        apart = {head: [name for name in names if name.startswith(head)] for head in _APART}
        plain = [name for name in names if not name.startswith(tuple(_APART))]
        whole = {name: name for name in plain}
        if plain:
            made.append(_table("", whole, members, rows))
        for head, some in apart.items():
            if some:
                made.append(_table(_APART[head], {name: name.removeprefix(head) for name in some}, members, rows))
    return made


def _table(
    corner: str, names: dict[str, str], members: list[str], rows: dict[str, dict[str, list[float | str | bool | None]]]
) -> str:
    lines = [
        "| " + " | ".join((corner, *names.values())) + " |",
        "|---" * (len(names) + 1) + "|",
    ]
    for row in members:
        cells = [shown(rows[row].get(name, [])).replace("|", "\\|").replace("\n", " ") for name in names]
        label = f"**{row}**" if row.startswith("ashare-stream") else row
        if set(cells) != {"–"}:
            lines.append("| " + " | ".join((label, *cells)) + " |")
    return "\n".join(lines)


def section(result: Result, pictures: Iterable[str] = ()) -> str:
    """What stands between a benchmark's markers."""
    about = "; ".join(f"{name} {value}" for name, value in result.machine.items())
    shots = [f"![{result.name}: {Path(name).stem}]({PLOTS}/{name})" for name in pictures]
    turns = max((len(seen) for row in result.rows.values() for seen in row.values()), default=0)
    spread = f"Medians of {turns} turns, with the least and the most." if turns > 1 else "One turn."
    return "\n\n".join((f"`{result.command}`", *tables(result), *shots, f"{spread} {about}."))


def put(page: str, name: str, text: str) -> str:
    """The page with a benchmark's section replaced.

    Raises:
        ValueError: the page has no such section.
    """
    begin, end = f"<!-- bench:{name} -->", f"<!-- /bench:{name} -->"
    before, found, rest = page.partition(begin)
    _, closed, after = rest.partition(end)
    if not (found and closed):
        raise ValueError(f"{PAGE.name} has no section {begin} … {end}: write the two lines where it belongs")
    return f"{before}{begin}\n{text}\n{end}{after}"


def write(results: Iterable[Result], page: Path = PAGE) -> list[str]:
    """Put results and their pictures where they belong; the names of those that were put."""
    from benchmarks.plots import draw  # noqa: PLC0415 - matplotlib, for those who draw

    text, names = page.read_text("utf-8"), []
    for result in results:
        text = put(text, result.name, section(result, draw(result, page.parent / PLOTS)))
        names.append(result.name)
    page.write_text(text, "utf-8")
    return names


def main() -> None:
    """Write the page anew."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", nargs="*", type=Path, help="default: every file of benchmarks/results")
    given = parser.parse_args()
    names = write(Result.load(path) for path in given.files or sorted(RESULTS.glob("*.json")))
    sys.stdout.write(f"{PAGE.relative_to(ROOT)}: {', '.join(names) or 'nothing to put'}\n")


if __name__ == "__main__":
    main()
