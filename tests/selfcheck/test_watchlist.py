"""Which ticks are due of a code that stays, leaves or comes, and that the check finds what is missing of them."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from schemas import UsageError
from selfcheck.findings import Findings
from selfcheck.ledger import LedgerError
from selfcheck.verdict import Verdict
from selfcheck.watchlist import Change, Lists, Looks, Step, WatchlistCheck, check

Tick = dict[str, Any]

ROUNDS = 40
CODES = ("600519", "000001", "688981", "300750")
STAYS, LEAVES, COMES, OTHER = CODES
LISTS = Lists([STAYS, LEAVES, OTHER], [Step(2.0, frozenset({LEAVES}), frozenset({COMES}))])
CHANGE, EFFECT, DUE = 20, 22, 30
"""Rounds before which the list was changed, the market followed, and it had to have followed."""


@dataclass
class Run:
    """A market of one tick a code and round, and what was sent of it: by round, the codes of a frame."""

    directory: Path
    sent: list[list[str]] = field(default_factory=list)

    def outcome(self, unpublished: dict[str, int] | None = None) -> tuple[WatchlistCheck, Findings]:
        """Write the ledger, and check it."""
        market = [json.dumps({"ticks": [tick(code, number) for code in CODES]}) for number in range(ROUNDS)]
        frames = [json.dumps({"ticks": [tick(code, n) for code in codes]}) for n, codes in enumerate(self.sent)]
        (self.directory / "market.jsonl").write_text("".join(f"{line}\n" for line in market), "utf-8")
        (self.directory / "connection-0001.jsonl").write_text("".join(f"{line}\n" for line in frames), "utf-8")
        size, looks = len(market[0]) + 1, Looks()
        for number in range(CHANGE, DUE + 1):
            looks.look(number / 10, number * size)
        findings = Findings()
        return check(self.directory, LISTS, [looks], unpublished or {}, findings), findings


def tick(code: str, number: int) -> Tick:
    return {"code": code, "price": 10.0 + number % 3, "time": 1_795_138_200_000 + number * 100, "volume": 100}


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """A list of which the market first sent nothing, as when it is asked for in parts, and then everything."""
    before, after = [STAYS, LEAVES, OTHER], [STAYS, COMES, OTHER]
    return Run(tmp_path, [[], [], *([before] * (EFFECT - 2)), *([after] * (ROUNDS - EFFECT))])


def test_a_change_that_everybody_follows_is_clean_and_timed(run: Run) -> None:
    """Two of three stay; the last tick of the one that left, and the last unsent of the other, are a round apart."""
    found, findings = run.outcome()
    assert findings.clean
    assert (found.stayed, found.left, found.came, found.lost_of_stayed) == (2, 1, 1, 0)
    assert Verdict({}, sent=1, published=1, stored=1, findings=findings, watchlist=found).ok
    (change,) = found.changes
    assert (change.left_after_ms, change.came_after_ms) == (200, 200)
    assert found.shown
    assert "200 ms after" in found.lines()[0]


def without(run: Run, code: str, rounds: range) -> None:
    for number in rounds:
        run.sent[number] = [one for one in run.sent[number] if one != code]


def having(run: Run, code: str, rounds: range) -> None:
    for number in rounds:
        run.sent[number] = [*run.sent[number], code]


@pytest.mark.parametrize(
    ("damage", "wrong", "lost"),
    [
        (lambda run: without(run, STAYS, range(21, 22)), 1, 1),
        (lambda run: without(run, STAYS, range(CHANGE, ROUNDS)), 20, 20),
        (lambda run: without(run, STAYS, range(ROUNDS - 1, ROUNDS)), 1, 1),
        (lambda run: without(run, OTHER, range(ROUNDS)), 25, 25),
        (lambda run: without(run, LEAVES, range(CHANGE - 1, ROUNDS)), 1, 0),
        (lambda run: having(run, LEAVES, range(EFFECT, ROUNDS)), 10, 0),
        (lambda run: having(run, LEAVES, range(DUE, DUE + 1)), 9, 0),
        (lambda run: without(run, COMES, range(DUE + 1)), 1, 0),
        (lambda run: without(run, COMES, range(25, 26)), 1, 0),
        (lambda run: having(run, COMES, range(CHANGE - 2, EFFECT)), 1, 0),
        (lambda run: having(run, STAYS, range(25, 26)), 1, 0),
    ],
    ids=[
        "a tick of a code that stays",
        "it is dropped with the change",
        "its last tick",
        "it was never subscribed",
        "a code leaves too early",
        "it does not leave",
        "it comes back",
        "a code comes too late",
        "it pauses",
        "it comes before it is asked for",
        "a tick is sent twice",
    ],
)
def test_what_is_missing_or_too_much_is_found(run: Run, damage: Callable[[Run], None], wrong: int, lost: int) -> None:
    """One tick is enough; what is lost of a code that stays is counted apart."""
    damage(run)
    found, findings = run.outcome()
    assert findings.counts == {"watchlist_mismatches": wrong}
    assert found.lost_of_stayed == lost
    assert not Verdict({}, sent=1, published=1, stored=1, findings=findings, watchlist=found).ok


def test_what_was_sent_of_a_code_that_stays_and_did_not_come_through_counts_too(run: Run) -> None:
    """It is a finding already; of a code that left it is nothing of this count."""
    found, findings = run.outcome({STAYS: 3, LEAVES: 2})
    assert findings.clean
    assert found.lost_of_stayed == 3


def test_a_feed_may_begin_with_what_it_last_knew_of_a_code(run: Run) -> None:
    """One tick from before the change; then without a hole."""
    having(run, COMES, range(CHANGE - 1, EFFECT))
    assert run.outcome()[1].clean


def test_a_change_that_no_tick_shows_was_not_checked(run: Run) -> None:
    """The code that came never traded, so nothing tells whether it was subscribed."""
    without(run, COMES, range(ROUNDS))
    found, findings = run.outcome()
    assert not found.shown
    assert "no tick shows the change" in found.lines()[0]
    assert not Verdict({}, sent=1, published=1, stored=1, findings=findings, watchlist=found).ok


def test_without_the_market_s_page_nothing_is_said(tmp_path: Path) -> None:
    """What there was is not guessed from what was sent."""
    looks = Looks([0.0, 1.0], [10, 20])
    with pytest.raises(LedgerError, match="market"):
        check(tmp_path, LISTS, [looks], {}, Findings())


def test_lists_take_codes_from_everywhere_and_none_twice() -> None:
    """Two changes, the earlier first; each takes from all over the market."""
    market = [f"{number:06d}" for number in range(100)]
    lists = Lists.deal(market, [Change(9.0, 10, 0), Change(3.0, 20, 10)])
    assert [(step.seconds, len(step.left), len(step.came)) for step in lists.steps] == [(3.0, 20, 10), (9.0, 10, 0)]
    first, second = lists.steps
    assert len(lists.first) == 90
    assert len(lists.stayed) == 60
    assert not first.left & second.left
    assert set(lists.after(0)) == set(lists.first)
    assert set(lists.after(1)) == set(lists.first) - first.left | first.came
    assert set(lists.after(2)) == set(lists.after(1)) - second.left
    assert int(max(first.left)) - int(min(first.left)) > 80
    with pytest.raises(UsageError, match="none would stay"):
        Lists.deal(market, [Change(3.0, 90, 10)])
