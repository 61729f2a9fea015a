"""What the providers have in common that push a code's day so far: a tick's volume is the difference of two pushes."""

from __future__ import annotations

from producer.feeds.cumulative import Differences
from producer.feeds.decoded import Beside, Decoded, FeedTick
from producer.feeds.errors import UnreadableError
from producer.feeds.json_feed import JsonFeed
from producer.feeds.optional import with_unread
from producer.feeds.provider import Options
from producer.feeds.values import read_turnover


class SnapshotFeed(JsonFeed):
    """A ``JsonFeed`` of snapshots, whose ``volume`` and ``turnover`` are the day's until they are entered.

    The day's own go on beside the tick, as they came.
    """

    def __init__(self, options: Options) -> None:
        """See ``Feed``."""
        super().__init__(options)
        self._differences = Differences(options.clock())

    def reset(self) -> None:
        """Forget the last connection."""
        super().reset()
        self._differences = Differences(self._options.clock())

    def turnover(self, price: float, shares: float | None, given: float | str | None) -> float | None:  # noqa: ARG002 - the day's needs neither
        """The day's turnover so far, in yuan.

        Raises:
            UnreadableError: what was given is not one.
        """
        return None if given is None else read_turnover(given)

    def enter(self, tick: FeedTick | None, decoded: Decoded, received: int) -> None:
        """Put what was traded since the push before into the result, or count the push as what it is instead."""
        if tick is None:
            decoded.unpriced += 1
            return
        code, price, time, cumulative = tick.code, tick.price, tick.time, tick.volume
        traded = self._differences.take(code, time, cumulative, tick.turnover, received)
        if traded is None:
            decoded.repeats += 1
            return
        volume, yuan = traded
        unread = tick.unread
        try:
            amount = JsonFeed.turnover(self, price, volume, yuan)
        except UnreadableError:
            amount, unread, self._counted = None, with_unread(unread, "turnover"), False
        day = tick.turnover if self._rule == "carried" else None
        beside = tick.beside
        if beside is not None:
            beside = Beside(
                beside.bids, beside.asks, beside.day_open, beside.day_high, beside.day_low, cumulative, day,
                beside.average,
            )  # fmt: skip
        elif cumulative is not None or day is not None:
            beside = Beside(day_volume=cumulative, day_turnover=day)
        decoded.ticks.append(
            FeedTick(
                code, tick.exchange, price, time, volume, amount, None, None, tick.previous_close, cumulative, unread,
                beside,
            )
        )  # fmt: skip
