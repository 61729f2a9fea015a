"""What the providers have in common that push a code's day so far: a tick's volume is the difference of two pushes."""

from __future__ import annotations

from producer.feeds.decoded import Decoded, FeedTick
from producer.feeds.json_feed import JsonFeed
from producer.feeds.provider import Options
from producer.feeds.recognised import Differences


class SnapshotFeed(JsonFeed):
    """A ``JsonFeed`` of snapshots."""

    def __init__(self, options: Options) -> None:
        """See ``Feed``."""
        super().__init__(options)
        self._differences = Differences()

    def reset(self) -> None:
        """Forget the last connection."""
        super().reset()
        self._differences.forget()

    def enter(self, snapshot: FeedTick | None, decoded: Decoded) -> None:
        """Put the tick that a snapshot is into the result, or count it as what it is instead.

        Args:
            snapshot: with the day's shares so far as ``cumulative`` and its yuan as ``turnover``; ``None`` for one
                without a price.
        """
        if snapshot is None:
            decoded.unpriced += 1
            return
        code, price, time, cumulative = snapshot.code, snapshot.price, snapshot.time, snapshot.cumulative
        traded = self._differences.take(code, time, cumulative, snapshot.turnover)
        if traded is None:
            decoded.repeats += 1
            return
        volume, yuan = traded
        turnover = self.turnover(yuan, price, volume)
        before = snapshot.previous_close
        decoded.ticks.append(
            FeedTick(code, snapshot.exchange, price, time, volume, turnover, None, None, before, cumulative)
        )
