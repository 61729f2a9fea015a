"""The secrets that this process was given, so that nothing that it shows, logs or passes on holds one by accident.

Whatever reads a secret says so once, with ``keep``. A server that echoes a token, an exception that quotes an address,
a dead letter that repeats a request: all go through ``masked`` or ``masked_bytes`` on their way out.
"""

from __future__ import annotations

import base64
from json.encoder import encode_basestring, encode_basestring_ascii
from typing import Any
from urllib.parse import quote, quote_plus

MASK = "***"
SHORTEST = 4
"""Characters of a secret that is looked for everywhere: shorter ones would turn up in any text, and tell nothing."""

_known: dict[str, bytes] = {}
"""Each secret in each form, the longest first."""


def forms(secret: str) -> set[str]:
    """The ways in which a secret turns up: as it is, in an address, in JSON, in an Authorization header."""
    written = {secret, quote(secret, safe=""), quote_plus(secret), quote(secret)}
    written |= {encode_basestring(secret)[1:-1], encode_basestring_ascii(secret)[1:-1]}
    if ":" in secret:
        written.add(base64.b64encode(secret.encode()).decode())
    return written


def keep(*secrets: str) -> None:
    """Keep these out of what is shown, logged and passed on, from now on."""
    for secret in secrets:
        if len(secret) >= SHORTEST:
            _known.update((form, form.encode("utf-8", "surrogatepass")) for form in forms(secret))
    ordered = sorted(_known.items(), key=lambda item: len(item[0]), reverse=True)
    _known.clear()
    _known.update(ordered)


def forget() -> None:
    """Know none: for tests, which are many runs in one process."""
    _known.clear()


def masked(text: str) -> str:
    """The text without the secrets that this process was given."""
    for secret in _known:
        if secret in text:
            text = text.replace(secret, MASK)
    return text


def masked_bytes(data: bytes) -> bytes:
    """As ``masked``, for a message that need not be text."""
    for secret in _known.values():
        if secret in data:
            data = data.replace(secret, MASK.encode())
    return data


def masked_in(body: Any) -> Any:
    """A JSON body whose texts hold no secret; numbers and names stay as they are, so that it keeps its form."""
    if not _known:
        return body
    if isinstance(body, str):
        return masked(body)
    if isinstance(body, dict):
        return {name: masked_in(value) for name, value in body.items()}
    return [masked_in(value) for value in body] if isinstance(body, list | tuple) else body
