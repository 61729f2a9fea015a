"""Names and figures of what is logged, for programs that read the log."""

from __future__ import annotations

from typing import Any


def event(name: str, **figures: Any) -> dict[str, Any]:
    """The ``extra`` of a log record: a name that stays when the sentence changes, and the figures of the sentence."""
    return {"fields": {"event": name, **figures}}
