"""The ratios that must hold (``bench_bounds.json``), and whether measured ones do. Pure."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec

FILE = Path(__file__).parents[1] / "bench_bounds.json"


class Bound(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One ratio's bound: bigger is better, and ``why`` says what it guards and how much slack it has."""

    at_least: float
    why: str


@dataclass(frozen=True)
class Line:
    """One ratio, judged; ``measured`` is the median."""

    name: str
    measured: float | None
    at_least: float | None
    holds: bool
    text: str


def load(path: Path = FILE) -> dict[str, Bound]:
    """The bounds by the names of their ratios.

    Raises:
        ValueError: the file is none of these, or a bound says nothing: it is not above 0, or has no reason.
    """
    try:
        bounds = msgspec.json.decode(path.read_bytes(), type=dict[str, Bound])
    except (OSError, msgspec.MsgspecError) as error:
        raise ValueError(f"{path.name}: {error}") from error
    for name, bound in bounds.items():
        if bound.at_least <= 0 or not bound.why.strip():
            raise ValueError(f"{path.name}: {name!r} bounds nothing: at_least must be above 0 and why must say why")
    return bounds


def judge(measured: Mapping[str, Sequence[float]], bounds: Mapping[str, Bound]) -> list[Line]:
    """Every bound and every ratio, each with its verdict; one without the other does not hold."""
    lines: list[Line] = []
    for name in dict.fromkeys((*bounds, *measured)):
        values, bound = measured.get(name), bounds.get(name)
        if not values:
            lines.append(
                Line(name, None, None if bound is None else bound.at_least, holds=False, text="was not measured")
            )
            continue
        middle = statistics.median(values)
        if bound is None:
            lines.append(Line(name, middle, None, holds=False, text=f"{middle:.2f} has no bound in {FILE.name}"))
            continue
        holds = middle >= bound.at_least
        text = f"{middle:.2f} ({min(values):.2f} – {max(values):.2f}), at least {bound.at_least:g}"
        lines.append(Line(name, middle, bound.at_least, holds, text if holds else f"{text}: {bound.why}"))
    return lines
