"""The book and the day's figures: what each feed carries of them, in the contract's units, and strange ones."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from producer.feeds import feeds, provider
from producer.feeds.beside import BESIDE, LEVELS
from producer.feeds.decoded import Beside, FeedTick
from producer.feeds.provider import Units
from producer.pipeline.numbering import Numbering
from schemas import Level, Tick
from schemas.bounds import MAX_QUALITY
from tests.producer.feeds.genuine import RECEIVED, TIME, feed
from tests.producer.feeds.pushes import NAMES, decode, frame, tick

XTICK = {
    "bidPrice": [9.86, 9.85, 9.84, 9.83, 9.82],
    "bidVol": [1, 2, 3, 4, 5],
    "askPrice": [9.87, 9.88, 9.89, 9.9, 9.91],
    "askVol": [6, 7, 8, 9, 10],
}
POST: dict[str, Any] = {
    "bids": [[9.86, 100], [9.85, 200], [9.84, 300], [9.83, 400], [9.82, 500]],
    "asks": [[9.87, 600], [9.88, 700], [9.89, 800], [9.9, 900], [9.91, 1000]],
    "open": 9.8,
    "high": 9.9,
    "low": 9.7,
    "day_volume": 120_000,
    "day_turnover": 1_184_400.0,
    "average": 9.87,
}
MORE: dict[str, dict[str, Any]] = {"post": POST, "xtick": XTICK}
FULL = Beside(
    [Level(9.86, 100), Level(9.85, 200), Level(9.84, 300), Level(9.83, 400), Level(9.82, 500)],
    [Level(9.87, 600), Level(9.88, 700), Level(9.89, 800), Level(9.9, 900), Level(9.91, 1000)],
    9.8,
    9.9,
    9.7,
    120_000,
    1_184_400.0,
    9.87,
)
"""What every feed's push says, as far as it carries it."""


def one(name: str, options: dict[str, Any] | None = None, /, **more: Any) -> FeedTick:
    """The tick of a push with these fields more, in the provider's own words."""
    found: FeedTick
    (found,) = decode(feed(name, **(options or {})), name, frame(name, tick(name) | more)).ticks
    return found


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("field", BESIDE)
def test_a_feed_gives_what_it_says_that_it_carries(name: str, field: str) -> None:
    """Field by field; and what it does not carry is null."""
    beside = one(name, **MORE.get(name, {})).beside
    carried = field in provider(name).capabilities.carries
    assert getattr(beside or Beside(), field) == (getattr(FULL, field) if carried else None)


@pytest.mark.parametrize("name", [name for name in NAMES if not set(BESIDE) & set(provider(name).capabilities.carries)])
def test_a_feed_that_carries_none_costs_nothing(name: str) -> None:
    """Its ticks have nothing beside them, whatever stands in a push, and are written without the fields."""
    found = one(name, **POST)
    assert found.beside is None
    assert found.unread is None
    assert b"bids" not in Numbering("line", 1).stamp([found], RECEIVED)[0]


def test_a_post_without_any_of_it_has_nothing_beside_it() -> None:
    """Also behind frames that had, and in a frame with one that has."""
    live = feed("post")
    for _ in range(3):
        (bare,) = decode(live, "post", frame("post", tick("post"))).ticks
        assert bare.beside is None
        first, second = decode(live, "post", frame("post", tick("post") | POST, tick("post"))).ticks
        assert (first.beside, second.beside) == (FULL, None)


@pytest.mark.parametrize(
    "written",
    [
        POST,
        POST | {side: [{"price": p, "volume": v} for p, v in POST[side]] for side in ("bids", "asks")},
        {key: [[str(p), str(v)] for p, v in of] if isinstance(of, list) else str(of) for key, of in POST.items()},
        POST | {"bids": [[0, 0], *POST["bids"], [9.81, 7], [9.8, 8]]},
        POST | {"asks": [*POST["asks"], [0, 0], [None, 5]]},
    ],
    ids=["pairs", "objects", "texts", "more levels", "levels that are not there"],
)
def test_every_way_of_writing_a_book_is_read(written: dict[str, Any]) -> None:
    """Best first, five levels at most; one of price 0 or null is none."""
    assert one("post", **written).beside == FULL


