"""What the readers refuse before they connect: arguments that can't be meant."""

from __future__ import annotations

from collections.abc import Iterable

from ashare_client.errors import ArgumentError


def servers(bootstrap: str | Iterable[str]) -> str:
    """Brokers as `HOST:PORT[,HOST:PORT]`.

    Raises:
        ArgumentError: none is named, or more than host and port.
    """
    named = bootstrap if isinstance(bootstrap, str) else ",".join(bootstrap)
    if not named:
        raise ArgumentError("bootstrap: name a broker: '127.0.0.1:9092'")
    if "@" in named or "://" in named:
        # Not quoted, here or by what fails later: it may hold a password.
        raise ArgumentError("bootstrap: HOST:PORT[,HOST:PORT] and no more: a user and a password are options=")
    return named


def one_of(argument: str, given: str, choice: tuple[str, ...]) -> None:
    """That an argument is one of its words.

    Raises:
        ArgumentError: it is another one.
    """
    if given not in choice:
        raise ArgumentError(f"{argument}: {given!r} is none of {', '.join(choice)}")
