"""What the providers have in common that push a code's day so far: a tick's volume is the difference of two pushes."""

from __future__ import annotations

from producer.feeds.cumulative import Differences
from producer.feeds.decoded import Decoded, FeedTick
from producer.feeds.json_feed import JsonFeed
from producer.feeds.provider import Options
from producer.feeds.values import RefusedError


class SnapshotFeed(JsonFeed):
    """A ``JsonFeed`` of snapshots."""

    def __init__(self, options: Options) -> None:
        """See ``Feed``."""
        super().__init__(options)
        self._differences = Differences(options.clock())

    def reset(self) -> None:
        """Forget the last connection."""
        super().reset()
        self._differences = Differences(self._options.clock())

    def enter(self, snapshot: FeedTick | None, decoded: Decoded, received: int) -> None:
        """Put the tick that a snapshot is into the result, or count it as what it is instead.

        Args:
            snapshot: with the day's shares so far as ``cumulative`` and its yuan as ``turnover``; ``None`` for one
                without a price.
            received: µs since the epoch.
        """
        if snapshot is None:
            decoded.unpriced += 1
            return
        code, price, time, cumulative = snapshot.code, snapshot.price, snapshot.time, snapshot.cumulative
        traded = self._differences.take(code, time, cumulative, snapshot.turnover, received)
        if traded is None:
            decoded.repeats += 1
            return
        volume, yuan = traded
        before, unread = snapshot.previous_close, snapshot.unread
        try:
            turnover = self.turnover(yuan, price, volume)
        except RefusedError:
            turnover, unread = None, "unread_turnover" if unread is None else f"{unread},unread_turnover"
            self.attend = True
        decoded.ticks.append(
            FeedTick(code, snapshot.exchange, price, time, volume, turnover, None, None, before, cumulative, unread)
        )
