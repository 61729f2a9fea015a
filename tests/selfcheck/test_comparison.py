"""The comparison finds each kind of damage, and nothing where there is none."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from selfcheck.books import BookCheck
from selfcheck.changes import ChangeCheck
from selfcheck.exact import Rule
from selfcheck.findings import Findings
from selfcheck.ledger import Ledger, LedgerError
from selfcheck.log import Entry
from selfcheck.reference import ChangeReference, SessionReference, exchange_of
from selfcheck.rows import Row, RowCheck
from selfcheck.snapshots import check_snapshots
from selfcheck.ticks import COLUMNS, TickCheck

TOPIC = "ticks"
RULE = Rule.parse("0.02")
OPENING = 1_795_138_200_000  # 2026-11-20 09:30 in Shanghai
HOME = {"600519": 0, "000001": 0, "300750": 1, "920819": 1}


@dataclass
class World:
    """What a clean run leaves behind, as plain values to be damaged."""

    ledger: Path
    ticks: dict[int, list[Entry]]
    changes: dict[int, list[Entry]]
    rows: list[Row]
    snapshots: dict[str, dict[str, Any]]
    books: int = 0

    def check(self) -> Findings:
        """Compare, as ``ashare verify`` does."""
        findings = Findings()
        ledger = Ledger.read(self.ledger, books=True)
        books = BookCheck(ledger.besides)
        ticks = TickCheck(ledger, findings, books)
        changes, sessions = ChangeCheck(ChangeReference(RULE), findings), SessionReference()
        for partition in sorted(self.ticks):
            for entry in self.ticks[partition]:
                tick = ticks.add(entry)
                if tick is not None:
                    sessions.apply(tick)
                    changes.tick(entry.offset, tick)
            for entry in self.changes[partition]:
                changes.change(entry)
            changes.finish_partition(partition)
        ticks.finish()
        rows = RowCheck(ticks, TOPIC, findings)
        rows.add(self.rows)
        rows.finish()
        check_snapshots(sessions.codes, self.snapshots, "here", findings)
        self.books = books.compared
        return findings


def edited(entry: Entry, **fields: Any) -> Entry:
    return entry._replace(value=json.dumps(json.loads(entry.value or b"") | fields).encode())


def renumbered(entries: list[Entry]) -> list[Entry]:
    return [entry._replace(offset=offset) for offset, entry in enumerate(entries)]


def row(entry: Entry) -> Row:
    tick = json.loads(entry.value or b"")
    return (*map(tick.get, COLUMNS), TOPIC, entry.partition, entry.offset, entry.timestamp)


@pytest.fixture
def world(tmp_path: Path) -> World:
    drawn = random.Random(7)
    made = World(tmp_path, {0: [], 1: []}, {0: [], 1: []}, [], {})
    reference, sessions = ChangeReference(RULE), SessionReference()
    price = dict.fromkeys(HOME, 1000)
    frames: list[str] = []
    for n in range(1, 401):
        code = drawn.choice(list(HOME))
        price[code] += drawn.randint(-3, 3)
        yuan, shares = price[code] / 100, 100 * n
        pushed = {"code": code, "price": yuan, "time": OPENING + n, "volume": shares}
        pushed |= {"turnover": price[code] * n, "side": drawn.choice(["buy", "sell"]), "previous_close": 10.0}
        beside: dict[str, Any] = {"bids": [[yuan, n], [1.5, 100]], "asks": [], "day_volume": shares, "average": None}
        frames.append(json.dumps({"ticks": [pushed | beside | {"high": yuan}] if n % 8 else [pushed]}))
        received = 1_795_138_200_000_000 + n
        tick = pushed | {
            "exchange": exchange_of(code),
            "received": received,
            "source": "post 1",
            "run": 5,
            "n": n,
            "seq": None,
        }
        tick |= beside | {"day_high": yuan} if n % 8 else {}
        partition = HOME[code]
        entry = Entry(
            partition, len(made.ticks[partition]), received // 1000, code.encode(), (), json.dumps(tick).encode()
        )
        made.ticks[partition].append(entry)
        made.rows.append(row(entry))
        sessions.apply(tick)
        change = reference.apply(tick)
        if change is not None:
            origin = {"partition": partition, "offset": entry.offset}
            cause = {"source": "post 1", "run": 5, "n": n, "received": None}
            value = json.dumps(change._asdict() | {"origin": origin, "cause": cause}).encode()
            headers = (("ce_id", f"post%201/5/{n}".encode()),)
            place = len(made.changes[partition])
            made.changes[partition].append(Entry(partition, place, entry.timestamp, code.encode(), headers, value))
    (tmp_path / "connection-0001.jsonl").write_text("\n".join(frames) + "\n", "utf-8")
    (tmp_path / "finished.json").write_text('{"ticks": 400, "market": 400, "started": 1, "ended": 2}', "utf-8")
    for code, session in sessions.codes.items():
        names = ("price", "time", "received", "open", "high", "low", "ticks", "volume", "doubtful", "quality")
        kept = {name: getattr(session, name) for name in names}
        made.snapshots[code] = kept | {
            "code": code, "exchange": exchange_of(code), "session": "2026-11-20", "previous_close": 10.0,
            "turnover": float(session.turnover or 0),
        }  # fmt: skip
    return made


def test_a_clean_run_is_clean(world: World) -> None:
    findings = world.check()
    assert findings.clean, findings.examples
    assert world.books == 350
    assert len(world.changes[0]) > 20


def lose(world: World) -> None:
    entries = world.ticks[0]
    world.ticks[0] = renumbered(entries[:50] + entries[51:])


def double(world: World) -> None:
    entries = world.ticks[0]
    world.ticks[0] = renumbered([*entries, entries[-1]])


def double_altered(world: World) -> None:
    """Of the same name, and not the same."""
    double(world)
    world.ticks[0][-1] = edited(world.ticks[0][-1], received=1_795_138_200_000_999)


def double_renamed(world: World) -> None:
    double(world)
    world.ticks[0][-1] = world.ticks[0][-1]._replace(key=b"600000")


def fall(world: World) -> None:
    """A run that is below the one before it."""
    world.ticks[0][-1] = edited(world.ticks[0][-1], run=4, n=1)


def swap(world: World) -> None:
    entries = world.ticks[1]
    first = 10
    second = next(i for i in range(first + 1, len(entries)) if entries[i].key == entries[first].key)
    entries[first], entries[second] = entries[second], entries[first]
    world.ticks[1] = renumbered(entries)


def alter(world: World) -> None:
    world.ticks[0][3] = edited(world.ticks[0][3], volume=1)


def restamp(world: World) -> None:
    world.ticks[0][3] = world.ticks[0][3]._replace(timestamp=1)


def misname(world: World) -> None:
    world.ticks[0][3] = world.ticks[0][3]._replace(key=b"600000")


def disown(world: World) -> None:
    world.ticks[0][3] = edited(world.ticks[0][3], quality="off_grid,unknown_code")


def scribble(world: World) -> None:
    world.ticks[0][3] = world.ticks[0][3]._replace(value=b'{"code":"600519"}')


@pytest.mark.parametrize(
    ("damage", "found"),
    [
        (lose, {"lost": 1, "holes": 1}),
        (double, {}),
        (double_altered, {"duplicated": 1, "numbers_fell": 1}),
        (double_renamed, {"duplicated": 1, "malformed": 1, "numbers_fell": 1}),
        (swap, {"out_of_order": 1, "numbers_fell": 1}),
        (fall, {"numbers_fell": 1}),
        (alter, {"lost": 1, "unexpected": 1}),
        (restamp, {"malformed": 1}),
        (misname, {"malformed": 1}),
        (disown, {"malformed": 1}),
        (scribble, {"malformed": 1, "lost": 1, "holes": 1}),
    ],
)
def test_damage_to_the_ticks_topic_is_found(
    world: World, damage: Callable[[World], None], found: dict[str, int]
) -> None:
    """What rests on the topic, the changes and the rows, may then differ too: here the ticks' own counts matter."""
    damage(world)
    counts = world.check().counts
    assert {kind: count for kind, count in counts.items() if not kind.endswith("_mismatches")} == found


