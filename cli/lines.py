"""Records as lines for a person, or as JSON for a program."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from schemas.outside import printable, printable_json
from schemas.topics import DEAD_LETTERS, FEED_EVENTS, PRICE_CHANGES, SNAPSHOTS, TICKS

_SHANGHAI = ZoneInfo("Asia/Shanghai")
_WIDTH = 160


def as_text(topic: str, record: Any) -> str:
    """A record's JSON as it is; a dead letter, which need not be JSON, with its headers and its payload as text."""
    value = (record.value or b"null").decode("utf-8", "replace")
    if topic != DEAD_LETTERS:
        return printable_json(value)
    headers = {name: (content or b"").decode("utf-8", "replace") for name, content in record.headers}
    return printable_json(json.dumps(headers | {"payload": value}, ensure_ascii=False))


def as_line(topic: str, record: Any) -> str:
    """A record as one aligned line; one that can't be read as it stands, and a deleted key as such.

    Whoever may write to the topic has written it: the line obeys nobody.
    """
    return printable(_line(topic, record))


def _line(topic: str, record: Any) -> str:
    if topic == DEAD_LETTERS:
        return _dead_letter(record)
    key = (record.key or b"").decode("utf-8", "replace")
    if record.value is None:
        return f"{key:<8} deleted"
    try:
        fields = json.loads(record.value)
        return _LINES.get(topic, _other)(fields)
    except (ValueError, TypeError, KeyError, AttributeError, ArithmeticError, RecursionError, OSError):
        return f"{key:<8} {record.value[:_WIDTH]!r}"


def clock(milliseconds: int) -> str:
    """An exchange time as the clock in Shanghai shows it."""
    return f"{datetime.fromtimestamp(milliseconds / 1000, _SHANGHAI):%H:%M:%S.%f}"[:-3]


def number(value: float | None) -> str:
    """A quantity with thousands separated; a dash where it is not known."""
    return "–" if value is None else f"{value:,.0f}"


def yuan(value: float | None) -> str:
    """A price as it is written, with two decimals at least."""
    if value is None:
        return "–"
    text = f"{value:.4f}".rstrip("0")
    return text + "0" * max(0, 2 - len(text.partition(".")[2]))


def _tick(tick: dict[str, Any]) -> str:
    return (
        f"{clock(tick['time'])}  {tick['code']:<8} {yuan(tick['price']):>10}  {tick.get('side') or '–':<4}"
        f"  {number(tick.get('volume')):>10}"
    )


def _change(change: dict[str, Any]) -> str:
    moved = "     first" if change["change"] is None else f"{change['change']:+10.4g}"
    points = "" if change["change_bp"] is None else f"{change['change_bp']:+9.2f} bp"
    return (
        f"{clock(change['time'])}  {change['code']:<8} {yuan(change['price']):>10} {moved}  {points:>12}"
        f"  {number(change['volume']):>10} in {change['ticks']:,} tick{'s' if change['ticks'] > 1 else ''}"
    )


def snapshot_line(row: dict[str, Any]) -> str:
    """A snapshot as one line."""
    close = row.get("previous_close")
    moved = "" if not close else f"{(row['price'] - close) / close:+.2%}"
    return (
        f"{row['session']} {clock(row['time'])}  {row['code']:<8} {yuan(row['price']):>10} {moved:>8}"
        f"  open {yuan(row['open'])}  high {yuan(row['high'])}  low {yuan(row['low'])}"
        f"  volume {number(row['volume'])}  ticks {row['ticks']:,}"
    )


def _event(event: dict[str, Any]) -> str:
    return (
        f"{clock(event['at'] // 1000)}  {event['source']}  {event['event']:<13} after tick {event['n']:,}"
        f"  {event.get('reason') or ''}"
    ).rstrip()


def _other(fields: dict[str, Any]) -> str:
    return "  ".join(f"{name} {json.dumps(value, ensure_ascii=False)}" for name, value in fields.items())


def _dead_letter(record: Any) -> str:
    headers = {name: (content or b"").decode("utf-8", "replace") for name, content in record.headers}
    payload = record.value or b""
    shown = payload[:_WIDTH].decode("utf-8", "replace") + (" …" if len(payload) > _WIDTH else "")
    return f"{headers.get('part', '?'):<6} {headers.get('reason', '?')}: {shown!r}"


_LINES: dict[str, Callable[[dict[str, Any]], str]] = {
    TICKS: _tick,
    PRICE_CHANGES: _change,
    SNAPSHOTS: snapshot_line,
    FEED_EVENTS: _event,
}
