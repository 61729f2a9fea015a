"""The trading day: which phase an exchange is in at an instant, and since when each phase has the hours it has.

Sources: trading rules of the Shanghai and Shenzhen exchanges (2006, 2012, 2023 and 2026, in force from 2026-07-06),
Shanghai's notice of 2018-08-06 on its closing auction, the STAR (2019) and ChiNext (2020) rules on after-hours trading.
Hours before 2006-07-01 are not sourced: those of 2006 stand in for them.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from functools import lru_cache

from market.calendar import is_trading_day
from market.codes import EXCHANGES, Board
from market.rules import RULES_OF_2026
from market.times import DAY_MS, day_start, shanghai_date


class Phase(StrEnum):
    """What an exchange does with orders."""

    CLOSED = "CLOSED"
    OPENING_AUCTION = "OPENING_AUCTION"
    PRE_OPEN = "PRE_OPEN"  # orders are taken and not matched; the auction's trades have just been printed
    MORNING = "MORNING"
    LUNCH = "LUNCH"
    AFTERNOON = "AFTERNOON"
    CLOSING_AUCTION = "CLOSING_AUCTION"
    AFTER_HOURS = "AFTER_HOURS"  # at the closing price; not in the day's official volume

    @property
    def continuous(self) -> bool:
        """Whether orders are matched as they come."""
        return self in {Phase.MORNING, Phase.AFTERNOON}


@dataclass(frozen=True, slots=True)
class Session:
    """A phase of one day: from ``start`` up to, not including, ``end``, ms since midnight in Shanghai."""

    phase: Phase
    start: int
    end: int


def _at(hour: int, minute: int) -> int:
    return (hour * 60 + minute) * 60_000


_CLOSE = _at(15, 0)
_CLOSING_AUCTION = _at(14, 57)
_MORNING = (
    Session(Phase.OPENING_AUCTION, _at(9, 15), _at(9, 25)),
    Session(Phase.PRE_OPEN, _at(9, 25), _at(9, 30)),
    Session(Phase.MORNING, _at(9, 30), _at(11, 30)),
    Session(Phase.LUNCH, _at(11, 30), _at(13, 0)),
)
_AFTER_HOURS = Session(Phase.AFTER_HOURS, _at(15, 5), _at(15, 30))


@dataclass(frozen=True, slots=True)
class _Since:
    """From when an exchange has a phase for some of its boards."""

    since: date
    exchange: str
    boards: frozenset[Board]


_ALL = frozenset(Board)
_STOCKS = _ALL - {Board.OTHER}

_CLOSING_AUCTIONS = (
    _Since(date.min, "SZSE", _ALL),
    _Since(date(2018, 8, 20), "SSE", _STOCKS),
    _Since(RULES_OF_2026, "SSE", _ALL),  # its funds traded continuously until 15:00
    _Since(date.min, "BSE", _ALL),
)
_FIXED_PRICE = (
    _Since(date(2019, 7, 22), "SSE", frozenset({Board.STAR})),
    _Since(date(2020, 8, 24), "SZSE", frozenset({Board.CHINEXT})),
    # All A shares. Beijing left the start of some of its provisions to a notice of its own, which was not at hand: that
    # this one began there on the same day is what market summaries say.
    *(_Since(RULES_OF_2026, exchange, _STOCKS) for exchange in sorted(EXCHANGES)),
)


def sessions(day: date, exchange: str = "SSE", board: Board = Board.MAIN) -> tuple[Session, ...]:
    """The phases of a day in order; empty on a day without trading. Between and around them the exchange is closed.

    Args:
        day: a Shanghai date.
        exchange: SSE, SZSE or BSE.
        board: of the stock; ``OTHER`` for what is not an A share.

    Raises:
        ValueError: another exchange, whose hours are not known here.
    """
    if exchange not in EXCHANGES:
        raise ValueError(f"the hours of {exchange} are not known here, only those of {', '.join(sorted(EXCHANGES))}")
    return _sessions(day, exchange, board)


def widest_hours(exchange: str) -> tuple[tuple[int, int], ...]:
    """In which times of a trading day any board of an exchange may print, ms since midnight in Shanghai (from, to).

    Each with a minute for prints that come after its end; the whole day where the hours are not known here.
    """
    if exchange not in EXCHANGES:
        return ((0, DAY_MS),)
    late = _at(0, 1)
    return (_at(9, 15), _at(11, 30) + late), (_at(13, 0), _AFTER_HOURS.end + late)


def has_closing_auction(day: date, exchange: str, board: Board) -> bool:
    """Whether the closing price of that day is made by an auction, from 14:57 to 15:00.

    Args:
        day: a Shanghai date, whether there was trading or not.
    """
    return _holds(_CLOSING_AUCTIONS, day, exchange, board)


def phase_at(ms: int, exchange: str = "SSE", board: Board = Board.MAIN) -> Phase:
    """The phase at an exchange time, ms since the epoch.

    A phase ends the instant before the next begins, so the opening print, stamped 09:25:00, falls in ``PRE_OPEN``, and
    the closing print, stamped 15:00:00 to 15:00:03, in ``CLOSED``: feeds push for a while after both.

    Raises:
        ValueError: an exchange whose hours are not known here; a TimeError beyond the year 9999.
    """
    day = shanghai_date(ms)
    since_midnight = (ms - day_start(day)) % DAY_MS
    for session in sessions(day, exchange, board):
        if session.start <= since_midnight < session.end:
            return session.phase
    return Phase.CLOSED


@lru_cache(maxsize=4096)
def _sessions(day: date, exchange: str, board: Board) -> tuple[Session, ...]:
    if not is_trading_day(day):
        return ()
    day_of = list(_MORNING)
    if _holds(_CLOSING_AUCTIONS, day, exchange, board):
        day_of += (
            Session(Phase.AFTERNOON, _at(13, 0), _CLOSING_AUCTION),
            Session(Phase.CLOSING_AUCTION, _CLOSING_AUCTION, _CLOSE),
        )
    else:
        day_of.append(Session(Phase.AFTERNOON, _at(13, 0), _CLOSE))
    if _holds(_FIXED_PRICE, day, exchange, board):
        day_of.append(_AFTER_HOURS)
    return tuple(day_of)


def _holds(rules: tuple[_Since, ...], day: date, exchange: str, board: Board) -> bool:
    return any(rule.exchange == exchange and rule.since <= day and board in rule.boards for rule in rules)
