"""Whatever codes a server invents, the tables by code stay bounded, and an A share loses nothing to them."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from typing import Any

import orjson
import pytest

from market.codes import A_SHARE_RANGES
from producer.feeds import binance, itick, limits
from producer.feeds.codes import Listings
from producer.feeds.cumulative import Differences
from producer.feeds.decoded import FeedTick, Frame
from producer.feeds.errors import UnreadableError
from producer.feeds.post import PostFeed
from producer.feeds.provider import Options, Units
from producer.feeds.repeats import SequenceNumbers
from producer.gaps.market_clock import MarketClock
from producer.gaps.sequence import PacketNumbers
from producer.gaps.silence import Silence
from producer.gaps.volume import CumulativeVolumes
from producer.line.readability import Readability
from producer.pipeline.arbitration import Arbiter
from producer.pipeline.matching import Matching
from producer.pipeline.quality import Gate

FEW = 1_000
TIME = 1_795_138_200_000
RECEIVED = TIME * 1_000
A_SHARE = "600519"


def invented(count: int) -> Iterator[str]:
    """Codes that nobody has."""
    return (f"X{n:06}.US" for n in range(count))


def largest(root: Any) -> int:
    """The size of the largest container that an object of the producer's holds."""
    seen, waiting, most = set(), [root], 0
    while waiting:
        one = waiting.pop()
        if id(one) in seen:
            continue
        seen.add(id(one))
        if isinstance(one, dict | list | set | deque | tuple):
            most = max(most, len(one))
            some = [*one.values(), *one] if isinstance(one, dict) else one
            waiting += list(some)[:1_000]
        elif type(one).__module__.startswith("producer"):
            names = [*getattr(one, "__dict__", ()), *getattr(one, "__slots__", ())]
            waiting += [getattr(one, name) for name in names if hasattr(one, name)]
    return most


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> int:
    """A bound that is reached soon."""
    monkeypatch.setattr("producer.feeds.codes.FOREIGN_CODES", FEW)
    return FEW


def test_a_line_has_room_for_so_many_foreign_codes_and_for_every_a_share(few: int) -> None:
    """A tick of one beyond is refused in words; codes that were there go on, and A shares come whatever there is."""
    listings, refused = Listings(Units(), foreign=True), []
    for code in invented(2 * few):
        try:
            listings.find(code)
        except UnreadableError as error:
            refused.append(str(error))
    assert len(refused) == few
    assert refused[0] == f"code: beyond the 32,768 codes of one line that are not A shares: X{few:06}.US"
    for code in ("X000000.US", A_SHARE, "000001", "920819"):
        assert listings.find(code).code == code
    with pytest.raises(UnreadableError, match="beyond"):
        listings.find("AAPL.US")
    shares = sum(10 ** (6 - len(one.prefix)) for one in A_SHARE_RANGES)
    assert shares + limits.FOREIGN_CODES < limits.CODES


def test_what_is_beyond_is_counted_and_told_in_events_and_log(few: int, caplog: pytest.LogCaptureFixture) -> None:
    """Its ticks are dead letters, and the others of the frame go on."""
    live = PostFeed(Options(foreign=True))
    guard = live.guard
    readability = Readability(guard, MarketClock())
    ticks = letters = 0
    codes = [*invented(few + 50), A_SHARE]
    for start in range(0, len(codes), 50):
        pushed = [{"code": code, "price": 10.0, "time": TIME, "volume": 100} for code in codes[start : start + 50]]
        payload = orjson.dumps({"ticks": pushed})
        decoded = live.decode(Frame(payload, binary=False, received=RECEIVED + start))
        ticks, letters = ticks + len(decoded.ticks), letters + len(decoded.letters)
    assert (ticks, letters, guard.beyond) == (few + 1, 50, 50)
    assert [finding.count for finding in readability.look(1_000.0) if finding.kind == "limited"] == [50]
    assert "codes that are not A shares: ticks of those beyond 32,768 of a line are dead letters: 50" in caplog.text


@pytest.mark.parametrize("kind", [itick.ITickFeed, binance.BinanceFeed])
def test_feeds_of_every_kind_ask_one_reader_of_codes(kind: Any, few: int) -> None:
    """Those whose codes carry an exchange, and those of one exchange alone."""
    feed = kind(Options(foreign=True))
    feed._listings._foreign_codes.update(invented(few))
    with pytest.raises(UnreadableError, match="beyond"):
        feed._listings.find("AAPL.US")


def test_no_table_by_code_grows_past_its_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    """The gate, the arbiter, what follows volumes and numbers, and what hears boards: with codes that passed anyway."""
    for module in (
        "pipeline.quality",
        "pipeline.arbitration",
        "gaps.volume",
        "gaps.silence",
        "feeds.cumulative",
        "feeds.repeats",
    ):
        monkeypatch.setattr(f"producer.{module}.CODES", FEW)
    monkeypatch.setattr("producer.gaps.sequence._GROUPS", FEW)
    gate, arbiter, volumes = Gate(), Arbiter(2, Matching(), limit=FEW), CumulativeVolumes()
    numbers, differences, silence = SequenceNumbers(), Differences(0), Silence(None, now=0.0)
    packets = PacketNumbers()
    for n, code in enumerate(invented(10 * FEW)):
        tick = FeedTick(code, "US", 10.0, TIME, 100, cumulative=100.0)
        for line in (0, 1):
            arbiter.admit(line, [tick], RECEIVED + n)
        gate.judge([tick], RECEIVED + n)
        volumes.came([tick], RECEIVED + n)
        numbers.repeats(code, n, TIME)
        differences.take(code, TIME, 1.0, None, RECEIVED)
        silence._boards._board(code)
        packets.came(n, RECEIVED, code)
    for table in (gate, arbiter, volumes, numbers, differences, silence, packets):
        assert FEW // 2 < largest(table) <= 3 * FEW, type(table).__name__
