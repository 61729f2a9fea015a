"""A loud word about secrets that everybody on the way, or on this machine, can read."""

from __future__ import annotations

import sys

from producer.feeds import provider
from producer.line.address import clear_text_warning, read


def warn_of_clear_text(*dialled: tuple[str, str | None, str | None]) -> None:
    """Warn on standard error, once an address, where a secret goes over ws:// beyond this machine or is an argument.

    Args:
        dialled: the feed, the address or ``None`` for the feed's own, and the token of each connection.

    Raises:
        UsageError: no such feed, or no WebSocket address.
    """
    told = dict.fromkeys(filter(None, (_warning(*one) for one in dialled)))
    for _, url, _ in dialled:
        if url and url in sys.argv[1:] and read(url).secrets:
            told[
                "a secret in --url is seen by every user of this machine in the list of processes: use ASHARE_FEED_URL"
            ] = None
    for warning in told:
        sys.stderr.write(f"ashare: WARNING: {warning}\n")


def _warning(feed: str, url: str | None, token: str | None) -> str | None:
    capabilities = provider(feed).capabilities
    if capabilities.login == "none":
        token = None
    return clear_text_warning(url or capabilities.url, token)
