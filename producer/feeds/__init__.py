"""The providers, by name: one module and one row each. ``provider.py`` says what is in a module."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from producer.feeds.alltick import ALLTICK
from producer.feeds.binance import BINANCE
from producer.feeds.infoway import INFOWAY
from producer.feeds.itick import ITICK
from producer.feeds.massive import MASSIVE
from producer.feeds.post import POST
from producer.feeds.provider import Provider
from producer.feeds.tickflow import TICKFLOW
from producer.feeds.xtick import XTICK
from schemas import UsageError

_ROWS = (POST, ALLTICK, XTICK, ITICK, INFOWAY, TICKFLOW, MASSIVE, BINANCE)

_PROVIDERS = MappingProxyType({row.name: row for row in _ROWS})


def feeds() -> Mapping[str, Provider]:
    """Every provider, by name, in the order of the table."""
    return _PROVIDERS


def provider(name: str) -> Provider:
    """The provider of a name.

    Raises:
        UsageError: there is no such provider.
    """
    try:
        return _PROVIDERS[name]
    except KeyError:
        raise UsageError(f"--feed {name} is none of: {', '.join(_PROVIDERS)}") from None
