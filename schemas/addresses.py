"""How the address of a WebSocket may be shown: where it leads, without anything in it that may be a secret."""

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
_VERSION = re.compile(r"v[0-9]{1,2}")


def path_secrets(path: str) -> list[str]:
    """The parts of a path that may be secret, as they are written and as they are meant."""
    parts = [part for part in path.split("/") if part and not _named(part)]
    return list(dict.fromkeys(form for part in parts for form in (part, unquote(part))))


def shown_address(url: str) -> str:
    """The address with user, password, values of the query and unknown parts of the path masked."""
    try:
        parts = urlsplit(url.strip())
        port = parts.port
    except ValueError:
        return f"{url.partition('://')[0]}://{MASK}"
    host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname or ""
    place = host + (f":{port}" if port else "")
    query = urlencode([(name, MASK) for name, _ in parse_qsl(parts.query, keep_blank_values=True)], safe="*")
    if parts.query and not query:
        query = MASK
    path = "/".join(part if not part or _named(part) else MASK for part in parts.path.split("/"))
    return urlunsplit((parts.scheme, f"{MASK}@{place}" if "@" in parts.netloc else place, path, query, ""))


def _named(part: str) -> bool:
    return part.lower() in _WORDS or _VERSION.fullmatch(part) is not None
