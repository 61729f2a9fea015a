"""Records as lines for a person, or as JSON for a program.

A line has 80 characters at most as long as no field is wider than its column, a ``wide`` one 100. Times are Shanghai's,
and the head says so. Of a tick's book the best bid and ask are shown, where they fit.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import datetime
from typing import Any

from rich.cells import cell_len

from market.times import SHANGHAI
from schemas.outside import printable, printable_json
from schemas.topics import DEAD_LETTERS, FEED_EVENTS, PRICE_CHANGES, SNAPSHOTS, TICKS

WIDE = 100
"""Columns of a terminal on which lines are wide."""
_NARROW = 80
_WIDTH = 160


def as_text(topic: str, record: Any) -> str:
    """A record's JSON as it is; a dead letter, which need not be JSON, with its headers and its payload as text."""
    value = (record.value or b"null").decode("utf-8", "replace")
    if topic != DEAD_LETTERS:
        return printable_json(value)
    headers = {name: (content or b"").decode("utf-8", "replace") for name, content in record.headers}
    return printable_json(json.dumps(headers | {"payload": value}, ensure_ascii=False))


def with_name(line: str, name: str | None, topic: str, *, wide: bool, room: int | None) -> str:
    """A line of a topic with the instrument's name behind it, where there is room; the names stand below each other.

    Args:
        room: characters that a line may have; ``None`` for any number.
    """
    if not name:
        return line
    padded = line + " " * max(0, len(head(topic, wide=wide)) - cell_len(line))
    named = f"{padded}  {printable(name)}"
    return named if room is None or cell_len(named) <= room else line


def as_line(topic: str, record: Any, *, wide: bool = False) -> str:
    """A record as one aligned line; one that can't be read as it stands, and a deleted key as such.

    Whoever may write to the topic has written it: the line obeys nobody.
    """
    return printable(_line(topic, record, wide=wide))


def _line(topic: str, record: Any, *, wide: bool) -> str:
    if topic == DEAD_LETTERS:
        return _dead_letter(record)
    key = (record.key or b"").decode("utf-8", "replace")
    if record.value is None:
        return f"{key:<8} deleted"
    try:
        fields = json.loads(record.value)
        if topic == TICKS:
            return _tick(fields, WIDE if wide else _NARROW)
        return snapshot_line(fields, wide=wide) if topic == SNAPSHOTS else _LINES.get(topic, _other)(fields)
    except (ValueError, TypeError, KeyError, AttributeError, ArithmeticError, RecursionError, OSError):
        return f"{key:<8} {record.value[:_WIDTH]!r}"


def clock(milliseconds: int) -> str:
    """An exchange time as the clock in Shanghai shows it."""
    return f"{datetime.fromtimestamp(milliseconds / 1000, SHANGHAI):%H:%M:%S.%f}"[:-3]


def number(value: float | None) -> str:
    """A quantity with thousands separated; a dash where it is not known."""
    return "–" if value is None else f"{value:,.0f}"


def yuan(value: float | None) -> str:
    """A price as it is written, with two decimals at least."""
    if value is None:
        return "–"
    text = f"{value:.4f}".rstrip("0")
    return text + "0" * max(0, 2 - len(text.partition(".")[2]))


def head(topic: str, *, wide: bool = False) -> str:
    """What stands above the lines of a topic; empty where a line explains itself."""
    return _HEADS.get(topic, "") + (_WIDE_HEAD if wide and topic == SNAPSHOTS else "")


def moved(topic: str, record: Any) -> float:
    """Above 0 for a price that rose, below 0 for one that fell, 0 for neither and for what can't be read."""
    if topic not in {PRICE_CHANGES, SNAPSHOTS} or record.value is None:
        return 0.0
    try:
        fields = json.loads(record.value)
        return float(fields["change"] or 0.0) if topic == PRICE_CHANGES else float(_since_close(fields) or 0.0)
    except (ValueError, TypeError, KeyError, AttributeError, ArithmeticError, RecursionError):
        return 0.0


def _tick(tick: dict[str, Any], room: int) -> str:
    line = (
        f"{clock(tick['time'])}  {tick['code']:<8} {yuan(tick['price']):>10}  {number(tick.get('volume')):>12}"
        f"  {tick.get('side') or '–'}"
    )
    bids, asks = tick.get("bids"), tick.get("asks")
    if bids is None and asks is None:
        return line
    more = f"{line:<54} bid {_best(bids)} ask {_best(asks)}"
    return more if len(more) <= room else line


def _best(side: list[Any] | None) -> str:
    return yuan(side[0][0]) if side else "–"


def _change(change: dict[str, Any]) -> str:
    moved = (
        "first" if change["change"] is None else f"{'-' if change['change'] < 0 else '+'}{yuan(abs(change['change']))}"
    )
    points = "" if change["change_bp"] is None else f"{change['change_bp']:+.2f}"
    return (
        f"{clock(change['time'])}  {change['code']:<8} {yuan(change['price']):>10} {moved:>9} {points:>10}"
        f"  {number(change['volume']):>12} {change['ticks']:>6,}"
    )


def snapshot_line(row: dict[str, Any], *, wide: bool = False) -> str:
    """A snapshot as one line, with day and time of its last tick."""
    since = _since_close(row)
    line = (
        f"{row['session'][5:]} {clock(row['time'])[:8]} {row['code']:<8} {yuan(row['price']):>9}"
        f" {'' if since is None else f'{since:+.2%}':>8} {yuan(row['high']):>9} {yuan(row['low']):>9}"
        f" {number(row['volume']):>14}"
    )
    return f"{line} {yuan(row['open']):>9} {row['ticks']:>9,}" if wide else line


def _since_close(row: dict[str, Any]) -> float | None:
    """How far the price is from the close of the day before, as a share of it."""
    close = row.get("previous_close")
    return (row["price"] - close) / close if close else None


def _event(event: dict[str, Any]) -> str:
    return (
        f"{clock(event['at'] // 1000)}  {event['source']:<10}  {event['event']:<13} {event['n']:>10,}"
        f"  {event.get('reason') or ''}"
    ).rstrip()


def _other(fields: dict[str, Any]) -> str:
    return "  ".join(f"{name} {json.dumps(value, ensure_ascii=False)}" for name, value in fields.items())


def _dead_letter(record: Any) -> str:
    headers = {name: (content or b"").decode("utf-8", "replace") for name, content in record.headers}
    payload = record.value or b""
    shown = payload[:_WIDTH].decode("utf-8", "replace") + (" …" if len(payload) > _WIDTH else "")
    return f"{headers.get('part', '?'):<6} {headers.get('reason', '?')}: {shown!r}"


_HEADS = {
    TICKS: f"{'Shanghai time':<13} {'code':<8} {'yuan':>10}  {'shares':>12}  side",
    PRICE_CHANGES: (
        f"{'Shanghai time':<13} {'code':<8} {'yuan':>10} {'change':>9} {'bp':>10}  {'shares':>12} {'ticks':>6}"
    ),
    SNAPSHOTS: f"{'Shanghai time':<14} {'code':<8} {'yuan':>9} {'of close':>8} {'high':>9} {'low':>9} {'shares':>14}",
    FEED_EVENTS: f"{'Shanghai time':<13} {'line':<10}  {'event':<13} {'after tick':>10}  reason",
    DEAD_LETTERS: f"{'part':<6} reason: what came",
}
_WIDE_HEAD = f" {'open':>9} {'ticks':>9}"
_LINES: dict[str, Callable[[dict[str, Any]], str]] = {
    PRICE_CHANGES: _change,
    FEED_EVENTS: _event,
}
