"""The changes job: what is emitted, and that a crash at any point changes nothing of it."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from jobs.changes import ChangeRow, Changes, basis_points
from jobs.thresholds import parse_overrides
from schemas import PriceChange, Tick, encode
from tests.jobs.chunks import chunk, tick


def job(threshold: str = "0.01") -> Changes:
    """A job with one threshold."""
    return Changes(parse_overrides(threshold, ""))


def run(changes: Changes, ticks: list[Tick | bytes], rows: dict[str, ChangeRow] | None = None) -> list[PriceChange]:
    """What a single chunk emits."""
    return changes.apply({} if rows is None else rows, chunk(ticks))[0]


def test_the_first_tick_of_a_code_emits_without_a_previous_price() -> None:
    """Readers learn every code's price once."""
    (change,) = run(job(), [tick(1, 10.23)])
    assert (change.price, change.previous, change.change, change.change_bp) == (10.23, None, None, None)
    assert (change.volume, change.ticks, change.threshold) == (100, 1, 0.01)
    assert (change.origin.partition, change.origin.offset) == (3, 0)


def test_a_move_of_exactly_the_threshold_does_not_emit() -> None:
    """Strictly larger, and 10.23 - 10.22 is exactly one tick."""
    assert len(run(job("0.01"), [tick(1, 10.22), tick(2, 10.23), tick(3, 10.21)])) == 1
    assert len(run(job("0.01"), [tick(1, 10.22), tick(2, 10.24)])) == 2


def test_zero_means_every_change_and_no_repetition() -> None:
    """An equal price is not a change."""
    assert [c.price for c in run(job("0"), [tick(1, 10.22), tick(2, 10.22), tick(3, 10.23)])] == [10.22, 10.23]


def test_moves_count_from_the_last_emitted_price() -> None:
    """Many small steps add up; volume and ticks are those since the last emission."""
    first, second = run(job("0.02"), [tick(1, 10.00), tick(2, 10.01), tick(3, 10.02), tick(4, 10.03, volume=None)])
    assert (second.previous, second.price, second.change, second.change_bp) == (10.0, 10.03, 0.03, 30.0)
    assert (second.volume, second.ticks) == (200, 3)
    assert first.ticks == 1


def test_volume_is_unknown_while_no_tick_carried_any() -> None:
    """Unknown is not zero."""
    assert run(job("0"), [tick(1, 10.0, volume=None)])[0].volume is None


def test_basis_points_are_rounded_half_away_from_zero() -> None:
    """In integers, so that every implementation gets the same."""
    assert basis_points(1, 200_000) == 0.05
    assert basis_points(-1, 200_000) == -0.05
    assert basis_points(1, 300_000) == 0.03
    assert basis_points(500, 100_000) == 50.0


def test_a_tick_sent_again_takes_effect_once() -> None:
    """A resend has new offsets, and the same source, run and number."""
    changes = job("0")
    rows: dict[str, ChangeRow] = {}
    run(changes, [tick(1, 10.0), tick(2, 10.1)], rows)
    assert run(changes, [tick(1, 10.0), tick(2, 10.1), tick(3, 10.1)], rows) == []
    assert changes.repeated == 2
    assert rows["600519"].ticks == 1


def test_a_new_run_starts_its_numbers_anew() -> None:
    """A restarted producer's first tick is not a repetition of the old one's."""
    changes = job("0")
    rows: dict[str, ChangeRow] = {}
    run(changes, [tick(7, 10.0, run=1)], rows)
    assert len(run(changes, [tick(1, 10.1, run=2)], rows)) == 1


def test_lines_are_marked_apart() -> None:
    """A second line's low number is not taken for a repetition."""
    changes = job("0")
    rows: dict[str, ChangeRow] = {}
    run(changes, [tick(50, 10.0, source="a")], rows)
    assert len(run(changes, [tick(1, 10.1, source="b")], rows)) == 1


def test_what_is_no_tick_is_left_out_and_named() -> None:
    """The others of its chunk go on."""
    made = chunk([tick(1, 10.0), b"nonsense", b'{"code":"600519"}', tick(2, 10.5)])
    emitted, _ = job("0").apply({}, made)
    assert [change.origin.offset for change in emitted] == [0, 3]
    assert [index for index, _ in made.bad] == [1, 2]
    assert "exchange" in made.bad[1][1]


PRICES = st.lists(st.tuples(st.sampled_from(["600519", "000001"]), st.integers(990, 1010)), max_size=40)
THRESHOLDS = st.sampled_from(["0", "0.01", "2ticks", "50bp"])
CHUNKS = st.lists(
    st.tuples(st.integers(1, 7), st.sampled_from(["no crash", "after changes", "after rows"])), max_size=25
)


@given(PRICES, THRESHOLDS, CHUNKS)
def test_a_crash_at_any_chunk_changes_nothing(
    prices: list[tuple[str, int]], threshold: str, chunks: list[tuple[int, str]]
) -> None:
    """Chunks that come again, cut elsewhere, to rows restored from what was published give the same changes.

    A crash after the changes leaves the rows of the chunk before; one after the rows leaves them ahead of the commit.
    """
    ticks: list[Tick | bytes] = [tick(n, cents / 100, code=code) for n, (code, cents) in enumerate(prices, 1)]
    expected = [encode(change) for change in run(job(threshold), ticks)]

    emitted: dict[int, bytes] = {}
    published: dict[str, bytes] = {}
    changes = job(threshold)
    rows: dict[str, ChangeRow] = {}
    position = 0
    plan = iter(chunks)
    while position < len(ticks):
        size, crash = next(plan, (10, "no crash"))
        found, touched = changes.apply(rows, chunk(ticks[position : position + size], start=position))
        for change in found:
            assert emitted.setdefault(change.origin.offset, encode(change)) == encode(change)
        if crash != "after changes":
            published.update((row.code, encode(row.record())) for row in touched)
        if crash == "no crash":
            position += size
        else:
            changes = job(threshold)
            rows = dict(changes.restore(value) for value in published.values())
    assert [emitted[offset] for offset in sorted(emitted)] == expected
