"""How large a move must be to be emitted: in yuan, ticks or basis points; code beats board beats default."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Context, Decimal

from market.codes import Board, UnknownCode, instrument
from market.kinds import resolve, resolved
from market.prices import SCALE
from market.rules import tick_size_e4
from schemas import UsageError
from schemas.bounds import MAX_SCOPE, MAX_THRESHOLD

_FORM = re.compile(r"([0-9]+(?:\.[0-9]+)?|\.[0-9]+)\s*(ticks?|bp)?")
_WAYS = "write 0.05 (yuan), 2ticks or 50bp"
_BOARDS = ", ".join(Board.__members__)
DEFAULT = "default"
LARGEST = 1_000_000_000
"""Yuan, ticks or basis points."""
_SHOWN = 40
_exact = Context(prec=4 * MAX_THRESHOLD)


@dataclass(frozen=True)
class Threshold:
    """One threshold; exactly one of the three is set.

    Attributes:
        yuan_e4: 1/10,000 yuan, possibly with a fraction.
        ticks: price steps of the code.
        bp_e2: 1/100 basis point of the last emitted price.
    """

    yuan_e4: Decimal | None = None
    ticks: int | None = None
    bp_e2: int | None = None

    def __str__(self) -> str:
        """As ``parse`` reads it."""
        if self.ticks is not None:
            return f"{self.ticks}ticks"
        if self.bp_e2 is not None:
            return f"{_plain(Decimal(self.bp_e2) / 100)}bp"
        assert self.yuan_e4 is not None
        return _plain(_exact.divide(self.yuan_e4, Decimal(SCALE)))


def _plain(number: Decimal) -> str:
    """A decimal as one writes it: no exponent, no zeros at its end."""
    text = f"{number:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def parse(text: str) -> Threshold:
    """Read ``0.05``, ``2ticks`` or ``50bp``.

    Raises:
        UsageError: it is none of these, negative, finer than 0.01 bp, larger than ``LARGEST``, or too long.
    """
    if len(text) > MAX_THRESHOLD:
        raise UsageError(f"threshold {text[:_SHOWN]!r}… has more than {MAX_THRESHOLD} characters: {_WAYS}")
    match = _FORM.fullmatch(text.strip())
    if match is None:
        raise UsageError(f"threshold {text!r} is not understood: {_WAYS}")
    amount = Decimal(match[1])
    if amount > LARGEST:
        raise UsageError(f"threshold {text!r} is more than {LARGEST:,}: no move is")
    made = _made(amount, match[2], text)
    if len(str(made)) > MAX_THRESHOLD:
        raise UsageError(f"threshold {text!r} has more decimals than {MAX_THRESHOLD} characters hold")
    return made


def _made(amount: Decimal, unit: str | None, text: str) -> Threshold:
    if unit is None:
        return Threshold(yuan_e4=_exact.multiply(amount, Decimal(SCALE)))
    if unit == "bp":
        if _exact.multiply(amount, Decimal(100)) % 1:
            raise UsageError(f"threshold {text!r}: basis points take at most two decimals")
        return Threshold(bp_e2=int(amount * 100))
    if amount % 1:
        raise UsageError(f"threshold {text!r}: ticks are whole")
    return Threshold(ticks=int(amount))


@dataclass(frozen=True)
class Thresholds:
    """The thresholds in force."""

    default: Threshold
    boards: Mapping[Board, Threshold] = field(default_factory=dict)
    codes: Mapping[str, Threshold] = field(default_factory=dict)

    def of(self, code: str) -> Threshold:
        """The threshold of a code."""
        own = self.codes.get(code)
        if own is not None:
            return own
        try:
            board = instrument(code).board
        except UnknownCode:
            return self.default
        return self.boards.get(board, self.default)

    def by_scope(self) -> dict[str, str]:
        """Every threshold as text, by its scope: ``default``, ``board:STAR``, ``code:600519``."""
        return (
            {DEFAULT: str(self.default)}
            | {f"board:{board.name}": str(threshold) for board, threshold in self.boards.items()}
            | {f"code:{code}": str(threshold) for code, threshold in self.codes.items()}
        )


def read_scope(text: str) -> str:
    """A scope in its one form, ``default``, ``board:STAR`` or ``code:600519``, also from ``board star`` and ``600519``.

    Raises:
        UsageError: it is none of these, there is no such board, or the code is none.
    """
    if len(text) > MAX_SCOPE:
        raise UsageError(f"threshold scope {text[:_SHOWN]!r}… has more than {MAX_SCOPE} characters")
    kind, _, name = (part.strip() for part in text.replace(":", " ").strip().partition(" "))
    if kind == DEFAULT and not name:
        return DEFAULT
    if kind == "board":
        if name.upper() not in Board.__members__:
            raise UsageError(f"threshold scope {text!r}: boards are {_BOARDS}")
        return f"board:{name.upper()}"
    code = name if kind == "code" else kind if not name and not kind.isalpha() else ""
    if code:
        try:
            return f"code:{instrument(code if '.' in code else resolve(code)).code}"
        except UnknownCode as error:
            raise UsageError(f"threshold scope {text!r}: {error}") from None
    raise UsageError(f"threshold scope {text!r} is not understood: write 600519, board:STAR or default")


def layered(base: Thresholds, run_time: Mapping[str, Threshold]) -> Thresholds:
    """Thresholds of which those of ``run_time``, by scope, stand before those of the same scope in ``base``."""
    boards, codes = dict(base.boards), dict(base.codes)
    for scope, threshold in run_time.items():
        kind, _, name = scope.partition(":")
        if kind == "board":
            boards[Board[name]] = threshold
        elif kind == "code":
            codes[name] = threshold
    return Thresholds(run_time.get(DEFAULT, base.default), boards, codes)


def parse_overrides(default: str, overrides: str) -> Thresholds:
    """Thresholds from settings: ``board:STAR=50bp,code:600519=0.5``.

    Raises:
        UsageError: an entry is not of that form, or names no board.
    """
    boards: dict[Board, Threshold] = {}
    codes: dict[str, Threshold] = {}
    for entry in filter(None, (part.strip() for part in overrides.split(","))):
        scope, equals, amount = entry.partition("=")
        kind, _, name = scope.strip().partition(":")
        if not equals or kind not in ("board", "code") or not name:
            raise UsageError(
                f"threshold override {entry!r} is not understood: write board:STAR=50bp or code:600519=0.5"
            )
        if kind == "code":
            codes[resolved(name)] = parse(amount)
        elif name in Board.__members__:
            boards[Board[name]] = parse(amount)
        else:
            raise UsageError(f"threshold override {entry!r}: boards are {_BOARDS}")
    return Thresholds(parse(default), boards, codes)


def limit(threshold: Threshold, code: str, price_e4: int) -> tuple[int, float]:
    """The largest move that is not emitted, from a price.

    Args:
        price_e4: the last emitted price, 1/10,000 yuan.

    Returns:
        The limit as whole 1/10,000 yuan (a move is emitted when it is strictly larger) and the threshold in yuan.
    """
    if threshold.ticks is not None:
        fixed = threshold.ticks * _tick_size_e4(code)
        return fixed, fixed / SCALE
    if threshold.bp_e2 is not None:
        moved = price_e4 * threshold.bp_e2
        return moved // 1_000_000, (moved + 50) // 100 / 100_000_000
    assert threshold.yuan_e4 is not None
    return int(threshold.yuan_e4), float(threshold.yuan_e4 / SCALE)


def _tick_size_e4(code: str) -> int:
    """The price step of a code; of one that a stranger has invented, a share's."""
    try:
        return tick_size_e4(code)
    except UnknownCode:
        return SCALE // 100
