"""The feed's address with its token, and a form of it that may be shown."""

from __future__ import annotations

from dataclasses import dataclass, field
from ipaddress import ip_address
from urllib.parse import parse_qsl, unquote, urlencode, urlsplit, urlunsplit

from websockets.exceptions import InvalidURI
from websockets.uri import parse_uri

from schemas import UsageError
from schemas.addresses import path_secrets, shown_address
from schemas.outside import printable
from schemas.secrets import MASK as _MASK
from schemas.secrets import forms, keep

_LONGEST = 500
"""Characters of a server's text that are repeated."""
_KEPT = 8
"""Characters of a part of an address that is looked for in all that this process shows: shorter ones may be words."""
_USER_AND_PASSWORD = 2


@dataclass(frozen=True)
class Address:
    """``url`` is what is dialled; only ``shown`` goes into messages."""

    url: str = field(repr=False)
    shown: str
    secrets: tuple[str, ...] = field(repr=False)

    def scrub(self, text: str) -> str:
        """A text of somebody else's (an exception, the server's answer): printable, without the address's secrets."""
        for secret in self.secrets:
            text = text.replace(secret, _MASK)
        return printable(text, _LONGEST)


def read(url: str, token: str | None = None) -> Address:
    """The address of a feed; the token goes into the query as ``token``.

    Every value of the query and the user's name and password count as secret: vendors hide keys under many names.

    Raises:
        UsageError: not a WebSocket address, or a token in it and another beside it.
    """
    try:
        parts = urlsplit(url.strip())
        parts.port  # noqa: B018 - reading it checks it
    except ValueError as error:
        raise UsageError(f"--url can't be read ({error}): write ws://HOST:PORT or wss://HOST/PATH") from error
    query = parse_qsl(parts.query, keep_blank_values=True)
    shown = shown_address(url)
    if parts.scheme not in ("ws", "wss"):
        raise UsageError(f"--url {shown} is not a WebSocket address: write ws://HOST:PORT or wss://HOST/PATH")
    if not parts.hostname:
        raise UsageError(f"--url {shown} names no host: write ws://HOST:PORT or wss://HOST/PATH")
    if token and any(name == "token" for name, _ in query):
        raise UsageError("the token is in --url and in --token (ASHARE_FEED_TOKEN) too: keep one")
    user = [secret for secret in (parts.username, parts.password) if secret]
    secrets = [value for _, value in query] + user + path_secrets(parts.path)
    if len(user) == _USER_AND_PASSWORD:
        secrets.append(":".join(map(unquote, user)))
    if token:
        added = urlencode({"token": token})
        parts = parts._replace(query=f"{parts.query}&{added}" if parts.query else added)
        shown += ("&" if parts.query != added else "?") + f"token={_MASK}"
        secrets.append(token)
    return _checked(urlunsplit(parts), shown, secrets)


def aimed(url: str, token: str | None, dialled: str) -> Address:
    """The address that a feed's protocol makes of ``url`` and the token, which may stand anywhere in ``dialled``.

    Raises:
        UsageError: ``url`` is not a WebSocket address, or what was made of it can't be dialled.
    """
    read(url, token)
    given = read(url)
    before, after = urlsplit(url.strip()), urlsplit(dialled)
    shown = given.shown
    if before.path.rstrip("/") == after.path.rstrip("/") and after.query:
        names = [name for name, _ in parse_qsl(after.query, keep_blank_values=True)]
        shown = f"{shown.partition('?')[0]}?{urlencode([(name, _MASK) for name in names], safe='*')}"
    return _checked(dialled, shown, [*given.secrets, *([token] if token else [])])


def _checked(dialled: str, shown: str, secrets: list[str]) -> Address:
    try:
        parse_uri(dialled)
    except (InvalidURI, ValueError):
        raise UsageError(f"--url {shown} can't be dialled: write ws://HOST:PORT/PATH, without a #fragment") from None
    written = {form for secret in secrets for form in forms(secret)}
    keep(*(form for form in written if len(form) >= _KEPT))
    # One or two characters would turn up in any text, and hide nothing.
    return Address(dialled, shown, tuple(sorted((form for form in written if len(form) > 2), key=len, reverse=True)))


def clear_text_warning(url: str, token: str | None = None) -> str | None:
    """The warning for an address over which a secret would travel in clear text, beyond this machine; else ``None``."""
    found = read(url)
    parts = urlsplit(found.url)
    if parts.scheme != "ws" or not (token or found.secrets) or is_loopback(parts.hostname or ""):
        return None
    return (
        f"the token goes to {found.shown} in clear text: everybody on the way can read it and use it; give wss:// where"
        " the provider has it"
    )


def is_local(url: str) -> bool:
    """Whether an address is of this machine.

    Raises:
        UsageError: it is not a WebSocket address.
    """
    return is_loopback(urlsplit(read(url).url).hostname or "")


def is_loopback(host: str) -> bool:
    """Whether a host is this machine alone."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")
