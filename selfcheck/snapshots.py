"""Snapshots against the sessions that the ticks give."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import ROUND_HALF_EVEN, Decimal
from typing import Any

from selfcheck.findings import Findings
from selfcheck.reference import Session, exchange_of

Json = dict[str, Any]
_SMALLEST = Decimal("0.0001")


def check_snapshots(sessions: Mapping[str, Session], got: Mapping[str, Json], place: str, findings: Findings) -> None:
    """Every code that ticked has its snapshot, equal in every field; and no other code.

    Turnover is compared to 1/10,000 yuan: its sum is exact here, and a float in the record.

    Args:
        place: where the snapshots were read, for the examples.
    """
    for code in sorted(sessions.keys() | got.keys()):
        session, snapshot = sessions.get(code), got.get(code)
        if session is None:
            findings.add("snapshot_mismatches", place=place, code=code, why="no tick of this code is due", got=snapshot)
        elif snapshot is None:
            findings.add("snapshot_mismatches", place=place, code=code, why="missing")
        elif wrong := _differences(code, session, snapshot):
            findings.add("snapshot_mismatches", place=place, code=code, why="fields differ", fields=wrong)


def _differences(code: str, session: Session, snapshot: Json) -> Json:
    due = {
        "code": code,
        "exchange": exchange_of(code),
        "price": session.price,
        "time": session.time,
        "received": session.received,
        "session": session.session.isoformat(),
        "open": session.open,
        "high": session.high,
        "low": session.low,
        "ticks": session.ticks,
        "doubtful": session.doubtful,
        "quality": session.quality,
        "volume": session.volume,
        "previous_close": session.previous_close,
    }
    wrong = {
        name: {"expected": value, "got": snapshot.get(name, "absent")}
        for name, value in due.items()
        if name not in snapshot or snapshot[name] != value
    }
    turnover = snapshot.get("turnover", "absent")
    if not same_amount(session.turnover, turnover):
        wrong["turnover"] = {"expected": None if session.turnover is None else str(session.turnover), "got": turnover}
    return wrong


def same_amount(due: Decimal | None, got: object) -> bool:
    """Whether a sum of yuan is the one that is due, to 1/10,000 yuan."""
    if due is None or not isinstance(got, (int, float)):
        return due is None and got is None
    return due.quantize(_SMALLEST, ROUND_HALF_EVEN) == Decimal(repr(got)).quantize(_SMALLEST, ROUND_HALF_EVEN)
