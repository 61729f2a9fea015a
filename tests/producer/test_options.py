"""What the options come to: codes, lines, ids, units; and what is refused with the fix."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from market.codes import Board
from producer.options import ProducerOptions, plan
from schemas import UsageError


def planned(**options: Any) -> Any:
    return plan(ProducerOptions("127.0.0.1:9092", **options))


def urls(what: Any) -> list[str]:
    return [endpoint.url for endpoint in what.feeds]


def feed_options(**options: Any) -> Any:
    return planned(**options).feeds[0].options


def test_without_options_it_is_the_post_s_whole_market_on_one_line() -> None:
    """As before there were others."""
    what = planned()
    assert (what.codes, urls(what), what.sources) == (None, ["ws://127.0.0.1:8765"], ["post-1"])
    assert [endpoint.provider.name for endpoint in what.feeds] == ["post"]


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
    """The form itself is the post's: array, string or wildcard; what the lines know and tell of is the one form."""
    what = planned(symbols="600519.SH,sz000001,OTHER")
    assert what.codes == ["600519", "000001", "OTHER"]
    live = what.feeds[0].endpoint().feed
    assert live.subscribe(what.codes) == ['{"action":"subscribe","symbols":"600519.SH,sz000001,OTHER"}']
    assert live.unsubscribe(["000001", "688981"]) == ['{"action":"unsubscribe","symbols":"sz000001,688981"}']
    assert feed_options(symbols="600519.SH").as_string
    assert not feed_options(symbols='["600519"]').as_string
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
    assert urls(planned(arbitrate=True)) == ["ws://127.0.0.1:8765"] * 2
    with pytest.raises(UsageError, match="--second-url"):
        planned(feed="itick", symbols="600519", arbitrate=True)
    what = planned(second_url="ws://backup")
    assert (urls(what), what.sources) == (["ws://127.0.0.1:8765", "ws://backup"], ["post-1"])


def test_two_providers_can_be_made_one_stream() -> None:
    """Each with its own address, token and units; codes are dealt so that both can carry them."""
    codes = ",".join(f"60{i:04d}" for i in range(1_000))
    what = planned(
        feed="alltick", second_feed="infoway", symbols=codes, token="one", second_token="two", volume_unit="shares"
    )
    assert what.sources == ["alltick-1", "alltick-2"], "Infoway takes 600"
    first, second = what.feeds
    assert (first.provider.name, second.provider.name) == ("alltick", "infoway")
    assert (first.url, second.url) == (first.provider.capabilities.url, second.provider.capabilities.url)
    assert (first.token, second.token) == ("one", "two")
    assert first.options.units.volume == "shares"
    assert second.options.units is None
    assert planned(feed="alltick", second_feed="infoway", symbols="600519", token="one").feeds[1].token is None
    assert planned(second_feed="post", second_url="ws://other", token="one").feeds[1].token == "one"
    assert planned(feed="itick", symbols="600519", arbitrate=True, second_token="two").sources == ["itick-1"]


def test_a_second_provider_needs_what_it_is_asked_for() -> None:
    """A wildcard that it does not have, a name that it is not."""
    with pytest.raises(UsageError, match="alltick has no wildcard"):
        planned(second_feed="alltick")
    with pytest.raises(UsageError, match="reuters is none of"):
        planned(second_feed="reuters")
    assert planned(second_feed="alltick", symbols="600519.SH").codes == ["600519"]


def test_units_override_what_is_declared() -> None:
    """Volume for all boards or for some; the rest stays as it was."""
    assert feed_options().units is None
    units = feed_options(feed="alltick", symbols="600519", volume_unit="lots,STAR=shares").units
    assert (units.shares_per_unit(Board.MAIN), units.shares_per_unit(Board.STAR)) == (100, 1)
    assert units.turnover == "computed"
    units = feed_options(feed="alltick", symbols="600519", turnover="none", time_unit="ms").units
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
