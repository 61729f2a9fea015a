"""``--kinds``: which codes may be asked for, which ticks go through, and what is said of the others."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from market.kinds import parse
from producer.feeds.codes import Listing, Listings
from producer.feeds.errors import UnreadableError
from producer.feeds.provider import Units
from producer.options import Plan, ProducerOptions, plan
from producer.watchlist.watch import Watch
from schemas import UsageError


def planned(**options: Any) -> Plan:
    return plan(ProducerOptions("127.0.0.1:9092", **options))


ALL = "a-share,fund,convertible,index"


@pytest.mark.parametrize("feed", ["post", "alltick", "infoway"])
def test_bare_codes_of_the_kinds_asked_for_are_subscribed(feed: str) -> None:
    """As a comma string, a JSON array or a file; each feed gets them as its server writes them."""
    what = planned(feed=feed, symbols="600519,510300,123001,399001,000001", kinds=ALL)
    codes = ["600519", "510300.SSE", "123001.SZSE", "399001.SZSE", "000001"]
    assert what.codes == codes
    sent = str(what.feeds[0].endpoint().feed.subscribe(codes))
    assert all(form in sent for form in (("510300",) if feed == "post" else ("510300.SH", "399001.SZ", "000001.SZ")))
    assert planned(feed=feed, symbols='["510300"]', kinds="fund").codes == ["510300.SSE"]


def test_a_watchlist_holds_them_too(tmp_path: Path) -> None:
    """A running producer refuses a code of another kind, and keeps its list."""
    file = tmp_path / "codes.txt"
    file.write_text("600519\n510300 # the fund\n")
    assert planned(symbols=f"@{file}", kinds="a-share,fund").codes == ["600519", "510300.SSE"]
    with pytest.raises(UsageError, match=r"^510300 is a fund: add --kinds a-share,fund$"):
        planned(watchlist=str(file))
    taken: list[Any] = []
    watch = Watch(None, ["600519"], taken.append, parse("a-share,fund"))
    assert watch.change(add=["510300"]) == ["600519", "510300.SSE"]
    with pytest.raises(UsageError, match="123001 is a convertible bond: add --kinds a-share,fund,convertible"):
        watch.change(add=["123001"])
    assert taken == [["600519", "510300.SSE"]]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"symbols": "600519,510300"}, "510300 is a fund: add --kinds a-share,fund"),
        ({"symbols": "510300.SH"}, "510300 is a fund: add --kinds a-share,fund"),
        ({"symbols": "sh000001", "kinds": "a-share,fund"}, "000001.SSE is an index: add --kinds a-share,fund,index"),
        ({"symbols": "600519", "kinds": "fund"}, "600519 is an A share: add --kinds a-share,fund"),
        ({"kinds": "a-share,etf"}, "'etf' is not a kind: --kinds takes a-share, fund, convertible, index"),
        ({"kinds": "fund"}, "add --kinds a-share,fund"),
        ({"symbols": "120001", "kinds": ALL}, "120001 is a convertible bond: write 120001.SZSE"),
    ],
)
def test_wrong_use_names_the_fix_in_one_line(options: dict[str, str], said: str) -> None:
    with pytest.raises(UsageError) as refused:
        planned(**options)
    assert said in str(refused.value)
    assert "\n" not in str(refused.value)


def test_foreign_lets_everything_through_as_before() -> None:
    assert planned(symbols="510300.SH,000001.SSE", foreign=True).codes == ["510300.SSE", "000001.SSE"]


def test_ticks_of_the_kinds_asked_for_go_through() -> None:
    """Under any form of the code; the bank and the index keep apart. A lot of bonds is ten."""
    some = Listings(Units(volume="lots"), foreign=False, kinds=parse(ALL))
    assert [some.find(text) for text in ("510300", "510300.SH", "123001", "sh000001", "000001", "600519")] == [
        Listing("510300.SSE", "SSE", 100),
        Listing("510300.SSE", "SSE", 100),
        Listing("123001.SZSE", "SZSE", 10),
        Listing("000001.SSE", "SSE", 100),
        Listing("000001", "SZSE", 100),
        Listing("600519", "SSE", 100),
    ]
    for text in ("900901.SH", "204001.SH", "00700.HK"):
        with pytest.raises(UnreadableError, match="--foreign lets it through"):
            some.find(text)
    shares = Listings(Units(), foreign=False)
    with pytest.raises(UnreadableError, match="--kinds a-share,fund"):
        shares.find("510300")
