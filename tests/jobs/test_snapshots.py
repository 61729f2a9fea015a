"""The snapshots job: the latest state and the session's figures."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from jobs.snapshots import SnapshotRow, Snapshots
from schemas import Tick, encode
from tests.jobs.chunks import NINE_THIRTY, chunk, tick

DAY = 86_400_000


def run(ticks: list[Tick | bytes], rows: dict[str, SnapshotRow] | None = None) -> dict[str, SnapshotRow]:
    """The rows after a single chunk."""
    rows = {} if rows is None else rows
    Snapshots().apply(rows, chunk(ticks))
    return rows


def test_a_session_sums_up_its_ticks() -> None:
    """Last price by arrival, open, high, low, volume and turnover exactly."""
    row = run(
        [
            tick(1, 10.0, turnover=0.1, previous_close=9.9),
            tick(2, 10.3, turnover=0.2),
            tick(3, 9.8, volume=None),
            tick(4, 10.1),
        ]
    )["600519"].record()
    assert (row.price, row.open, row.high, row.low) == (10.1, 10.0, 10.3, 9.8)
    assert (row.volume, row.turnover, row.ticks, row.previous_close) == (300, 0.3, 4, 9.9)
    assert row.session == "2026-11-20"
    assert (row.origin.partition, row.origin.offset) == (3, 3)


def test_a_new_trading_day_starts_a_new_session() -> None:
    """Nothing of the last session is counted into the new one, its previous close least of all."""
    row = run([tick(1, 10.0, previous_close=9.9), tick(2, 11.0, time=NINE_THIRTY + DAY, volume=7)])["600519"].record()
    assert (row.session, row.open, row.high, row.low, row.ticks, row.volume) == ("2026-11-21", 11.0, 11.0, 11.0, 1, 7)
    assert row.previous_close is None


def test_a_tick_of_an_earlier_session_changes_no_figure() -> None:
    """It is counted as late."""
    job = Snapshots()
    rows: dict[str, SnapshotRow] = {}
    job.apply(rows, chunk([tick(1, 10.0), tick(2, 5.0, time=NINE_THIRTY - DAY), tick(3, 10.1)]))
    assert job.late == 1
    assert rows["600519"].record().low == 10.0
    assert rows["600519"].record().ticks == 2


def test_midnight_in_shanghai_parts_the_days() -> None:
    """Not midnight UTC."""
    midnight = 1_795_104_000_000  # 2026-11-20 00:00 in Shanghai
    rows = run([tick(1, 10.0, time=midnight - 1), tick(2, 10.0, time=midnight)])
    assert rows["600519"].record().session == "2026-11-20"
    assert rows["600519"].record().ticks == 1


@given(
    st.lists(st.tuples(st.sampled_from(["600519", "000001"]), st.integers(1, 2000)), min_size=1, max_size=30), st.data()
)
def test_restored_rows_and_repeated_chunks_give_the_same_snapshots(
    prices: list[tuple[str, int]], data: st.DataObject
) -> None:
    """Whatever was published last, and wherever reading resumes at or before it."""
    ticks: list[Tick | bytes] = [
        tick(n, cents / 100, code=code, turnover=cents / 10_000) for n, (code, cents) in enumerate(prices, 1)
    ]
    expected = {code: encode(row.record()) for code, row in run(ticks).items()}

    published_to = data.draw(st.integers(0, len(ticks)))
    resumed_from = data.draw(st.integers(0, published_to))
    published = [encode(row.record()) for row in run(ticks[:published_to]).values()]
    job = Snapshots()
    rows = dict(job.restore(value) for value in published)
    job.apply(rows, chunk(ticks[resumed_from:], start=resumed_from))
    assert {code: encode(row.record()) for code, row in rows.items()} == expected
    assert job.repeated == published_to - resumed_from