@pytest.mark.parametrize(
    "fields",
    [
        {"bids": [[9.0, 100]]},
        {"bids": None},
        {"asks": None},
        {"asks": [[20.0, 100]]},
        {"day_high": 99.0},
        {"day_low": 1.0},
        {"day_volume": 0},
        {"average": 1.0},
        {"quality": "crossed_book"},
        {"quality": "off_grid,unread_asks"},
    ],
    ids=str,
)
@pytest.mark.parametrize("lost", [False, True])
def test_what_stands_beside_a_tick_is_what_was_sent(world: World, fields: dict[str, Any], lost: bool) -> None:
    """Field by field, and no tick of the market's books has a flaw of them; also where another tick was lost."""
    at = next(at for at, entry in enumerate(world.ticks[0]) if json.loads(entry.value or b"")["n"] % 8)
    world.ticks[0][at] = edited(world.ticks[0][at], **fields)
    if lost:
        lose(world)
    findings = world.check()
    assert findings.counts["book_mismatches"] == 1
    assert not findings.counts["unexpected"]
    (example,) = findings.examples["book_mismatches"]
    assert (example["partition"], example["offset"]) == (0, at)


def test_a_tick_that_came_twice_is_no_wrong_book(world: World) -> None:
    """Nor one that was never sent: each is a finding of its own."""
    double_altered(world)
    alter(world)
    assert world.check().counts["book_mismatches"] == 0
    assert world.books == 350 - bool(json.loads(world.ticks[0][3].value or b"").get("bids"))


