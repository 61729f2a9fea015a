"""The far end of a line: a feed's protocol, where it is dialled, and with which token."""

from __future__ import annotations

import ssl
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from producer.feeds.provider import Capabilities, Feed
from producer.line.address import Address, aimed
from producer.line.retry import FEED_CA
from schemas.certificates import trusting


@dataclass(frozen=True)
class Endpoint:
    """A feed's protocol at an address, with its token; ``feed`` is the connection's own.

    Attributes:
        ca: authorities that may have signed the server's certificate, in PEM, besides those that the system trusts.
    """

    feed: Feed
    url: str
    token: str | None = field(default=None, repr=False)
    ca: Path | None = None

    @property
    def capabilities(self) -> Capabilities:
        """What the provider can do."""
        return self.feed.capabilities

    def address(self, codes: Sequence[str] | None) -> Address:
        """What is dialled for these codes, some providers taking them in the address.

        Raises:
            UsageError: it can't be dialled, or the provider can't have these codes.
        """
        return aimed(self.url, self.token, self.feed.address(self.url, self.token, codes))

    def tls(self) -> ssl.SSLContext | None:
        """How the server of ``wss`` is known; ``None``: by the system's authorities.

        Raises:
            UsageError: the file of the authorities can't be read.
        """
        return None if self.ca is None else trusting(self.ca, FEED_CA, only=False)

    def headers(self) -> Mapping[str, str]:
        """What the handshake carries besides."""
        return self.feed.headers(self.token)

    def greeting(self) -> list[str | bytes]:
        """What is sent first."""
        return self.feed.greeting(self.token)
