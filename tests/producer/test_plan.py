"""What the options come to: codes, lines, ids, units; and what is refused with the fix."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from market.codes import Board
from producer.plan import ProducerOptions, plan
from schemas import UsageError


def planned(**options: Any) -> Any:
    return plan(ProducerOptions("127.0.0.1:9092", **options))


def test_without_options_it_is_the_post_s_whole_market_on_one_line() -> None:
    """As before there were others."""
    what = planned()
    assert (what.provider.name, what.codes, what.urls, what.sources) == (
        "post",
        None,
        ["ws://127.0.0.1:8765"],
        ["post-1"],
    )


def test_codes_beyond_a_connection_s_limit_take_more_lines() -> None:
    """Infoway's 600: each line has an id of its own; more lines than needed may be asked for."""
    codes = ",".join(f"60{i:04d}" for i in range(1_000))
    assert planned(feed="infoway", symbols=codes).sources == ["infoway-1", "infoway-2"]
    assert planned(feed="infoway", symbols=codes, source="office", lines=3).sources == [
        "office-1",
        "office-2",
        "office-3",
    ]
    assert planned(feed="infoway", symbols="600519", source="office").sources == ["office"]
    with pytest.raises(UsageError, match="--lines 2"):
        planned(feed="infoway", symbols=codes, lines=1)


def test_a_feed_that_ends_one_connection_for_another_gets_one() -> None:
    """So the 500 codes of iTick on the one connection that a token has: more lines would only kick one another."""
    codes = [f"60{i:04d}" for i in range(501)]
    assert planned(feed="itick", symbols=",".join(codes[:500])).sources == ["itick-1"]
    with pytest.raises(UsageError, match="give 500 codes at most"):
        planned(feed="itick", symbols=",".join(codes))


def test_a_wildcard_where_there_is_none_names_the_fix() -> None:
    """Before anything is dialled."""
    with pytest.raises(UsageError, match="--watchlist FILE"):
        planned(feed="alltick")
    with pytest.raises(UsageError, match="--arbitrate"):
        planned(lines=2)


def test_the_post_gets_symbols_as_they_were_given_and_others_in_the_one_form() -> None:
    """The form itself is the post's: array, string or wildcard."""
    assert planned(symbols="600519.SH").codes == ["600519.SH"]
    assert planned(symbols="600519.SH").options.as_string
    assert not planned(symbols='["600519"]').options.as_string
    assert planned(feed="alltick", symbols="600519.SH,sz000001").codes == ["600519", "000001"]


def test_symbols_and_watchlists_are_read_from_files(tmp_path: Path) -> None:
    """A watchlist that is there wins; one that is not is begun with --symbols."""
    listed, new = tmp_path / "listed.txt", tmp_path / "new.txt"
    listed.write_text("600519\n000001\n")
    assert planned(symbols=f"@{listed}").codes == ["600519", "000001"]
    assert planned(symbols=f"@{listed}").file is None
    assert planned(watchlist=str(listed), symbols="688981").codes == ["600519", "000001"]
    assert planned(watchlist=str(new), symbols="688981").codes == ["688981"]
    assert new.read_text().splitlines()[-1] == "688981"
    with pytest.raises(UsageError, match="--symbols to begin with"):
        planned(watchlist=str(tmp_path / "none.txt"))
    listed.write_text("# nothing\n")
    with pytest.raises(UsageError, match="no code"):
        planned(watchlist=str(listed))


def test_two_connections_for_the_same_codes_have_one_id() -> None:
    """To one address, or to two."""
    assert planned(arbitrate=True).urls == ["ws://127.0.0.1:8765"] * 2
    with pytest.raises(UsageError, match="--second-url"):
        planned(feed="itick", symbols="600519", arbitrate=True)
    what = planned(second_url="ws://backup")
    assert (what.urls, what.sources) == (["ws://127.0.0.1:8765", "ws://backup"], ["post-1"])


def test_units_override_what_is_declared() -> None:
    """Volume for all boards or for some; the rest stays as it was."""
    assert planned().options.units is None
    units = planned(feed="alltick", symbols="600519", volume_unit="lots,STAR=shares").options.units
    assert (units.shares_per_unit(Board.MAIN), units.shares_per_unit(Board.STAR)) == (100, 1)
    assert units.turnover == "computed"
    units = planned(feed="alltick", symbols="600519", turnover="none", time_unit="ms").options.units
    assert (units.volume, units.turnover, units.time) == ("lots", "none", "ms")


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"feed": "reuters"}, "--feed reuters is none of"),
        ({"volume_unit": "boxes"}, "--volume-unit boxes"),
        ({"volume_unit": "lots,MOON=shares"}, "STAR"),
        ({"turnover": "guessed"}, "--turnover guessed"),
        ({"time_unit": "days"}, "--time-unit days"),
        ({"lines": 0}, "--lines"),
        ({"source": "a/b"}, "--source"),
        ({"heartbeat": -1.0}, "--heartbeat"),
    ],
)
def test_what_cannot_be_meant_is_refused(options: dict[str, Any], says: str) -> None:
    """The text names the option and what it takes."""
    with pytest.raises(UsageError, match=says):
        planned(**options)
