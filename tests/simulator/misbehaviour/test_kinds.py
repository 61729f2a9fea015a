"""The kinds by name."""

from __future__ import annotations

import pytest

from schemas import UsageError
from simulator.feeds import PROVIDERS
from simulator.misbehaviour import KINDS, chosen
from simulator.misbehaviour.kind import LineKind


@pytest.mark.parametrize("feed", sorted(PROVIDERS))
def test_all_is_what_a_right_client_survives(feed: str) -> None:
    """Not the refused token, and not a limit that leaves codes without ticks for ever."""
    names = {kind.name for kind in chosen(["all"], PROVIDERS[feed])}
    assert not names & {"refused-token", "too-many-codes", "clock-off"}
    assert {"refused-in-session", "redirect", "empty-fragments", "escapes-in-close", "many-documents"} <= names
    assert ("volume-glitch" in names) is PROVIDERS[feed].cumulative
    trades = {"days-ahead", "decades-ahead", "unreadable"}
    assert names & trades == (set() if PROVIDERS[feed].cumulative else trades)
    assert {"kill", "silence", "ack-without-data", "text-or-number", "repeats", "greeting", "price-zero"} <= names
    assert ("zip-bombs" in names) is (feed == "xtick")
    assert ("cumulative-reset" in names) is PROVIDERS[feed].cumulative


def test_what_loses_ticks_are_the_lines_alone() -> None:
    """Every kind says what a right client makes of it."""
    assert {kind.name for kind in KINDS.values() if kind.loses_ticks} == {
        kind.name for kind in KINDS.values() if isinstance(kind, LineKind)
    }
    assert all(
        "right client" in (type(kind).__doc__ or "") or "As ``" in (type(kind).__doc__ or "") for kind in KINDS.values()
    )


def test_an_unknown_or_unsuitable_kind_is_an_error_that_names_the_fix() -> None:
    """The list of kinds, or why not."""
    with pytest.raises(UsageError, match="all, kill, close"):
        chosen(["explode"], PROVIDERS["post"])
    with pytest.raises(UsageError, match="alltick has no such thing"):
        chosen(["zip-bombs"], PROVIDERS["alltick"])
