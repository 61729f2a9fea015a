"""The quality gate: what the trading rules, the watchlist and the clock hold against a tick. No I/O.

Which layer judges what:

- *The decoder* (``producer/feeds/``) refuses what a record of the contract cannot hold, whatever the gate is set to: a
  price that is none (0, negative, text that is not a number), a code that names nothing (or is not an A share, without
  ``--foreign``), a time before 1992 or after 2099. These are dead letters, byte for byte. Any other field that can't be
  read is null, and the tick goes on with ``unread_FIELD`` in its ``quality``, whatever the gate is set to.
- *The gate* judges ticks that were read, on the stream that goes to the topic, so after two lines have become one. By
  setting they pass with their flaws as ``quality``, or go to the dead letters with the flaws as the reason.

The flaws, as ``quality`` names them (a text, comma between several; a reader takes one that it does not know for
unknown, since more may be added):

- ``unknown_code``: not among the codes that were asked for, where a list was; or of a range that the exchange does not
  use any more; or an A share that is not in the list of instruments, where that has all of its exchange;
- ``off_grid``: the price is not a multiple of the tick size. Judged of A and B shares, funds and convertible bonds, in
  1/10,000 yuan, so that the noise of a float is not a flaw;
- ``outside_limits``: the price is outside of the day's limit band. It is that of the list of instruments
  (``ashare.instruments.v1``) where that has the day's; else it needs a previous close of that day, and is judged of A
  shares, and of the funds and convertible bonds that ``--kinds`` names, once a tick of the day has carried one. The
  first days of a listing have no limit: where the list does not have the listing's day, its ticks are marked then;
- ``future``: the time is more than ``FUTURE_MS`` ahead of the receipt. Where the feed has a clock of its own (a
  recording, a simulator; either may run ahead of ours), the time is later than the end of the trading day that follows
  the stream's clock, and is not confirmed: ticks of ``CONFIRMING`` codes, without one in between that is not ahead,
  turn the stream's clock to theirs, forth or back;
- ``stale``: the tick came long after its own time. On the mainland's exchanges: the time is more than
  ``PAST_MS`` behind the receipt, and either more than ``PAST_MS`` of continuous trading have passed since, or nothing
  traded at that time. So what a feed pushes from its cache in the evening, before the opening or over lunch, the last
  session's end, is not stale, and 02:00 at 10:00 is, as of a feed that writes UTC. Elsewhere, whose hours are not known
  here: more than a day. Not judged where the feed has a clock of its own;
- ``backwards``: the time is before that of an earlier tick of the code;
- ``off_session``: the exchange is closed at that time, or it is lunch. Judged where limits are;
  ``GRACE_MS`` are given to prints that a session's end leaves behind;
- ``crossed_book``: the best bid is not below the best ask. Judged in continuous trading, on the mainland's exchanges;
- ``disordered_book``: the levels of a side are not in order, the best first;
- ``day_figures``: the day's highest price is below the tick's, or its lowest above it, and so may be each other's.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import date

from instruments.known import Known
from market.calendar import known_until
from market.codes import EXCHANGES, Board, Kind, UnknownCode, a_share_prefixes, instrument
from market.kinds import DEFAULT, resolve
from market.prices import SCALE, to_e4
from market.rules import tick_size_e4
from market.sessions import Phase, sessions
from market.times import DAY_MS, SHANGHAI_MS, day_start, shanghai_date
from producer.feeds.decoded import FeedTick
from producer.feeds.limits import CODES
from producer.pipeline.book import held_against
from producer.pipeline.judged import Row
from producer.pipeline.stream_clock import StreamClock

UNKNOWN_CODE = "unknown_code"
OFF_GRID = "off_grid"
OUTSIDE_LIMITS = "outside_limits"
FUTURE = "future"
STALE = "stale"
BACKWARDS = "backwards"
OFF_SESSION = "off_session"

FUTURE_MS = 60_000
PAST_MS = 3_600_000
GRACE_MS = 60_000
"""The closing print is stamped up to 3 s after the close, and some vendors stamp the push instead of the trade."""

Flaws = Mapping[int, str]
"""By index of the tick in its frame; what is not in it is well."""

_REVIEW_MS = 3_600_000
_STRETCHES = 256
_LOOKED_BACK = 30
"""Days without trading; no holiday is longer."""
_WITH_GRID = frozenset({Kind.A_SHARE, Kind.B_SHARE, Kind.FUND, Kind.CONVERTIBLE})


class Gate:
    """Judges the ticks of one stream, in its order.

    Attributes:
        quarantine: whether a flawed tick is kept out of the topic; otherwise it passes with its flaws.
        counts: flawed ticks by flaw; one with two flaws counts for both.
    """

    def __init__(
        self,
        *,
        quarantine: bool = False,
        codes: Iterable[str] | None = None,
        clock_of_its_own: bool = False,
        kinds: frozenset[Kind] = DEFAULT,
        known: Known | None = None,
    ) -> None:
        """A gate that has seen nothing yet.

        Args:
            codes: those asked for, ``None`` for a whole market.
            kinds: whose limits and hours are judged, besides those of A shares.
            known: the list of instruments; who changes it calls ``informed``.
            clock_of_its_own: the feed's times are not compared with the local clock, but with the stream's own.
        """
        self.quarantine = quarantine
        self.counts: Counter[str] = Counter()
        self._own = StreamClock() if clock_of_its_own else None
        self._fresh: dict[tuple[str, Board], tuple[int, int]] = {}
        self._rows: dict[str, Row] = {}
        self._kinds = kinds
        self._known = Known() if known is None else known
        self._wanted: frozenset[str] | None = None
        self._stretches: dict[tuple[date, str, Board], tuple[tuple[int, int], ...]] = {}
        self._review_at = 0
        self.expect(codes)
        # The calendar takes a second to load: before there is a socket that waits.
        self._known_until = day_start(known_until()) + DAY_MS

    def expect(self, codes: Iterable[str] | None) -> None:
        """Take a new list of the codes asked for, in any form that ``market.codes.normalise`` reads."""
        self._wanted = None if codes is None else frozenset(map(_canonical, codes))
        self._review_at = 0

    def informed(self, codes: Iterable[str]) -> None:
        """The list of instruments says something else of these codes: their next ticks are judged by it."""
        for code in codes:
            row = self._rows.get(code)
            if row is not None:
                row.inform(self._known.get(code))
        self._review_at = 0

    def judge(  # noqa: C901 - once a tick: a call of its own for each question costs more
        self, ticks: Sequence[FeedTick], received: int
    ) -> tuple[list[Row], Flaws]:
        """The row of each tick, and the flaws of those that have any; ``received`` is µs since the epoch.

        A tick that is well takes a handful of comparisons; whatever they can't decide is judged by every rule.
        """
        now = received // 1000
        if now >= self._review_at:
            self._review(now)
        known, own = self._rows, self._own
        earliest, latest = (now - PAST_MS, now + FUTURE_MS) if own is None else (own.floor, own.ceiling)
        flaws: dict[int, str] = {}
        besides: dict[int, list[str]] = {}
        rows: list[Row] = []
        add = rows.append
        for tick in ticks:
            row = known.get(tick.code)
            if row is None:
                row = self._row(tick.code)
            add(row)
            time = tick.time
            beside = tick.beside
            if beside is not None and (wrong := held_against(beside, tick.price, time, row.exchange, row.board)):
                besides[len(rows) - 1] = wrong
            # A day's first previous close is for the rules to learn from, at whatever price it comes.
            if (
                row.last <= time < row.until
                and earliest <= time <= latest
                and (row.close or tick.previous_close is None)
            ):
                price = tick.price
                if price == row.price:
                    row.last = time
                    continue
                if row.low <= (e4 := round(price * SCALE)) <= row.high and not e4 % row.grid:
                    row.last = time
                    row.price = price
                    continue
            found = self._examine(tick, row, now)
            if found:
                flaws[len(rows) - 1] = ",".join(found)
        if own is not None and own.apart:
            own.judged(len(rows))
        if besides:
            self._add(flaws, besides)
        return rows, flaws

    def _add(self, flaws: dict[int, str], besides: Mapping[int, list[str]]) -> None:
        """Name what is wrong beside a tick behind what is wrong with the tick."""
        for index, wrong in besides.items():
            self.counts.update(wrong)
            flaws[index] = ",".join([flaws[index], *wrong] if index in flaws else wrong)

    def _examine(self, tick: FeedTick, row: Row, now: int) -> list[str]:
        """Judge a tick by every rule, and learn from it what the quick way needs."""
        time = tick.time
        day = (time + SHANGHAI_MS) // DAY_MS
        timed = self._timed(time, row, now)
        believed = FUTURE not in timed and STALE not in timed
        unknown = self._unknown(tick.code, time)
        if believed and day >= row.day:
            if day > row.day:
                row.begin(day, shanghai_date(time))
            if unknown is not row.unknown:
                row.unknown = unknown
                row.bound()
            if tick.previous_close is not None and tick.previous_close != row.close:
                row.learn(tick.previous_close, shanghai_date(time))
        found = [UNKNOWN_CODE] if unknown else []
        found += self._priced(tick.price, row, row.band if day == row.day else None)
        # Which holidays there will be in a wrong year is not known, nor worth a warning.
        beyond = FUTURE in timed and time > self._known_until
        stretch = row.until if beyond else self._stretch(row, time)
        if stretch is None:
            timed.append(OFF_SESSION)
        elif not timed:
            row.until = stretch
        if believed and time > row.last:
            row.last = time
        found += timed
        self.counts.update(found)
        return found

    def _timed(self, time: int, row: Row, now: int) -> list[str]:
        found = []
        if self._own is not None:
            if self._own.ahead(row.code, time, len(self._rows)):
                found.append(FUTURE)
        elif time > now + FUTURE_MS:
            found.append(FUTURE)
        elif time < now - PAST_MS and self._stale(row, time, now):
            found.append(STALE)
        if time < row.last:
            found.append(BACKWARDS)
        return found

    def _stale(self, row: Row, time: int, now: int) -> bool:
        """Whether a time that is more than ``PAST_MS`` behind is not that of the latest trading there was."""
        if row.exchange not in EXCHANGES:
            return time < now - DAY_MS
        if time < self._fresh_since(row, now):
            return True
        day = shanghai_date(time)
        return not any(start <= time < end for start, end in self._stretches_of(day, row.exchange, row.board))

    def _fresh_since(self, row: Row, now: int) -> int:
        """From when on no more than ``PAST_MS`` of continuous trading have passed; looked up once a minute."""
        known = self._fresh.get((row.exchange, row.board))
        if known is not None and known[0] == now // 60_000:
            return known[1]
        left, since, day = PAST_MS, now - _LOOKED_BACK * DAY_MS, shanghai_date(now)
        for _ in range(_LOOKED_BACK):
            midnight = day_start(day)
            open_ = [s for s in sessions(day, row.exchange, row.board) if s.phase.continuous]
            for start, end in [(midnight + s.start, min(midnight + s.end, now)) for s in reversed(open_)]:
                if end - start >= left:
                    self._fresh[row.exchange, row.board] = now // 60_000, end - left
                    return end - left
                left -= max(0, end - start)
            day = date.fromordinal(day.toordinal() - 1)
        return since

    @staticmethod
    def _priced(price: float, row: Row, band: tuple[int, int] | None) -> list[str]:
        found = []
        e4 = to_e4(price)
        if e4 % row.grid:
            found.append(OFF_GRID)
        if band is not None and not band[0] <= e4 <= band[1]:
            found.append(OUTSIDE_LIMITS)
        return found

    def _unknown(self, code: str, time: int) -> bool:
        if self._wanted is not None and code not in self._wanted:
            return True
        try:
            named = instrument(code)
        except UnknownCode:
            return True
        if not named.a_share:
            return False
        listed = self._known.lists(code, named.exchange)
        if listed is not None:
            return not listed
        return not any(code.startswith(r.prefix) for r in a_share_prefixes(shanghai_date(time)))

    def _stretch(self, row: Row, time: int) -> int | None:
        """The end of the stretch of trading that a time is in, ``None`` where there is none."""
        day = shanghai_date(time)
        if not row.judged:
            return day_start(day) + DAY_MS
        stretches = self._stretches_of(day, row.exchange, row.board)
        return max((end for start, end in stretches if start <= time < end), default=None)

    def _stretches_of(self, day: date, exchange: str, board: Board) -> tuple[tuple[int, int], ...]:
        """When an exchange trades on a day, ms since the epoch, each with ``GRACE_MS`` after its end."""
        key = (day, exchange, board)
        stretches = self._stretches.get(key)
        if stretches is None:
            if len(self._stretches) >= _STRETCHES:
                self._stretches.clear()
            midnight = day_start(day)
            open_ = [s for s in sessions(day, exchange, board) if s.phase not in {Phase.CLOSED, Phase.LUNCH}]
            stretches = tuple((midnight + s.start, midnight + s.end + GRACE_MS) for s in open_)
            self._stretches[key] = stretches
        return stretches

    def _row(self, code: str) -> Row:
        if len(self._rows) >= CODES:
            self._rows.clear()
        try:
            named = instrument(code)
        except UnknownCode:
            named = None
        grid = tick_size_e4(code) if named and named.kind in _WITH_GRID else 1
        row = self._rows[code] = Row(code, named, grid, self._kinds, self._known.get(code))
        return row

    def _review(self, now: int) -> None:
        """Let each code's next tick be judged by every rule, now and then: what was recent has become long past."""
        self._review_at = now + _REVIEW_MS
        for row in self._rows.values():
            row.until = 0


def _canonical(code: str) -> str:
    try:
        return resolve(code.strip())
    except UnknownCode:
        return code.strip()
