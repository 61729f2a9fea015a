"""Ticks that nobody got against the gaps that were announced."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from selfcheck.findings import Findings
from selfcheck.gaps import read_events
from selfcheck.ledger import Ledger
from selfcheck.log import Entry
from selfcheck.missing import Heard, Launch, Outages, Restarts, announced, check_withheld
from selfcheck.ticks import TickCheck

S = 1_000_000
T = 1_795_000_000 * S
HOUR = 3600 * S
Json = dict[str, Any]


def event(name: str, at: int, run: int, **fields: Any) -> Json:
    empty = {"start": None, "end": None, "codes": None, "detected": None, "reason": None}
    return {"event": name, "source": "a", "run": run, "at": at, "id": f"a/{run}/{at}"} | empty | fields


def test_each_withheld_tick_lies_in_a_gap_of_its_code(tmp_path: Path) -> None:
    """Three seconds before it or one after it are none; another code's gap is none of its."""
    lines = [{"at": at * S, "ticks": [{"code": code}]} for at, code in [(7, "A"), (11, "A"), (12, "B"), (14, "A")]]
    (tmp_path / "withheld-connection-0001.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    findings = Findings()
    check_withheld(tmp_path, announced([event("gap", 12, 1, start=10 * S, end=12 * S, codes=["A"])]), findings)
    assert findings.counts == {"missing_untold": 2}
    assert findings.examples["missing_untold"][0]["first"] == {"code": "B", "at": 12 * S}


LAUNCHES = [Launch(T, 0), Launch(T + 10 * S, -HOUR), Launch(T + 20 * S, -2 * HOUR)]
STARTED = [event("started", launch.at + launch.offset + S, run) for run, launch in enumerate(LAUNCHES)]
HEARD = {
    ("a", 0): Heard(T + 2 * S, T + 8 * S),
    ("a", 1): Heard(T + 12 * S - HOUR, T + 19 * S - HOUR),
    ("a", 2): Heard(T + 22 * S - 2 * HOUR, T + 29 * S - 2 * HOUR),
}


def killed(run: int, **fields: Any) -> Json:
    """What a run tells of the one before: from its last tick, by its clock, to the run's own first."""
    heard = HEARD["a", run]
    start = HEARD["a", run - 1].last
    return event("gap", heard.first, run, start=start, end=max(start, heard.first), codes="all", detected="killed") | (
        fields
    )


def restarts(*events: Json) -> tuple[Restarts, Findings]:
    findings = Findings()
    made = Restarts(LAUNCHES, [*STARTED, *events], HEARD)
    made.check(findings)
    return made, findings


def between(run: int) -> Json:
    """As a run tells whose clock is behind: from the earlier of the two times to the later."""
    first, last = HEARD["a", run].first, HEARD["a", run - 1].last
    return killed(run, start=min(first, last), end=max(first, last))


@pytest.mark.parametrize("told", [killed, between])
def test_what_a_kill_took_is_told_of_whatever_the_clocks_say(told: Callable[[int], Json]) -> None:
    """Each run's clock is an hour behind that of the last one; what is between is found by the machine's."""
    made, findings = restarts(told(1), told(2))
    assert findings.clean
    assert (len(made.due), made.announced) == (2, 2)
    held = made.outages()
    times = (T + 5 * S - 1, T + 5 * S, T + 13 * S, T + 13 * S + 1, T + 18 * S, T + 23 * S, T + 24 * S)
    assert [held.hold("X", at) for at in times] == [False, True, True, False, True, True, False]


@pytest.mark.parametrize(
    ("events", "found"),
    [
        ([killed(1)], {"gaps_untold": 1}),
        ([killed(1), killed(2), killed(2)], {"gaps_unreal": 1}),
        ([killed(1), killed(2), killed(2) | {"detected": "disconnect"}], {"gaps_unreal": 1}),
        ([killed(1), killed(2), killed(1) | {"run": 0}], {"gaps_unreal": 1}),
    ],
)
def test_a_kill_is_told_of_once(events: list[Json], found: dict[str, int]) -> None:
    """By the run that follows it, and nothing else is told of."""
    assert restarts(*events)[1].counts == found


def test_a_gap_that_ends_too_soon_does_not_hold_the_rest() -> None:
    """It has to reach the run's own first tick."""
    early = killed(2, start=HEARD["a", 1].last - HOUR, end=HEARD["a", 1].last - HOUR)
    assert not restarts(killed(1), early)[0].outages().hold("X", T + 21 * S)


def test_missing_ticks_of_the_market_are_told_of_or_lost(tmp_path: Path) -> None:
    """What is in no announced gap is a finding twice: nobody told of it, and it is lost."""
    pushed = [{"code": "600519", "price": 10.0 + n, "time": n} for n in range(6)]
    page = [json.dumps({"at": n * 10 * S, "ticks": [tick]}) + "\n" for n, tick in enumerate(pushed)]
    (tmp_path / "market.jsonl").write_text("".join(page))
    findings = Findings()
    check = TickCheck(Ledger.read(tmp_path, "market"), findings)
    for offset, number in enumerate((0, 1, 4)):
        named = {"exchange": "SSE", "received": number * S, "source": "a", "run": 1, "n": offset + 1}
        value = json.dumps(pushed[number] | named).encode()
        check.add(Entry(0, offset, number * 1000, b"600519", (), value))
    check.finish(Outages(announced([event("gap", 3, 1, start=15 * S, end=39 * S, codes="all")])._outages))
    assert check.told == 2
    assert findings.counts == {"missing_untold": 1, "lost": 1}
    assert findings.examples["lost"][0]["tick"] == pushed[5]


def test_older_events_and_others_records_are_read() -> None:
    """The first version named no event; what is not an event is nothing to this check."""
    old = {"event": "gap", "source": "a", "run": 1, "n": 5, "at": 9}
    values = [None, b"", b"\xff", b"[1]", b"[" * 100_000, b'{"event":"gap"}', json.dumps(old).encode()]
    (event,) = read_events(values)
    assert event["id"] == "a/1/9"
    assert event["codes"] is event["end"] is event["detected"] is None
