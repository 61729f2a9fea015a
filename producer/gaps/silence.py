"""When silence means that ticks are missing: in trading hours, and never for a single code.

Lunch, night, holidays and the auctions without trades are quiet; 09:31 is not, nor is trading after hours. What counts
here is ticks: that the connection itself is alive is shown by any frame, and judged by the heartbeat.

Nothing here does I/O. ``now`` is in seconds that only rise, ``wall`` in ms since the epoch.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from market.codes import EXCHANGES, Board, UnknownCode, instrument
from market.sessions import Phase, sessions
from market.times import DAY_MS, day_start, shanghai_date
from producer.feeds.decoded import FeedTick
from producer.feeds.limits import CODES
from producer.gaps.market_clock import MarketClock

PATIENCE = 10.0
"""Seconds without a tick of the whole market, or of so many codes that some of them always trade."""
MANY = 100
"""So many codes are as good as the market; fewer are given more time in proportion."""
AFTER_HOURS_PATIENCE = 120.0
"""At the closing price some stocks trade now and then."""
BOARD_PATIENCE = 30.0
LONGEST = 300.0
"""Patience doubles while silence goes on after a reconnection, up to this."""

_LOUD = {Phase.MORNING: PATIENCE, Phase.AFTERNOON: PATIENCE, Phase.AFTER_HOURS: AFTER_HOURS_PATIENCE}
_CONTINUOUS = (Phase.MORNING, Phase.AFTERNOON)
_WINDOW = 60
_FLOW = 4
"""Seconds with ticks, nearly one after the other: that is a flow."""


def loud_since(ms: int, exchange: str = "SSE", board: Board = Board.MAIN) -> tuple[float, Phase] | None:
    """How many seconds ago trading began that makes a whole market's silence suspicious, and its phase.

    ``None`` while nothing need come: no trading day, lunch, an auction, before and after.
    """
    day = shanghai_date(ms)
    since_midnight = (ms - day_start(day)) % DAY_MS
    for session in sessions(day, exchange, board):
        if session.start <= since_midnight < session.end and session.phase in _LOUD:
            return (since_midnight - session.start) / 1000, session.phase
    return None


def until_trading(ms: int) -> float:
    """Seconds until ticks can come on the day of an exchange time, auctions included: 0 where they can, else infinite.

    During lunch it is the time to its end.
    """
    try:
        day = shanghai_date(ms)
        since_midnight = (ms - day_start(day)) % DAY_MS
        waits = [
            max(0, session.start - since_midnight) / 1000
            for session in sessions(day)
            if session.phase is not Phase.LUNCH and session.end > since_midnight
        ]
    except ValueError:
        return math.inf
    return min(waits, default=math.inf)


def trading_stretch(ms: int) -> tuple[str, Phase] | None:
    """The day and phase of continuous trading that an exchange time lies in, ``None`` outside of it."""
    day = shanghai_date(ms)
    since_midnight = (ms - day_start(day)) % DAY_MS
    for session in sessions(day):
        if session.start <= since_midnight < session.end and session.phase in _CONTINUOUS:
            return day.isoformat(), session.phase
    return None


@dataclass(frozen=True)
class Silent:
    """Ticks should have come and did not, for so many seconds; ``board`` where it is one of several."""

    seconds: float
    board: Board | None = None

    def __str__(self) -> str:
        what = "any code" if self.board is None else f"the board {self.board.value}"
        return f"no tick of {what} for {self.seconds:.0f} s of trading"


class Silence:
    """Watches one line. ``heard`` takes what came, ``verdict`` says whether too long nothing did."""

    def __init__(self, codes: int | None, *, now: float, abroad: bool = False) -> None:
        """Watch from ``now`` on.

        Args:
            codes: how many are subscribed, ``None`` for the whole market.
            abroad: the markets are others than the mainland's; ticks show it as well.
        """
        self.clock = MarketClock()
        self._patience_of = 0.0
        self._last = now
        self._clocked = now - 1.0
        self._doublings = 0
        self._abroad = abroad
        self._seconds: deque[int] = deque(maxlen=_FLOW)
        self._boards = _Boards(now)
        self.subscribed(codes, now)

    def subscribed(self, codes: int | None, now: float) -> None:
        """So many codes are subscribed from now on; begin to wait anew."""
        if codes is None or codes >= MANY:
            self._patience_of = 1.0
        else:
            self._patience_of = MANY / codes if codes > 1 else 0.0
        self._last = now
        self._boards.subscribed(now)

    def gave_up(self) -> None:
        """The connection was ended for its silence: be more patient with the next, until it delivers."""
        self._doublings = min(self._doublings + 1, 16)

    def heard(self, ticks: Sequence[FeedTick], wall: int, now: float) -> None:
        """Ticks of one frame."""
        self._doublings = 0
        self._last = now
        if not self._seconds or int(now) != self._seconds[-1]:
            self._seconds.append(int(now))
        if now - self._clocked >= 0.5:
            self._clocked = now
            self.clock.heard(ticks[-1].time, wall, now)
            self._abroad = ticks[-1].exchange not in EXCHANGES
        self._boards.heard(ticks, now)

    def verdict(self, wall: int, now: float) -> Silent | None:
        """Whether ticks are missing, by their absence; ``None`` where all is well, or nothing need come."""
        if self._abroad:
            return self._verdict_abroad(now)
        market = self.clock.at(wall)
        try:
            loud = loud_since(market)
        except ValueError:
            return None
        self._boards.tick(now)
        if loud is None or not self._patience_of:
            return None
        began, phase = loud
        if phase is Phase.AFTER_HOURS and self._doublings:
            return None  # many feeds end with the close; one attempt shows
        patience = _LOUD[phase]
        silent = min(now - self._last, began)
        patience = min(patience * self._patience_of * 2.0**self._doublings, max(LONGEST, patience * self._patience_of))
        if silent >= patience:
            return Silent(silent)
        return self._board_verdict(market, began, now)

    def _verdict_abroad(self, now: float) -> Silent | None:
        """Of exchanges whose hours are not known here: what flowed second by second and stops is silent.

        A market that has closed does that too: after some attempts in vain it is taken for closed.
        """
        flowed = len(self._seconds) == _FLOW and self._seconds[-1] - self._seconds[0] <= _FLOW * 1.5
        patience = PATIENCE * self._patience_of * 2.0**self._doublings
        silent = now - self._last
        if not flowed or not patience or patience > LONGEST or silent < patience:
            return None
        return Silent(silent)

    def _board_verdict(self, market: int, began: float, now: float) -> Silent | None:
        if trading_stretch(market) is None:
            return None
        for board, silent in self._boards.silent(now):
            if min(silent, began) >= BOARD_PATIENCE * 2.0**self._doublings:
                return Silent(min(silent, began), board)
        return None


class _Boards:
    """Which boards are heard, second by second. Only a board that is heard in most seconds can fall silent.

    The codes of a second's first frames are looked at, and those of all its frames while some board is missing.
    """

    def __init__(self, now: float) -> None:
        self._of: dict[str, Board] = {}
        self._last: dict[Board, float] = {}
        self._seconds: dict[Board, deque[float]] = {}
        self._due: set[Board] = set()
        self._until = now

    def subscribed(self, now: float) -> None:
        self._last.clear()
        self._seconds.clear()
        self._due.clear()
        self._until = now

    def heard(self, ticks: Iterable[FeedTick], now: float) -> None:
        if now >= self._until:
            self._until = now + 1.0
            self._due = set(self._last) or set(Board)
        elif not self._due:
            return
        boards = self._of
        for tick in ticks:
            board = boards.get(tick.code)
            if board is None:
                board = self._board(tick.code)
            if board in self._due or board not in self._last:
                self._due.discard(board)
                self._last[board] = now
                heard = self._seconds.setdefault(board, deque(maxlen=_WINDOW))
                if not heard or now - heard[-1] >= 0.9:
                    heard.append(now)
                if not self._due:
                    return

    def tick(self, now: float) -> None:
        for heard in self._seconds.values():
            while heard and now - heard[0] > 2 * _WINDOW:
                heard.popleft()

    def silent(self, now: float) -> Iterable[tuple[Board, float]]:
        """Boards that were heard in most seconds of a minute, and for how long they have not been."""
        for board, last in self._last.items():
            heard = self._seconds[board]
            often = sum(1 for at in heard if last - at <= _WINDOW)
            if board is not Board.OTHER and often >= _WINDOW // 2 and now - last >= BOARD_PATIENCE:
                yield board, now - last

    def _board(self, code: str) -> Board:
        if len(self._of) >= CODES:
            self._of.clear()
        try:
            board = instrument(code).board
        except UnknownCode:
            board = Board.OTHER
        self._of[code] = board
        return board
