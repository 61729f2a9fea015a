"""A tick of the post's protocol in the forms that it is written in, the usual one first: each is a type to decode with.

``producer.feeds.post`` tries them in this order, and stays with the one that fits.
"""

from __future__ import annotations

from typing import Annotated, Any, Generic, Literal, TypeVar

import msgspec

from market.times import EARLIEST, LATEST
from producer.feeds.beside import LEVELS
from producer.feeds.values import HIGHEST_PRICE, LOWEST_PRICE
from schemas import Level
from schemas.bounds import INT64, MAX_TURNOVER, MAX_VOLUME

_Price = Annotated[float, msgspec.Meta(ge=LOWEST_PRICE, le=HIGHEST_PRICE)]
_Volume = Annotated[int, msgspec.Meta(ge=0, le=MAX_VOLUME)]
_Turnover = Annotated[float, msgspec.Meta(ge=0, le=MAX_TURNOVER)]
_Side = Annotated[list[Level], msgspec.Meta(max_length=LEVELS)]


class Usual(msgspec.Struct, gc=False, forbid_unknown_fields=True):
    """A tick as nearly all are written: numbers as numbers, all in range, and no more than these fields.

    The typed decoder checks all of it, so nothing is left to look at. A frame that holds any other is read as one of
    the kinds below, in this order.
    """

    code: str
    price: _Price
    time: Annotated[int, msgspec.Meta(ge=EARLIEST, lt=LATEST)]
    volume: _Volume | None = None
    turnover: _Turnover | None = None
    side: Literal["buy", "sell"] | None = None
    seq: Annotated[int, msgspec.Meta(ge=-INT64, le=INT64)] | None = None
    previous_close: _Price | None = None


class WithMore(Usual, gc=False, forbid_unknown_fields=False):
    """With fields that nobody reads, but none that is read under another name, or beside the trade."""

    pre_close: None = None
    prev_close: None = None
    last_close: None = None
    bids: None = None
    asks: None = None
    open: None = None
    high: None = None
    low: None = None
    day_volume: None = None
    day_turnover: None = None
    average: None = None


class Full(Usual, gc=False, forbid_unknown_fields=False):
    """With a book and figures of the day, written as usual."""

    pre_close: None = None
    prev_close: None = None
    last_close: None = None
    bids: _Side | None = None
    asks: _Side | None = None
    open: _Price | None = None
    high: _Price | None = None
    low: _Price | None = None
    day_volume: _Volume | None = None
    day_turnover: _Turnover | None = None
    average: _Price | None = None


class Text(msgspec.Struct, gc=False, forbid_unknown_fields=True):
    """Values in any form, and nothing beside the trade."""

    code: str
    price: float | str
    time: int | float | str
    volume: int | float | str | None = None
    turnover: float | str | None = None
    side: str | None = None
    seq: int | str | None = None
    previous_close: float | str | None = None
    pre_close: float | str | None = None
    prev_close: float | str | None = None
    last_close: float | str | None = None


class Tick(Text, gc=False, forbid_unknown_fields=False):
    """Whatever can be read."""

    bids: Any = None
    asks: Any = None
    open: Any = None
    high: Any = None
    low: Any = None
    day_volume: Any = None
    day_turnover: Any = None
    average: Any = None


_T = TypeVar("_T")


class Ticks(msgspec.Struct, Generic[_T], gc=False):
    """A frame of ticks of one form."""

    ticks: list[_T]
