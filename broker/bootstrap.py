"""Addresses of brokers as people write them, and what is said when none of them answers."""

from __future__ import annotations

from schemas import UsageError
from schemas.outside import printable

DEFAULT_PORT = 9092
_FORM = "write it HOST:PORT[,HOST:PORT], as 127.0.0.1:9092"


def addresses(bootstrap: str, name: str = "--bootstrap") -> list[tuple[str, int]]:
    """Host and port of each broker; without a port it is 9092, and IPv6 stands in brackets.

    Args:
        name: where the text comes from, for the error.

    Raises:
        UsageError: it is not such a list; the text names the part.
    """
    return [_address(part.strip(), bootstrap, name) for part in bootstrap.split(",")]


def no_broker(bootstrap: str) -> UsageError:
    """The error of brokers of which none answers."""
    return UsageError(
        f"no Kafka broker answers at {bootstrap}: start one (`ashare kafka`), or give --bootstrap its address"
    )


def _address(part: str, whole: str, name: str) -> tuple[str, int]:
    if part.startswith("["):
        host, bracket, rest = part[1:].partition("]")
        colon, port = rest[:1], rest[1:]
        if not bracket or colon not in ("", ":"):
            raise UsageError(f"{name} {printable(whole)!r}: the bracket of {printable(part)!r} is not closed: {_FORM}")
    else:
        host, colon, port = part.partition(":")
    if not host or any(character.isspace() or character in "/@" for character in host):
        raise UsageError(f"{name} {printable(whole)!r}: {printable(part)!r} does not name a host: {_FORM}")
    if not colon:
        return host, DEFAULT_PORT
    if not (port.isascii() and port.isdigit() and 0 < int(port) < 65_536):
        raise UsageError(f"{name} {printable(whole)!r}: {printable(port)!r} is not a port: {_FORM}")
    return host, int(port)
