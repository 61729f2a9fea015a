"""Plots as inline SVG: curves over a line, bars of classes. Pure text; the same bytes for the same figures."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from html import escape

COLOURS = ("#1f6feb", "#d9730d")
_WIDTH, _HEIGHT = 720, 258
_LEFT, _RIGHT, _TOP, _BOTTOM = 70, 16, 32, 40
_LEGEND = 8
"""The legend's upper edge; it lies above the drawing, so that it hides no bar and no curve."""
_CHARACTER = 6.5
"""The width of a character of the legend, about."""
Curve = Sequence[tuple[float, float | None]]
"""Points from left to right; ``None`` interrupts the curve."""


def lines(curves: Mapping[str, Curve], across: str, up: str, *, logarithmic: bool = False) -> str:
    """Curves over a common axis. On a logarithmic one, what is not above 0 is left out."""
    points = [(x, y) for curve in curves.values() for x, y in curve if y is not None and (y > 0 or not logarithmic)]
    if not points:
        return _empty()
    scale = _Scale([x for x, _ in points], [y for _, y in points], logarithmic=logarithmic)
    drawn = [_axes(scale, across, up)]
    for number, curve in enumerate(curves.values()):
        colour = COLOURS[number % len(COLOURS)]
        for piece in _pieces(curve, logarithmic=logarithmic):
            path = " ".join(f"{scale.x(x):.1f},{scale.y(y):.1f}" for x, y in piece)
            drawn.append(f'<polyline fill="none" stroke="{colour}" stroke-width="1.5" points="{path}"/>')
    return _svg([*drawn, _legend(list(curves))])


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
    for number, counts in enumerate(groups.values()):
        colour = COLOURS[number % len(COLOURS)]
        for place, name in enumerate(names):
            top = scale.y(counts.get(name, 0))
            left = _LEFT + slot * (place + 0.1) + width * number
            height = _HEIGHT - _BOTTOM - top
            drawn.append(
                f'<rect x="{left:.1f}" y="{top:.1f}" width="{width:.1f}" height="{height:.1f}" fill="{colour}"/>'
            )
    drawn.append(_legend(list(groups)))
    for place, name in enumerate(names):
        drawn.append(_text(_LEFT + slot * (place + 0.5), _HEIGHT - _BOTTOM + 16, name, "middle"))
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
        if not logarithmic:
            # Up to a mark, so that the highest point lies between two figures.
            step = _step(self.high - self.low)
            self.low, self.high = math.floor(self.low / step) * step, math.ceil(self.high / step) * step

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
            return _round(self.low, self.high)
        powers = range(math.floor(math.log10(self.low)), math.ceil(math.log10(self.high)) + 1)
        marks: list[float] = []
        for digits in ((1.0,), (1.0, 2.0, 5.0)):
            marks = [digit * 10.0**power for power in powers for digit in digits]
            marks = [mark for mark in marks if self.low <= mark <= self.high]
            if len(marks) > 2:
                return marks
        # Less than a decade: as on a linear axis.
        return marks if len(marks) > 1 else _round(self.low, self.high)

    def steps(self) -> list[float]:
        """Where the level axis is marked: at round figures."""
        return _round(self.left, self.right)


def _round(low: float, high: float) -> list[float]:
    """The multiples of a round figure from one number to another."""
    step = _step(high - low)
    first = math.ceil(low / step - 1e-9)
    return [(first + i) * step for i in range(int((high - first * step) / step + 1e-9) + 1)]


def _figure(value: float) -> str:
    """A round figure as the axes show it."""
    return f"{value:,.10g}"


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
        drawn.append(_text(_LEFT - 6, y + 4, _figure(value), "end"))
    if ticks:
        for value in scale.steps():
            x = scale.x(value)
            drawn.append(f'<path d="M{x:.1f},{floor}v4" stroke="#888"/>')
            drawn.append(_text(x, floor + 16, _figure(value), "middle"))
    drawn.append(_text((_LEFT + _WIDTH - _RIGHT) / 2, _HEIGHT - 6, across, "middle"))
    drawn.append(
        f'<text x="14" y="{_HEIGHT / 2:.0f}" text-anchor="middle" transform="rotate(-90 14 {_HEIGHT / 2:.0f})">'
    )
    return "".join(drawn) + f"{escape(up)}</text>"


def _legend(names: Sequence[str]) -> str:
    drawn, x = [], float(_LEFT)
    for number, name in enumerate(names):
        colour = COLOURS[number % len(COLOURS)]
        drawn.append(f'<rect class="key" x="{x:.1f}" y="{_LEGEND}" width="10" height="10" fill="{colour}"/>')
        drawn.append(_text(x + 14, _LEGEND + 9, name, "start"))
        x += 14 + _CHARACTER * len(name) + 20
    return "".join(drawn)


def _text(x: float, y: float, text: str, anchor: str) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(text)}</text>'


def _svg(parts: Sequence[str]) -> str:
    return f'<svg viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img">{"".join(parts)}</svg>'


def _empty() -> str:
    return "<p>nothing to draw</p>"
