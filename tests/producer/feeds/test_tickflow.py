"""TickFlow, message by message: the day's volume in lots, cached snapshots, the whole set in each answer."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from producer.feeds.provider import Feed, Units
from tests.producer.feeds.genuine import TIME, feed, fields, quote, quotes, read

FIRST = {"code": "600000", "exchange": "SSE", "price": 9.87, "time": TIME, "cumulative": 120_000}


@pytest.fixture
def live() -> Feed:
    return feed("tickflow")


def test_a_snapshot_is_a_tick_with_what_was_traded_since_the_push_before(live: Feed) -> None:
    """Cumulative lots and yuan become the difference, in shares; a code's first push tells nothing of its own."""
    assert fields(read(live, quotes(quote()))) == [FIRST]
    later = quote(volume=1203, amount=1_187_361.0, timestamp=TIME + 3000)
    assert fields(read(live, quotes(later))) == [
        FIRST | {"time": TIME + 3000, "volume": 300, "turnover": 2961.0, "cumulative": 120_300}
    ]


@pytest.mark.parametrize("data", [[quote()], quote()])
def test_an_array_or_a_single_object(live: Feed, data: Any) -> None:
    """One object instead of an array of one."""
    assert fields(read(live, {"op": "quotes", "data": data})) == [FIRST]


def test_texts_for_numbers_are_read(live: Feed) -> None:
    """Text or number for the same field."""
    texts = {name: str(value) for name, value in quote().items()}
    assert fields(read(live, {"op": "quotes", "data": [texts]})) == [FIRST]


def test_a_cached_snapshot_after_a_subscription_is_recognised(live: Feed) -> None:
    """Same time and same day's volume as the push before: a true repeat."""
    read(live, quotes(quote(), quote(symbol="000001.SZ")))
    decoded = read(live, quotes(quote(), quote(symbol="000001.SZ"), quote(symbol="300750.SZ")))
    assert decoded.repeats == 2
    assert [tick.code for tick in decoded.ticks] == ["300750"]


def test_a_snapshot_without_a_trade_is_a_tick_of_volume_0(live: Feed) -> None:
    """The book changed: time goes on and volume does not. A volume of 0 is known, and not null."""
    read(live, quotes(quote()))
    assert read(live, quotes(quote(timestamp=TIME + 3000))).ticks[0].volume == 0


def volumes(live: Feed, *pushes: tuple[int, int]) -> list[float | None]:
    """Of each push (ms after ``TIME``, lots of the day so far), what was traded since the one before."""
    decoded = [read(live, quotes(quote(volume=lots, timestamp=TIME + after))) for after, lots in pushes]
    return [one.ticks[0].volume for one in decoded]


def test_a_cumulative_volume_that_resets_is_believed_once_two_pushes_rise_from_there(live: Feed) -> None:
    """Null until then, and then all that was traded since the fall at once."""
    assert volumes(live, (0, 1200), (3000, 5), (6000, 8), (9000, 8), (12000, 11), (15000, 12)) == [
        None, None, None, None, 600, 100,
    ]  # fmt: skip


@pytest.mark.parametrize("glitch", [[0], [0, 0], [0, 0, 0, 0], [700], [0, 3], [5, 0]])
def test_a_fall_that_later_pushes_deny_never_counts_the_day_again(live: Feed, glitch: list[int]) -> None:
    """1,000,000, 0, 1,000,500: the difference is that to the push before the glitch, and null meanwhile."""
    falls = [(3000 * at, lots) for at, lots in enumerate(glitch, 1)]
    found = volumes(live, (0, 10_000), *falls, (60_000, 10_005), (63_000, 10_007))
    assert found == [None] * (1 + len(glitch)) + [500, 200]


DAY = 86_400_000


def test_a_new_day_begins_at_0(live: Feed) -> None:
    """The first push of a day on a connection that lived overnight holds the opening auction's volume."""
    (yesterday, auction, later) = volumes(live, (0, 9_000), (DAY - 300_000, 450), (DAY, 470))
    assert (yesterday, auction, later) == (None, 45_000, 2_000)


def test_a_new_day_that_still_shows_the_sum_of_the_day_before_begins_with_its_fall(live: Feed) -> None:
    """Pushed before the opening by feeds that set their sums back late; what follows at once is the day's."""
    assert volumes(live, (0, 9_000), (DAY - 1_800_000, 9_000), (DAY - 300_000, 450), (DAY, 470)) == [
        None, None, 45_000, 2_000,
    ]  # fmt: skip


def test_a_wrong_date_makes_no_day(live: Feed) -> None:
    """A push dated days ahead whose sum has not fallen tells nothing, and the next right one is read as ever."""
    assert volumes(live, (0, 9_000), (5 * DAY, 9_010), (6_000, 9_015), (9_000, 9_016)) == [None, None, 1_500, 100]


