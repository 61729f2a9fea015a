"""Our HTTP servers, for commands: what they are told of TLS and tokens, and how they are asked."""

from __future__ import annotations

import ssl
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from broker.http_access import CA, HttpAccess, bearer, client_tls
from cli.settings import SETTINGS, secret
from schemas import UsageError
from schemas.addresses import shown_address
from schemas.certificates import refused


def access(
    host: str, token: tuple[str, str | None], certificate: str | None, key: str | None, *, unguarded: bool
) -> HttpAccess:
    """How a server of this process may be reached.

    Args:
        token: the setting's name, and what was given by flag or variable.

    Raises:
        UsageError: the token's file can't be read.
    """
    name, given = token
    return HttpAccess(
        host,
        secret(name, given or None),
        Path(certificate) if certificate else None,
        Path(key) if key else None,
        unguarded,
        f"{SETTINGS[name].env}_FILE",
    )


class _Here(urllib.request.HTTPRedirectHandler):
    """Follows no redirect: the token is for the server that was named alone."""

    def redirect_request(self, *_: Any) -> None:
        """Python's protocol: none is made."""


class Asking:
    """Asks one server. Proxies are not used: these servers are ours."""

    def __init__(self, flag: str, url: str, token: str | None, ca: str | None) -> None:
        """Nothing connects yet.

        Args:
            flag: that names the address.

        Raises:
            UsageError: it is no server's address, or the file of the authorities can't be read.
        """
        self.url = url.rstrip("/")
        if not self.url.startswith(("http://", "https://")) or {"@", "?", "#"} & set(self.url):
            raise UsageError(f"{flag} {shown_address(url)!r} is not a server's address: give http://HOST:PORT")
        # As bytes, since Python's library takes no others than latin letters.
        self._headers: dict[str, Any] = {name: value.encode() for name, value in bearer(token).items()}
        handlers: list[Any] = [urllib.request.ProxyHandler({}), _Here]
        if self.url.startswith("https://"):
            handlers.append(urllib.request.HTTPSHandler(context=client_tls(ca)))
        self._opener = urllib.request.build_opener(*handlers)

    def open(self, path: str, body: bytes | None = None, timeout: float = 10.0) -> Any:
        """The answer to a request; a body, of JSON, is posted.

        Raises:
            UsageError: the server's certificate is refused, or it speaks no TLS.
            urllib.error.HTTPError: it answers with an error.
            OSError: it does not answer.
        """
        content: dict[str, Any] = {} if body is None else {"Content-Type": "application/json"}
        request = urllib.request.Request(f"{self.url}{path}", body, content | self._headers)  # noqa: S310 - see above
        try:
            return self._opener.open(request, timeout=timeout)
        except urllib.error.HTTPError:
            raise
        except urllib.error.URLError as error:
            match error.reason:
                case ssl.SSLCertVerificationError() as why:
                    host = urlsplit(self.url).hostname or ""
                    raise UsageError(f"the certificate of {self.url} is refused: {refused(why, host, CA)}") from error
                case ssl.SSLError():
                    raise UsageError(f"{self.url} does not speak TLS: give http:// instead of https://") from error
            raise
