"""The symbols to subscribe, as the user gives them and the server gets them: JSON array, comma string or ``*``."""

from __future__ import annotations

import msgspec

from schemas import UsageError

WILDCARD = "*"


def read(text: str) -> str | list[str]:
    """What goes into the request: a list for a JSON array, the text itself for a comma string or ``*``.

    Raises:
        UsageError: neither of the three.
    """
    text = text.strip()
    if not text.startswith("["):
        if not text or not all(part.strip() for part in text.split(",")):
            raise UsageError(f"--symbols {text!r} has an empty code: write * or 600519,000001")
        return text
    try:
        codes = msgspec.json.decode(text, type=list[str])
    except msgspec.MsgspecError as error:
        raise UsageError(f'--symbols is not a JSON array of texts ({error}): write ["600519","000001"]') from error
    if not codes or not all(code.strip() for code in codes):
        raise UsageError('--symbols has no code, or an empty one: write ["600519","000001"]')
    return codes


def codes(symbols: str | list[str]) -> list[str] | None:
    """The codes one by one, as they were given; ``None`` for ``*`` alone."""
    if symbols == WILDCARD:
        return None
    return [code.strip() for code in symbols.split(",")] if isinstance(symbols, str) else symbols