def test_of_two_alike_the_one_with_the_right_book_is_the_one_that_was_sent(world: World) -> None:
    """A doubled tick is found as such, whatever is beside the second; one of them has what was sent."""
    entries = world.ticks[0]
    at = next(at for at, entry in enumerate(entries) if json.loads(entry.value or b"")["n"] % 8)
    world.ticks[0] = renumbered([*entries[:at], edited(entries[at], bids=[], n=1_000), *entries[at:]])
    counts = world.check().counts
    assert (counts["duplicated"], counts["book_mismatches"]) == (1, 0)


def test_a_lost_tick_is_shown_as_it_was_sent(world: World) -> None:
    gone = json.loads(world.ticks[0][50].value or b"")
    lose(world)
    example = world.check().examples["lost"][0]
    assert example["tick"] == {name: gone["day_high" if name == "high" else name] for name in example["tick"]}


def test_a_tick_sent_again_is_allowed_and_upsets_nothing(world: World) -> None:
    """The reference and the store take it once; its row may stand at either place, but not at both."""
    double(world)
    copy = world.ticks[0][-1]
    assert world.check().counts == {}
    first = next(i for i in range(len(world.rows) - 1, -1, -1) if world.rows[i][5:8] == row(copy)[5:8])
    world.rows.append(row(copy))
    assert world.check().counts == {"store_mismatches": 1}
    del world.rows[first]
    assert world.check().counts == {}
    world.rows.pop()
    assert world.check().counts == {"store_mismatches": 1}


def test_changes_emitted_again_to_the_byte_are_allowed(world: World) -> None:
    """After a crash what was emitted before comes again, and the rest behind it."""
    world.changes[0][9:9] = world.changes[0][4:9]
    assert world.check().counts == {}


def change_missing(world: World) -> None:
    del world.changes[0][7]


def change_twice(world: World) -> None:
    """The same change under another name."""
    world.changes[0].insert(8, world.changes[0][7]._replace(headers=(("ce_id", b"post%201/5/100000"),)))


def change_of_another_cause(world: World) -> None:
    cause = json.loads(world.changes[1][4].value or b"")["cause"]
    world.changes[1][4] = edited(world.changes[1][4], cause=cause | {"n": cause["n"] + 1})


