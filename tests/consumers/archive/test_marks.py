"""What an archive marks as repeated, and so leaves out of its queries: nothing that is none."""

from __future__ import annotations

from consumers.archive.kinds import kinds
from consumers.archive.stretches import Marks
from schemas import LineMark, Origin, PriceChange, Tick
from tests.jobs.chunks import NINE_THIRTY, tick

SECOND = 1_000_000


def at(n: int, seconds: int, run: int = 1) -> Tick:
    """A tick received so many seconds after 09:30."""
    return tick(n, 10.0, run=run, received=NINE_THIRTY * 1000 + seconds * SECOND)


def change(offset: int, seconds: int, cause: LineMark | None = None) -> PriceChange:
    """A change by the tick at an offset."""
    received = NINE_THIRTY * 1000 + seconds * SECOND
    return PriceChange("600519", 10.0, None, None, None, NINE_THIRTY, received, 1, 1, 0.0, Origin(3, offset), cause)


def test_a_run_that_fell_is_left_out_for_a_minute_and_not_for_good() -> None:
    """As by the jobs; what is sent again is left out however late."""
    marks = Marks(kinds()["tick"])
    assert marks.repeated([at(500, 0, 2), at(1, 30), at(2, 60), None, at(3, 61), at(4, 62)]) == [
        *(False, True, True, False, False, False)
    ]
    assert marks.repeated([at(3, 61), at(4, 62), at(5, 300)]) == [True, True, False]


def test_a_topic_of_ticks_that_was_made_again_hides_no_change() -> None:
    """Its offsets begin at 0: the change's cause tells, and of older records the receive time."""
    marks = Marks(kinds()["price-change"])
    caused = [change(100, 0, LineMark("a", 1, 1)), change(0, 1, LineMark("a", 2, 1)), change(0, 1, LineMark("a", 2, 1))]
    assert marks.repeated(caused) == [False, False, True]
    older = Marks(kinds()["price-change"])
    assert older.repeated([change(100, 0), change(100, 0), change(0, 90)]) == [False, True, False]