def test_a_connection_that_stood_before_the_day_began_counts_a_codes_first_push() -> None:
    """A feed without a cache pushes nothing before the auction: its first push is all of the day so far."""
    stood = feed("tickflow", clock=lambda: TIME - 8 * 3_600_000)
    assert volumes(stood, (0, 450), (3_000, 470)) == [45_000, 2_000]
    joined = feed("tickflow", clock=lambda: TIME - 60_000)
    assert volumes(joined, (0, 450), (3_000, 470)) == [None, 2_000]


def test_a_late_snapshot_spoils_no_difference(live: Feed) -> None:
    """It is older and has less: a tick without volume, and the next one counts from the newest."""
    read(live, quotes(quote()))
    late, after = quote(volume=1100, timestamp=TIME - 3000), quote(volume=1201, timestamp=TIME + 3000)
    yesterday = quote(volume=9_000, timestamp=TIME - 86_400_000)
    assert [read(live, quotes(one)).ticks[0].volume for one in (late, yesterday, after)] == [None, None, 100]


def test_a_new_connection_begins_without_a_difference(live: Feed) -> None:
    """What was traded between two connections belongs to no push; ``cumulative`` still tells how much it was."""
    read(live, quotes(quote()))
    live.reset()
    (tick,) = read(live, quotes(quote(volume=1300, timestamp=TIME + 3000))).ticks
    assert (tick.volume, tick.turnover, tick.cumulative) == (None, None, 130_000)


def test_a_bad_snapshot_is_a_letter_of_its_own_and_costs_its_neighbours_nothing(live: Feed) -> None:
    """Its bytes alone; the frame is read twice, but entered once, so that differences stay right."""
    read(live, quotes(quote()))
    bad = quote(symbol="nonsense")
    decoded = read(live, quotes(quote(volume=1201, timestamp=TIME + 3000), bad))
    assert [tick.volume for tick in decoded.ticks] == [100]
    (letter,) = decoded.letters
    assert (letter.part, orjson.loads(letter.payload)) == ("tick", bad)


def test_a_price_of_0_is_counted_and_is_no_tick(live: Feed) -> None:
    """Suspended: its zero volume does not spoil the next difference either."""
    read(live, quotes(quote()))
    decoded = read(live, quotes(quote(last_price=0, volume=0, amount=0, timestamp=TIME + 3000)))
    assert (decoded.ticks, decoded.unpriced) == ([], 1)
    assert read(live, quotes(quote(volume=1201, timestamp=TIME + 6000))).ticks[0].volume == 100


@pytest.mark.parametrize(("rule", "turnover"), [("computed", 2961.0), ("none", None)])
def test_turnover_follows_the_rule_of_the_units(rule: Any, turnover: float | None) -> None:
    """Computed from the difference's shares, or none."""
    live = feed("tickflow", units=Units("lots", turnover=rule))
    read(live, quotes(quote()))
    assert read(live, quotes(quote(volume=1203, timestamp=TIME + 3000))).ticks[0].turnover == turnover


@pytest.mark.parametrize(
    ("message", "kind", "codes"),
    [
        ({"op": "subscribed", "symbols": ["600519.SH", "000001.SZ"], "total": 2}, "subscribed", ("600519", "000001")),
        ({"op": "unsubscribed", "symbols": ["600519.SH"], "total": 1}, "other", ("600519",)),
        ({"op": "error", "message": "no permission for channel: depth"}, "refused", None),
        ({"op": "error", "message": "too many symbols for this plan"}, "refused", None),
        ({"op": "error", "message": "invalid api key"}, "unauthorised", None),
        ({"op": "error", "message": "rate limit exceeded"}, "throttled", None),
        ({"op": "error", "message": "connection replaced by another one with this key"}, "kicked", None),
        ({"op": "welcome"}, "other", None),
    ],
)
def test_an_answer_is_told_by_its_operation(live: Feed, message: Any, kind: str, codes: Any) -> None:
    """The acknowledgement is the whole set, to be compared with what is wanted."""
    decoded = read(live, message)
    assert not decoded.letters
    (answer,) = decoded.answers
    assert (answer.kind, answer.codes, answer.whole) == (kind, codes, codes is not None)


@pytest.mark.parametrize("payload", ['{"op":"quotes"}', '{"op":"quotes","data":7}', "[]", '{"data":[]}', '{"op":1}'])
def test_what_is_no_message_is_a_dead_letter(live: Feed, payload: str) -> None:
    """JSON of another shape."""
    assert [letter.part for letter in read(live, payload).letters] == ["frame"]


def test_requests_are_arrays_of_a_hundred(live: Feed) -> None:
    """Channel ``quotes``; the key is ``api_key``."""
    requests = live.subscribe([f"{600_000 + i}" for i in range(250)])
    assert [len(orjson.loads(one)["symbols"]) for one in requests] == [100, 100, 50]
    (end,) = live.unsubscribe(["000001"])
    assert orjson.loads(end) == {"op": "unsubscribe", "channel": "quotes", "symbols": ["000001.SZ"]}
    assert live.address("wss://api.tickflow.org/v1/ws/stream", "key", None).endswith("/stream?api_key=key")
