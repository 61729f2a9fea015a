"""The daily limits of every kind of instrument: those of A shares are in ``market.rules``, the others' here.

Sources: the trading rules of both exchanges (2023, 2026-04-24) for funds; the notices that let funds of the STAR (2020)
and ChiNext boards (2020-08-24) move by 20 %; the exchanges' rules on trading convertible bonds, in force from
2022-08-01; the REITs' rules of 2021. Prices are integers of 1/10,000 yuan.

The digits of a fund of Shenzhen do not say whether 10 or 20 % hold. The wider band is taken, so that no right price
looks wrong. ``limit_up`` and ``limit_down`` of ``ashare.instruments.v1`` are exact.
"""

from __future__ import annotations

from datetime import date

from market.codes import Instrument, Kind
from market.rules import FUND_TICK_E4, Limit, limit_band_e4

_STAR_FUNDS = ("588", "589")
_REITS = ("508", "180")
_TWENTY_PERCENT_FUNDS = date(2020, 8, 24)
_CONVERTIBLES_LIMITED = date(2022, 8, 1)


def limit_of(named: Instrument, on: date, *, listed: date | None = None) -> Limit:
    """The daily limit of a fund or a convertible bond, or why there is none.

    Args:
        named: what is traded; of an A share, ask ``market.rules.limit``.
        on: the trading day.
        listed: its first trading day, where it is known.
    """
    if named.kind is Kind.FUND:
        return _fund(named, on, first=listed == on)
    if named.kind is Kind.CONVERTIBLE:
        if on < _CONVERTIBLES_LIMITED:
            return Limit(None, None, f"convertible bonds had no limit before {_CONVERTIBLES_LIMITED}")
        if listed == on:
            return Limit(573, 433, "a convertible bond's first day, of the issue price")
        return Limit(200, 200, "convertible bonds")
    return Limit(None, None, f"no limits are known here of the kind {named.kind}")


def day_band_e4(
    previous_close_e4: int, named: Instrument, on: date, *, st: bool = False, listed: date | None = None
) -> tuple[int, int] | None:
    """The lowest and the highest price of a day, whatever the kind; ``None`` where there is no limit, as of an index.

    Previous close times (1 ± limit), rounded half up to the tick size of the kind.

    Args:
        previous_close_e4: as the exchange gives it, 1/10,000 yuan.
        named: what is traded.
        on: the trading day.
        st: whether an A share is under special treatment.
        listed: its first trading day, where it is known.

    Raises:
        ValueError: no positive close, or an A share that is listed after ``on``.
    """
    if named.a_share:
        return limit_band_e4(previous_close_e4, named.board, on, st=st, listed=listed)
    if previous_close_e4 <= 0:
        raise ValueError(f"a previous close of {previous_close_e4} / 10,000 yuan is none")
    found = limit_of(named, on, listed=listed)
    if found.up is None or found.down is None:
        return None
    low, high = (_to_tick(previous_close_e4 * share) for share in (1000 - found.down, 1000 + found.up))
    return max(low, FUND_TICK_E4), max(high, previous_close_e4 + FUND_TICK_E4)


def _fund(named: Instrument, on: date, *, first: bool) -> Limit:
    if named.code.startswith(_REITS):
        return Limit(300, 300, "a REIT's first day") if first else Limit(100, 100, "REITs")
    if named.code.startswith(_STAR_FUNDS):
        return Limit(200, 200, "funds of the STAR market")
    if named.exchange == "SZSE" and on >= _TWENTY_PERCENT_FUNDS:
        return Limit(200, 200, "funds of Shenzhen, 10 % or, of ChiNext or STAR shares, 20 %")
    return Limit(100, 100, "funds")


def _to_tick(e7: int) -> int:
    """1/10,000,000 yuan rounded half up to the tick of funds and convertible bonds, in 1/10,000 yuan."""
    unit = 1000 * FUND_TICK_E4
    return (2 * e7 + unit) // (2 * unit) * FUND_TICK_E4
