"""A change's event id names its content for ever, and a record of before is named as it was then."""

from __future__ import annotations

from urllib.parse import unquote

from hypothesis import given
from hypothesis import strategies as st

from jobs.changes import ChangeRow, Changes
from jobs.thresholds import parse_overrides
from schemas import LineMark, Origin, PriceChange, Tick, cloudevents, decode, encode
from tests.jobs.chunks import chunk, tick


def emitted(ticks: list[Tick], start: int = 0) -> list[PriceChange]:
    """What a job without state emits."""
    rows: dict[str, ChangeRow] = {}
    return Changes(parse_overrides("0", "")).apply(rows, chunk(list(ticks), start=start))[0]


def identity(change: PriceChange) -> str:
    """The id that the headers carry, which is the one that ``change_id`` gives."""
    found = dict(cloudevents.headers(change))["ce_id"].decode()
    assert found == cloudevents.change_id(change)
    return found


def test_a_topic_that_is_made_again_gives_other_ids() -> None:
    """Its offsets begin at 0 again, and the ticks at them are others: 234 ids named two changes."""
    before = [identity(change) for change in emitted([tick(n, 10 + n / 100) for n in range(1, 50)])]
    after = [identity(change) for change in emitted([tick(n, 11 + n / 100, run=2) for n in range(1, 50)])]
    assert len(set(before) | set(after)) == 98


def test_the_same_tick_at_another_offset_gives_the_same_id() -> None:
    """A replay into another topic, or a log that was filled again from an archive."""
    ticks = [tick(1, 10.0), tick(2, 10.1)]
    assert list(map(identity, emitted(ticks))) == list(map(identity, emitted(ticks, start=500)))


def test_a_record_without_a_cause_keeps_its_name() -> None:
    """As version 0.1 wrote it."""
    (change,) = emitted([tick(1, 10.0)], start=7)
    assert change.cause == LineMark("line", 1, 1)
    old = decode(PriceChange, encode(change).replace(b'"cause":', b'"other":'))
    assert identity(old) == "ashare.ticks.v1/3/7"
    assert dict(cloudevents.headers(old, "ticks.v9"))["ce_id"] == b"ticks.v9/3/7"


NAME = st.tuples(st.text(min_size=1, max_size=20), st.integers(0, 2**53 - 1), st.integers(0, 2**53 - 1))


@given(NAME, NAME)
def test_ids_differ_where_ticks_do(one: tuple[str, int, int], other: tuple[str, int, int]) -> None:
    """Whatever a source is called: a slash, a percent sign, Chinese."""
    ids = [
        identity(PriceChange("1", 1.0, None, None, None, 1, 1, None, 1, 0.0, Origin(0, 0), LineMark(*name)))
        for name in (one, other)
    ]
    assert (ids[0] == ids[1]) is (one == other)
    assert all(one.isascii() and one.count("/") == 2 for one in ids)
    source, run, n = ids[0].split("/")
    assert (unquote(source), int(run), int(n)) == one
