"""Every setting is honoured or refused by every feed: none is taken and does nothing."""

from __future__ import annotations

from typing import Any

import pytest

from producer.feeds import feeds, provider
from producer.feeds.provider import Feed
from producer.options import ProducerOptions, plan
from schemas import UsageError
from tests.producer.feeds.genuine import TIME
from tests.producer.feeds.pushes import CODES, FIELDS, NAMES, decode, frame, tick, traded

SYMBOLS = {"massive": "AAPL.US", "binance": "BTCUSDT.BINANCE"}


def planned(name: str, **settings: Any) -> Feed:
    """The feed of a producer with these settings.

    Raises:
        UsageError: the feed refuses one.
    """
    options = ProducerOptions("127.0.0.1:9092", feed=name, symbols=SYMBOLS.get(name, "688981"), **settings)
    return plan(options).feeds[0].endpoint().feed


def carried(name: str, *fields: str) -> dict[str, Any]:
    """3 units of volume and 5,000 yuan, as far as the feed carries them."""
    values = {"volume": 3, "turnover": 5_000.0}
    return {field: values[field] for field in fields if field in FIELDS[name]}


def refused(name: str, said: str, **settings: Any) -> None:
    with pytest.raises(UsageError, match=said):
        planned(name, **settings)


def test_the_table_has_every_feed() -> None:
    """A new one has to be entered."""
    assert set(NAMES) == set(feeds()) == set(FIELDS)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("unit", ["shares", "lots", "lots,STAR=shares", "shares,STAR=lots"])
def test_volume_unit(name: str, unit: str) -> None:
    """3 lots are 300 shares, on the boards that are named and on all others."""
    able = provider(name).capabilities
    if "volume" not in able.carries or ("=" in unit and able.abroad):
        refused(name, "--volume-unit", volume_unit=unit)
        return
    lots = unit in {"lots", "shares,STAR=lots"}
    assert traded(planned(name, volume_unit=unit), name, volume=3).volume == (300 if lots else 3)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("rule", ["carried", "computed", "none"])
def test_turnover(name: str, rule: str) -> None:
    """As the feed gives it, price × shares, or none."""
    able = provider(name).capabilities
    needed = {"carried": "turnover", "computed": "volume", "none": None}[rule]
    if needed is not None and needed not in able.carries:
        refused(name, "--turnover", turnover=rule)
        return
    one = traded(planned(name, turnover=rule), name, price=2.5, **carried(name, "volume", "turnover"))
    shares = 3 * (100 if able.units.volume == "lots" else 1)
    assert one.turnover == {"carried": 5_000, "computed": 2.5 * shares, "none": None}[rule]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(("unit", "per_second"), [("s", 1), ("ms", 1_000), ("us", 10**6), ("ns", 10**9)])
def test_time_unit(name: str, unit: str, per_second: int) -> None:
    """A number is read in the unit that is given, and in no other: one of another unit is a dead letter with a hint."""
    seconds = TIME // 1_000
    live = planned(name, time_unit=unit)
    assert traded(live, name, time=seconds * per_second).time == seconds * 1_000
    for other in {1, 1_000, 10**6, 10**9} - {per_second}:
        decoded = decode(live, name, frame(name, tick(name, time=seconds * other)))
        assert not decoded.ticks
        assert f"without --time-unit {unit} it is 2026-11-20 09:30:01" in decoded.letters[0].reason
    assert traded(planned(name, time_unit="auto"), name, time=seconds * per_second).time == seconds * 1_000


@pytest.mark.parametrize("name", NAMES)
def test_trades_only(name: str) -> None:
    """Told by the volume: refused where there is none."""
    if "volume" in provider(name).capabilities.carries:
        assert traded(planned(name, trades_only=True), name, volume=0).volume == 0
    else:
        refused(name, "--trades-only", trades_only=True)


@pytest.mark.parametrize("name", NAMES)
def test_foreign(name: str) -> None:
    """An index passes with it alone; feeds of other markets let their own through by their name."""
    if name in CODES:
        assert traded(planned(name), name).code == SYMBOLS[name]
        return
    payload = frame(name, tick(name, code="000001.SH"))
    assert not decode(planned(name), name, payload).ticks
    assert [one.code for one in decode(planned(name, foreign=True), name, payload).ticks] == ["000001.SSE"]


@pytest.mark.parametrize("name", NAMES)
def test_token(name: str, caplog: pytest.LogCaptureFixture) -> None:
    """It goes where the provider wants it; one that wants none gets none, which is said."""
    live = planned(name, token="s3cret")
    sent = [live.address("ws://host", "s3cret", ["688981"]), str(live.headers("s3cret")), str(live.greeting("s3cret"))]
    wanted = provider(name).capabilities.login != "none"
    assert ("s3cret" in "".join(sent)) is wanted
    assert ("takes none, and gets none" in caplog.text) is not wanted
    assert "s3cret" not in caplog.text


@pytest.mark.parametrize("name", NAMES)
def test_heartbeats(name: str) -> None:
    """A message of one's own needs a heartbeat to go with, the provider's or ours."""
    planned(name, heartbeat_message="ping")
    if provider(name).capabilities.heartbeat_seconds:
        planned(name, heartbeat_message="ping", heartbeat=0.0)
    else:
        refused(name, "--heartbeat-message", heartbeat_message="ping", heartbeat=0.0)


@pytest.mark.parametrize("name", NAMES)
def test_second_token(name: str, caplog: pytest.LogCaptureFixture) -> None:
    """Without a second feed it is said to go nowhere."""
    planned(name, second_token="t")
    assert "no second feed, so it is not used" in caplog.text


@pytest.mark.parametrize("name", [name for name in NAMES if name not in CODES])
@pytest.mark.parametrize("written", ["688981.SH", "SH688981", "sh688981", "688981.XSHG", "SH.688981", "688981$SH"])
def test_one_reader_of_codes(name: str, written: str) -> None:
    """Every form that vendors use is read by every feed, and asked for by every feed."""
    assert traded(planned(name), name, code=written).code == "688981"
    options = ProducerOptions("127.0.0.1:9092", feed=name, symbols=written)
    assert plan(options).codes == ["688981"]
