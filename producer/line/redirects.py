"""Dialling that takes no credential to another origin: a redirect there is refused, in words that name both."""

from __future__ import annotations

from urllib.parse import urljoin

from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus, InvalidURI
from websockets.uri import parse_uri

from producer.errors import ForeignRedirectError

_REDIRECTS = frozenset({300, 301, 302, 303, 307, 308})
_WEB = {"http": "ws", "https": "wss"}


def origin(url: str) -> str:
    """Scheme, host and port of a WebSocket address, without anything of it that may be secret.

    Raises:
        InvalidURI, ValueError: it is none.
    """
    parsed = parse_uri(url)
    host = "".join(letter if letter.isascii() and letter.isprintable() else "?" for letter in parsed.host)
    return f"{'wss' if parsed.secure else 'ws'}://{f'[{host}]' if ':' in host else host}:{parsed.port}"


class Dial(connect):
    """The library's ``connect``, which would follow a redirect to any host and take headers of ours along."""

    def process_redirect(self, exc: Exception) -> Exception | str:
        """Follow a redirect within the origin (for the library): its answer is the address, or what to raise."""
        if not isinstance(exc, InvalidStatus) or exc.response.status_code not in _REDIRECTS:
            return exc
        locations: list[str] = exc.response.headers.get_all("Location")
        here = origin(self.uri)
        if len(locations) != 1:
            return ForeignRedirectError(f"{here} redirects to {len(locations)} addresses")
        try:
            target: str = urljoin(self.uri, locations[0])
            scheme, colon, rest = target.partition(":")
            target = _WEB.get(scheme.lower(), scheme) + colon + rest
            there = origin(target)
        except (InvalidURI, ValueError):
            return ForeignRedirectError(f"{here} redirects to what is not a WebSocket address")
        if here != there:
            return ForeignRedirectError(f"{here} redirects to {there}, another origin, where no token is sent")
        return target
