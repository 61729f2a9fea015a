"""The providers whose protocols the simulator speaks, by name: one module each, ``provider.py`` says what is in it."""

from __future__ import annotations

from schemas import UsageError
from simulator.feeds.alltick import ALLTICK
from simulator.feeds.binance import BINANCE
from simulator.feeds.infoway import INFOWAY
from simulator.feeds.itick import ITICK
from simulator.feeds.massive import MASSIVE
from simulator.feeds.post import POST
from simulator.feeds.provider import Provider
from simulator.feeds.tickflow import TICKFLOW
from simulator.feeds.xtick import XTICK

PROVIDERS = {provider.name: provider for provider in (POST, ALLTICK, XTICK, ITICK, INFOWAY, TICKFLOW, MASSIVE, BINANCE)}


def provider(name: str) -> Provider:
    """The provider of a name.

    Raises:
        UsageError: there is none.
    """
    try:
        return PROVIDERS[name]
    except KeyError:
        raise UsageError(f"--feed {name} is none of: {', '.join(PROVIDERS)}") from None
