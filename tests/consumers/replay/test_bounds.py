"""Where a replay begins and ends, as it is written."""

from __future__ import annotations

import pytest

from consumers.replay.bounds import Bound, Edge, ExchangeTime, Offsets, Received, duration, parse
from market.times import parse_time
from schemas import UsageError

NOW = parse_time("2026-11-20 15:00")


@pytest.mark.parametrize(
    ("text", "bound"),
    [
        ("earliest", Edge.EARLIEST),
        ("end", Edge.END),
        ("Latest", Edge.END),
        ("offset:1234", Offsets(every=1234)),
        ("offset:3:15", Offsets(by_partition={3: 15})),
        ("3:1234,4:99", Offsets(by_partition={3: 1234, 4: 99})),
        ("2026-11-20 09:30", ExchangeTime(parse_time("2026-11-20 09:30"))),
        ("2026-11-20T09:30:00.250+08:00", ExchangeTime(parse_time("2026-11-20 09:30:00.250"))),
        ("2026-11-20", ExchangeTime(parse_time("2026-11-20 00:00"))),
        ("09:30", ExchangeTime(parse_time("2026-11-20 09:30"))),
        ("last 2h", Received(NOW - 7_200_000)),
        ("1h30m", Received(NOW - 5_400_000)),
        ("250ms", Received(NOW - 250)),
        ("1.5s", Received(NOW - 1_500)),
    ],
)
def test_every_form_is_read(text: str, bound: Bound) -> None:
    """A bare time of day is of today in Shanghai; a duration is about receipt and counts back from now."""
    assert parse(text, flag="--from", now=NOW) == bound


@pytest.mark.parametrize(
    "text", ["", "yesterday", "offset:", "offset:x", "3:1,3:2", "2026-13-01", "last", "-2h", "3:1,"]
)
def test_what_is_none_of_the_forms_is_refused_with_the_flag(text: str) -> None:
    """And with the forms, or with what is wrong in it."""
    with pytest.raises(UsageError, match="--to"):
        parse(text, flag="--to", now=NOW)


def test_a_duration_without_a_unit_is_none() -> None:
    """Nobody has to guess whether 90 is seconds."""
    assert duration("90s", flag="--lateness") == 90_000
    with pytest.raises(UsageError, match="--lateness '90'"):
        duration("90", flag="--lateness")
