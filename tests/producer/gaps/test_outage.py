"""What a line misses while it is away is one gap, of the codes that are still wanted."""

from __future__ import annotations

from producer.gaps.outage import Outage


def test_an_outage_is_one_gap_however_many_attempts_fail_in_it() -> None:
    """From the first loss to the next subscription, of the codes that are still wanted."""
    outage = Outage()
    assert outage.end(5, None) is None
    outage.begin(10, ["a", "b"], "silence", "no tick")
    outage.begin(20, ["b"], "disconnect", "refused")
    gap = outage.end(30, ["b", "c"])
    assert gap is not None
    assert (gap.start, gap.end, gap.codes, gap.detected) == (10, 30, ["b"], "silence")
    assert outage.end(40, None) is None
    outage.begin(50, ["a"], "disconnect", "")
    assert outage.end(60, ["c"]) is None, "nothing that is still wanted was missed"


def test_an_outage_of_the_wgap_market_concerns_all() -> None:
    """Whatever is wanted now."""
    outage = Outage()
    outage.begin(10, "all", "disconnect", "lost")
    gap = outage.end(5, ["a"])
    assert gap is not None
    assert (gap.start, gap.end, gap.codes) == (10, 10, "all")


def test_what_is_not_wanted_any_more_is_not_missed() -> None:
    """A code that was taken off the list and put back later was not wanted in between."""
    outage = Outage()
    outage.begin(10, ["a", "b"], "disconnect", "lost")
    outage.keep(["b"])
    gap = outage.end(20, ["a", "b"])
    assert gap is not None
    assert gap.codes == ["b"]
    outage.begin(30, ["a"], "disconnect", "lost")
    outage.keep([])
    assert outage.end(40, ["a"]) is None
