"""What of an address may be shown, and what of it may be a secret."""

from __future__ import annotations

import re
from urllib.parse import parse_qsl, unquote, urlencode, urlsplit, urlunsplit

from schemas.secrets import MASK

_NAMES = (
    "api cn data feed feeds hk level1 level2 live market markets path public push quote quote-b-ws-api"
    " quote-stock-b-ws-api quotes realtime socket stock stocks stream streams subscribe tick ticks trade trades us v ws"
    " websocket wss"
)
"""Parts of a path that name a service. Any other may be a key, as some vendors put it there."""
_WORDS = frozenset(_NAMES.split())
_ADDRESS = re.compile(r"(?:([A-Za-z][A-Za-z0-9+.-]*)://|(?=[^/@:\s]*:[^\s]*@))([^\s]+)")
_FILES = frozenset({"sqlite", "file"})
"""Schemes whose path is a place of files, and no secret."""
_TOLD = frozenset({"password_file"})
_LONG = 8
"""Characters of a part of an address that is looked for everywhere: shorter ones may be words."""
_VERSION = re.compile(r"v[0-9]{1,2}")


def path_secrets(path: str) -> list[str]:
    """The parts of a path that may be secret, as they are written and as they are meant."""
    parts = [part for part in path.split("/") if part and not _named(part)]
    return list(dict.fromkeys(form for part in parts for form in (part, unquote(part))))


def address_secrets(text: str) -> list[str]:
    """What may be secret in a text that is an address of any scheme, or ``USER:PASSWORD@HOST``; nothing else has any.

    A password is one however short; a user's name without one, values of the query and unknown parts of the path are
    where they are long enough to be keys.
    """
    found = _ADDRESS.fullmatch(text.strip())
    if found is None:
        return []
    scheme, rest = (found[1] or "").lower(), found[2]
    if scheme in _FILES:
        rest = rest.partition("/")[0]
    whole, (rest, _, query) = rest, rest.partition("#")[0].partition("?")
    if "@" not in rest and "@" in whole and not rest.partition("/")[0].partition(":")[2].isdecimal():
        rest, query = whole, ""
    who, at, place = rest.rpartition("@")  # a password may hold what nobody escaped
    secrets: list[str] = []
    if at:
        user, colon, password = who.partition(":")
        secrets = [password, who] if colon else [user] if len(user) >= _LONG else []
    values = [value for name, value in parse_qsl(query, keep_blank_values=True) if name not in _TOLD]
    values += [query] if query and not values and "=" not in query else []
    parts = [value for value in (*values, *path_secrets(place.partition("/")[2])) if len(value) >= _LONG]
    return list(dict.fromkeys(form for one in (*secrets, *parts) if one for form in (one, unquote(one))))


def shown_address(url: str) -> str:
    """The address with user, password, values of the query and unknown parts of the path masked."""
    nothing = f"{url.partition('://')[0]}://{MASK}"
    try:
        parts = urlsplit(url.strip())
        port = parts.port
    except ValueError:
        return nothing
    if "@" in parts.path + parts.fragment:
        return nothing  # a password holds what nobody escaped
    host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname or ""
    place = host + (f":{port}" if port else "")
    named = parse_qsl(parts.query, keep_blank_values=True) if "=" in parts.query else []
    query = urlencode([(name, MASK) for name, _ in named], safe="*")
    if parts.query and not query:
        query = MASK
    path = "/".join(part if not part or _named(part) else MASK for part in parts.path.split("/"))
    return urlunsplit((parts.scheme, f"{MASK}@{place}" if "@" in parts.netloc else place, path, query, ""))


def _named(part: str) -> bool:
    return part.lower() in _WORDS or _VERSION.fullmatch(part) is not None