@pytest.mark.parametrize("name", ["post", "xtick"])
def test_an_empty_side_is_an_empty_list(name: str) -> None:
    """Nobody sells at the upper limit. What is not there at all is null."""
    empty: dict[str, Any] = {"asks": []} if name == "post" else {"askPrice": [0] * 5, "askVol": [0] * 5}
    beside = one(name, **MORE[name] | empty).beside
    assert beside is not None
    assert (beside.asks, len(beside.bids or ())) == ([], LEVELS)
    gone = one(name, **MORE[name] | dict.fromkeys(empty)).beside
    assert gone is not None
    assert gone.asks is None


@pytest.mark.parametrize(
    "level", [["x", 1], [9.87, -1], [9.87], [9.87, None], [], 7, "a", [True, 1], [1e300, 1], [{}, []]]
)
def test_a_level_that_cannot_be_read_costs_its_side_alone(level: Any) -> None:
    """The tick, the other side and the figures stay; the side is named."""
    live = feed("post")
    decoded = decode(live, "post", frame("post", tick("post") | POST | {"bids": [level]}))
    (found,) = decoded.ticks
    assert found.beside == msgspec.structs.replace(FULL, bids=None)
    assert found.unread == "unread_bids"
    assert live.guard.unread == {"bids": 1}


@pytest.mark.parametrize("value", ["x", -1, [], {}, True, 1e300])
@pytest.mark.parametrize("field", [key for key in POST if key not in {"bids", "asks"}])
def test_a_figure_that_cannot_be_read_costs_itself_alone(field: str, value: Any) -> None:
    """By the name that it has in the record."""
    named = {"open": "day_open", "high": "day_high", "low": "day_low"}.get(field, field)
    found = one("post", **POST | {field: value})
    assert found.unread == f"unread_{named}"
    assert found.beside == msgspec.structs.replace(FULL, **{named: None})


@pytest.mark.parametrize("value", ["x", [9.87], [[]] * 5, {"a": 1}, ["x"] * 5, 7])
def test_xticks_sides_are_two_arrays_of_one_length(value: Any) -> None:
    """Of anything else the side is null; its neighbours in the packet stay as they are."""
    found = one("xtick", **XTICK | {"askPrice": value})
    assert found.unread == "unread_asks"
    assert found.beside is not None
    assert found.beside.bids == FULL.bids


def test_a_strange_field_of_the_trade_costs_no_book() -> None:
    """Both are read leniently, and named in the order of the record."""
    strange: dict[str, Any] = {"amount": [], "askVol": ["?"] * 5}
    found = one("xtick", **XTICK | strange)
    assert found.unread == "unread_turnover,unread_asks"
    assert found.beside == msgspec.structs.replace(FULL, asks=None, day_turnover=None, average=None)


@pytest.mark.parametrize(
    ("name", "unit", "factor"), [("post", "lots", 100), ("xtick", "shares", 1), ("post", "shares", 1)]
)
def test_the_unit_of_volumes_holds_for_the_book(name: str, unit: Any, factor: int) -> None:
    """And for the day's volume."""
    beside = one(name, {"units": Units(volume=unit)}, **MORE[name]).beside
    assert beside is not None
    assert beside.asks is not None
    assert beside.asks[0].volume == (600 if name == "post" else 6) * factor
    assert beside.day_volume == (120_000 if name == "post" else 1_200) * factor


def test_a_turnover_that_is_not_the_feeds_own_is_not_the_days() -> None:
    """Where the settings say that the feed's figure is something else."""
    for rule in ("computed", "none"):
        beside = one("tickflow", {"units": Units(volume="lots", turnover=rule)}).beside
        assert beside == Beside(day_volume=120_000)


def test_every_name_of_the_record_is_known() -> None:
    """The fields of ``Beside`` are those of the contract's tick, in its order."""
    assert Beside.__struct_fields__ == BESIDE == Tick.__struct_fields__[-len(BESIDE) :]
    carried = {field for row in feeds().values() for field in row.capabilities.carries}
    assert carried <= set(Tick.__struct_fields__)


def test_the_longest_quality_is_within_the_contract() -> None:
    """All that can be unread at once, and all that the gate can then still find."""
    strange = dict.fromkeys((*POST, "volume", "turnover", "side", "seq", "previous_close"), "?")
    found = one("post", **strange)
    gate = "unknown_code,off_grid,outside_limits,future,backwards,off_session"
    (value,) = Numbering("line", 1).stamp([found], TIME * 1000, {0: gate})
    quality = msgspec.json.decode(value, type=Tick).quality
    assert quality is not None
    assert len(quality) <= MAX_QUALITY
    assert quality.startswith(gate)
    assert set(quality.removeprefix(gate).strip(",").split(",")) <= set((found.unread or "").split(","))