def change_of_another_quality(world: World) -> None:
    world.changes[1][4] = edited(world.changes[1][4], quality="off_grid")


def change_uncalled_for(world: World) -> None:
    due = {json.loads(entry.value or b"")["origin"]["offset"] for entry in world.changes[0]}
    quiet = next(entry for entry in world.ticks[0] if entry.offset not in due)
    origin = {"partition": 0, "offset": quiet.offset}
    uncalled = edited(world.changes[0][-1], origin=origin)
    world.changes[0].append(uncalled._replace(headers=(("ce_id", b"post%201/5/100000"),)))


def change_wrong(world: World) -> None:
    world.changes[1][4] = edited(world.changes[1][4], change_bp=0.01)


def change_without_a_field(world: World) -> None:
    record = json.loads(world.changes[1][0].value or b"")
    del record["previous"]
    world.changes[1][0] = world.changes[1][0]._replace(value=json.dumps(record).encode())


def change_without_id(world: World) -> None:
    world.changes[1][4] = world.changes[1][4]._replace(headers=())


def change_late(world: World) -> None:
    code = world.changes[0][5].key
    after = next(i for i in range(6, len(world.changes[0])) if world.changes[0][i].key == code)
    world.changes[0].insert(after, world.changes[0].pop(5))


@pytest.mark.parametrize(
    "damage",
    [
        change_missing,
        change_twice,
        change_uncalled_for,
        change_wrong,
        change_without_a_field,
        change_without_id,
        change_late,
        change_of_another_cause,
        change_of_another_quality,
    ],
)
def test_damage_to_the_changes_topic_is_found(world: World, damage: Callable[[World], None]) -> None:
    damage(world)
    assert world.check().counts == {"change_mismatches": 1}


@pytest.mark.parametrize("partition", [0, 1])
def test_one_name_of_two_changes_is_found(world: World, partition: int) -> None:
    """In the partition and beyond it: whoever drops what it has seen would drop the second."""
    world.changes[partition].append(edited(world.changes[0][4], price=1.0))
    assert world.check().counts == {"ids_ambiguous": 1}


def row_missing(world: World) -> None:
    del world.rows[100]


def row_twice(world: World) -> None:
    world.rows.append(world.rows[100])


def row_altered(world: World) -> None:
    kept = list(world.rows[100])
    kept[2] += 0.01
    world.rows[100] = tuple(kept)


def row_null(world: World) -> None:
    kept = list(world.rows[100])
    kept[COLUMNS.index("volume")] = None
    world.rows[100] = tuple(kept)


def row_foreign(world: World) -> None:
    world.rows.append((*world.rows[100][:-2], 10_000, world.rows[100][-1]))


@pytest.mark.parametrize("damage", [row_missing, row_twice, row_altered, row_null, row_foreign])
def test_damage_to_the_store_is_found(world: World, damage: Callable[[World], None]) -> None:
    damage(world)
    assert world.check().counts == {"store_mismatches": 1}


@pytest.mark.parametrize(
    ("field", "value"),
    [("price", 9.99), ("high", 99.0), ("ticks", 1), ("turnover", 1.0), ("volume", None), ("session", "2026-11-21")],
)
def test_a_snapshot_that_is_off_is_found(world: World, field: str, value: object) -> None:
    world.snapshots["600519"][field] = value
    assert world.check().counts == {"snapshot_mismatches": 1}


def test_a_snapshot_too_few_and_one_too_many_are_found(world: World) -> None:
    world.snapshots["600000"] = world.snapshots.pop("600519")
    assert world.check().counts == {"snapshot_mismatches": 2}


def test_a_ledger_that_contradicts_itself_is_no_ground_for_a_verdict(world: World) -> None:
    (world.ledger / "finished.json").write_text('{"ticks": 399, "market": 399, "started": 1, "ended": 2}', "utf-8")
    with pytest.raises(LedgerError, match="399"):
        world.check()
