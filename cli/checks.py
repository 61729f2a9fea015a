"""What a setting's text may be, checked before anything is connected: by every command, and by ``ashare config``.

A check raises ``UsageError``, which names the setting as it was given: its flag, or its environment variable. Rooms are
imported when a check runs: most commands need none of them.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping

from broker.bootstrap import addresses
from schemas import UsageError


def _threshold(text: str, name: str) -> None:
    from jobs.thresholds import parse

    _named(name, parse, text)


def _thresholds(text: str, name: str) -> None:
    from jobs.thresholds import parse_overrides

    _named(name, lambda overrides: parse_overrides("0.01", overrides), text)


def _store(text: str, name: str) -> None:
    from stores.urls import parse

    if not text.startswith("questdb://"):  # its password's file is read when it is used
        _named(name, parse, text)


def _agents(text: str, name: str) -> None:
    from processors.options import parse_agents

    _named(name, parse_agents, text)


def _feed(text: str, name: str) -> None:
    from producer.feeds import provider

    _named(name, provider, text)


def _kinds(text: str, name: str) -> None:
    from market.kinds import parse

    _named(name, parse, text)


def _port(text: str, name: str) -> None:
    if not (text.isascii() and text.isdigit() and 0 < int(text) < 65_536):
        raise UsageError(f"{name} {text} is not a port: give 1 to 65535")


def _any_port(text: str, name: str) -> None:
    if text != "0":
        _port(text, name)


def _one_of(words: Collection[str]) -> Callable[[str, str], object]:
    def check(text: str, name: str) -> None:
        if text not in words:
            raise UsageError(f"{name} {text!r} is none of {', '.join(words)}")

    return check


def _named(name: str, read: Callable[[str], object], text: str) -> None:
    try:
        read(text)
    except UsageError as error:
        said = str(error)
        raise UsageError(said if said.startswith(name) else f"{name}: {said}") from error


CHECKS: Mapping[str, Callable[[str, str], object]] = {
    "bootstrap": addresses,
    "feed": _feed,
    "second_feed": _feed,
    "kinds": _kinds,
    "agents": _agents,
    "store": _store,
    "threshold": _threshold,
    "thresholds": _thresholds,
    "web_port": _port,
    "log_format": _one_of(("text", "json")),
    "log_level": _one_of(("debug", "info", "warning", "error")),
    "gateway_port": _any_port,
}
"""By setting."""
