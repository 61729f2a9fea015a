"""Plots as inline SVG: curves over a line, bars of classes. Pure text; the same bytes for the same figures."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from html import escape

COLOURS = ("#1f6feb", "#d9730d")
_WIDTH, _HEIGHT = 720, 240
_LEFT, _RIGHT, _TOP, _BOTTOM = 70, 16, 14, 40
Curve = Sequence[tuple[float, float | None]]
"""Points from left to right; ``None`` interrupts the curve."""


def lines(curves: Mapping[str, Curve], across: str, up: str, *, logarithmic: bool = False) -> str:
    """Curves over a common axis. On a logarithmic one, what is not above 0 is left out."""
    points = [(x, y) for curve in curves.values() for x, y in curve if y is not None and (y > 0 or not logarithmic)]
    if not points:
        return _empty()
    scale = _Scale([x for x, _ in points], [y for _, y in points], logarithmic=logarithmic)
    drawn = [_axes(scale, across, up)]
    for number, (name, curve) in enumerate(curves.items()):
        colour = COLOURS[number % len(COLOURS)]
        for piece in _pieces(curve, logarithmic=logarithmic):
            path = " ".join(f"{scale.x(x):.1f},{scale.y(y):.1f}" for x, y in piece)
            drawn.append(f'<polyline fill="none" stroke="{colour}" stroke-width="1.5" points="{path}"/>')
        drawn.append(_legend(number, name, colour))
    return _svg(drawn)


def bars(groups: Mapping[str, Mapping[str, int]], across: str, up: str) -> str:
    """Bars of classes, those of each group side by side."""
    names = list(dict.fromkeys(name for group in groups.values() for name in group))
    if not names:
        return _empty()
    most = max(count for group in groups.values() for count in group.values()) or 1
    scale = _Scale([0.0, float(len(names))], [0.0, float(most)], logarithmic=False)
    drawn = [_axes(scale, across, up, ticks=False)]
    slot = (_WIDTH - _LEFT - _RIGHT) / len(names)
    width = slot * 0.8 / len(groups)
    for number, (group, counts) in enumerate(groups.items()):
        colour = COLOURS[number % len(COLOURS)]
        for place, name in enumerate(names):
            top = scale.y(counts.get(name, 0))
            left = _LEFT + slot * (place + 0.1) + width * number
            height = _HEIGHT - _BOTTOM - top
            drawn.append(
                f'<rect x="{left:.1f}" y="{top:.1f}" width="{width:.1f}" height="{height:.1f}" fill="{colour}"/>'
            )
        drawn.append(_legend(number, group, colour))
    for place, name in enumerate(names):
        drawn.append(_text(_LEFT + slot * (place + 0.5), _HEIGHT - _BOTTOM + 14, name, "middle"))
    return _svg(drawn)


class _Scale:
    """From figures to places on the drawing."""

    def __init__(self, across: Sequence[float], up: Sequence[float], *, logarithmic: bool) -> None:
        self.left, self.right = min(across), max(across)
        self.low, self.high = min(up), max(up)
        self.logarithmic = logarithmic
        if not logarithmic:
            self.low = min(self.low, 0.0)
        if self.right <= self.left:
            self.right = self.left + 1.0
        if self.high <= self.low:
            self.high = self.low * 10.0 if logarithmic else self.low + 1.0

    def x(self, value: float) -> float:
        share = (value - self.left) / (self.right - self.left)
        return _LEFT + share * (_WIDTH - _LEFT - _RIGHT)

    def y(self, value: float) -> float:
        low, high = self.low, self.high
        if self.logarithmic:
            value, low, high = math.log10(value), math.log10(low), math.log10(high)
        return _HEIGHT - _BOTTOM - (value - low) / ((high - low) or 1.0) * (_HEIGHT - _TOP - _BOTTOM)

    def marks(self) -> list[float]:
        """Where the upright axis is marked: at round figures, on a logarithmic one at powers of ten, or 1, 2 and 5."""
        if not self.logarithmic:
            step = _step(self.high - self.low)
            first = math.ceil(self.low / step)
            return [(first + i) * step for i in range(int((self.high - first * step) / step + 1e-9) + 1)]
        powers = range(math.floor(math.log10(self.low)), math.ceil(math.log10(self.high)) + 1)
        marks: list[float] = []
        for digits in ((1.0,), (1.0, 2.0, 5.0)):
            marks = [digit * 10.0**power for power in powers for digit in digits]
            marks = [mark for mark in marks if self.low <= mark <= self.high]
            if len(marks) > 2:
                break
        return marks or [self.low, self.high]


def _step(span: float) -> float:
    """A round figure that goes into a span about five times."""
    least = span / 5
    power = 10.0 ** math.floor(math.log10(least)) if least > 0 else 0.0
    return next((digit * power for digit in (1.0, 2.0, 5.0, 10.0) if digit * power >= least > 0), span)


def _pieces(curve: Curve, *, logarithmic: bool) -> list[list[tuple[float, float]]]:
    pieces: list[list[tuple[float, float]]] = [[]]
    for x, y in curve:
        if y is None or (logarithmic and y <= 0):
            if pieces[-1]:
                pieces.append([])
        else:
            pieces[-1].append((x, y))
    # A point alone would not be drawn.
    return [piece if len(piece) > 1 else [piece[0], (piece[0][0], piece[0][1])] for piece in pieces if piece]


def _axes(scale: _Scale, across: str, up: str, *, ticks: bool = True) -> str:
    floor = _HEIGHT - _BOTTOM
    drawn = [f'<path d="M{_LEFT},{_TOP}V{floor}H{_WIDTH - _RIGHT}" fill="none" stroke="#888"/>']
    for value in scale.marks():
        y = scale.y(value)
        drawn.append(f'<path d="M{_LEFT},{y:.1f}H{_WIDTH - _RIGHT}" stroke="#ddd"/>')
        drawn.append(_text(_LEFT - 6, y + 4, f"{value:,.4g}", "end"))
    if ticks:
        for share in (0.0, 0.25, 0.5, 0.75, 1.0):
            value = scale.left + share * (scale.right - scale.left)
            drawn.append(_text(scale.x(value), floor + 14, f"{value:,.4g}", "middle"))
    drawn.append(_text((_LEFT + _WIDTH - _RIGHT) / 2, _HEIGHT - 6, across, "middle"))
    drawn.append(
        f'<text x="14" y="{_HEIGHT / 2:.0f}" text-anchor="middle" transform="rotate(-90 14 {_HEIGHT / 2:.0f})">'
    )
    return "".join(drawn) + f"{escape(up)}</text>"


def _legend(number: int, name: str, colour: str) -> str:
    x = _LEFT + 12 + 150 * number
    return f'<rect x="{x}" y="{_TOP}" width="10" height="10" fill="{colour}"/>' + _text(x + 14, _TOP + 9, name, "start")


def _text(x: float, y: float, text: str, anchor: str) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(text)}</text>'


def _svg(parts: Sequence[str]) -> str:
    return f'<svg viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img">{"".join(parts)}</svg>'


def _empty() -> str:
    return "<p>nothing to draw</p>"
