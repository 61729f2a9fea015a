"""The kinds of instruments that a pipeline may carry, as ``--kinds`` names them, and their codes as people write them.

A bare code of six digits is an A share wherever it can be one: ``000001`` is the bank, never the index. Where no A
share has such digits, they name a fund, a convertible bond or an index: ``510300``, ``123001``, ``399001``. In records
such a code carries its exchange all the same, ``510300.SSE``: one instrument has one key.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache

from market.codes import EXCHANGES, Instrument, Kind, UnknownCode, instrument, normalise
from schemas import UsageError

KINDS = {"a-share": Kind.A_SHARE, "fund": Kind.FUND, "convertible": Kind.CONVERTIBLE, "index": Kind.INDEX}
"""By the name that the setting has for it."""
NAMES = {kind: name for name, kind in KINDS.items()} | {Kind.B_SHARE: "b-share", Kind.REPO: "repo"}
"""As ``ashare.instruments.v1`` names kinds; others have no name."""
DEFAULT = frozenset({Kind.A_SHARE})

# Narrower than what carries its exchange: other bonds share the first digits of convertible ones.
_BARE = {
    **dict.fromkeys(("5",), "SSE"),
    **dict.fromkeys(("110", "111", "113", "118"), "SSE"),
    **dict.fromkeys(("15", "16", "18"), "SZSE"),
    **dict.fromkeys(("123", "127", "128"), "SZSE"),
    "399": "SZSE",
    "899": "BSE",
}
_LONGEST_PREFIX = max(map(len, _BARE))
_SEPARATORS = str.maketrans("\uff0c;\uff1b ", ",,,,")


def parse(text: str) -> frozenset[Kind]:
    """Kinds from a comma string: ``a-share,fund``.

    Raises:
        UsageError: none, or one that there is not.
    """
    names = [name for name in text.lower().translate(_SEPARATORS).split(",") if name]
    unknown = next((name for name in names if name not in KINDS), None)
    if unknown is not None or not names:
        what = f"{unknown!r} is not a kind" if unknown else "no kind is named"
        raise UsageError(f"{what}: --kinds takes {', '.join(KINDS)}, as --kinds a-share,fund")
    return frozenset(KINDS[name] for name in names)


def written(kinds: Iterable[Kind]) -> str:
    """Kinds as ``parse`` reads them, always in one order."""
    asked = set(kinds)
    return ",".join(name for name, kind in KINDS.items() if kind in asked)


@lru_cache(maxsize=32_768)
def resolve(text: str) -> str:
    """The one form of a code: as ``market.codes.normalise``, and of bare digits that can be nothing else, too.

    ``510300`` is ``510300.SSE``, ``123001`` is ``123001.SZSE``, ``399001`` is ``399001.SZSE``; ``000001`` is the bank.

    Raises:
        UnknownCode: it is not a code, or bare digits do not say which exchange is meant.
    """
    try:
        return normalise(text)
    except UnknownCode:
        if len(text) == 6 and text.isascii() and text.isdigit():
            for size in range(_LONGEST_PREFIX, 0, -1):
                exchange = _BARE.get(text[:size])
                if exchange is not None:
                    return f"{text}.{exchange}"
        raise


def resolved(text: str) -> str:
    """The one form of a code, as ``resolve``; a text that is not a code as it is."""
    try:
        return resolve(text)
    except UnknownCode:
        return text


def lacking(named: Instrument, kinds: frozenset[Kind]) -> str | None:
    """What to say of an instrument whose kind is not asked for; ``None`` where it is, or where no setting names it.

    B shares, repos, other bonds and what is listed elsewhere have no kind of the setting: ``--foreign`` is for them.
    """
    if (
        named.kind in kinds
        or named.kind not in NAMES
        or NAMES[named.kind] not in KINDS
        or named.exchange not in EXCHANGES
    ):
        return None
    article = "an" if named.kind in {Kind.INDEX, Kind.A_SHARE} else "a"
    symbol = named.code.partition(".")[0]
    shown = symbol if _is_bare(symbol, named.code) else named.code
    return f"{shown} is {article} {named.kind}: add --kinds {written(kinds | {named.kind})}"


def check(codes: Iterable[str], kinds: frozenset[Kind]) -> None:
    """Refuse codes of kinds that are not asked for. What is not a code is left to others.

    Raises:
        UsageError: names the first and the setting.
    """
    for code in codes:
        try:
            found = lacking(instrument(resolve(code)), kinds)
        except UnknownCode:
            continue
        if found is not None:
            raise UsageError(found)


def _is_bare(symbol: str, code: str) -> bool:
    try:
        return resolve(symbol) == code
    except UnknownCode:
        return False
