"""How one of our HTTP servers may be reached from other machines: encrypted, by those who hold its token, or by all.

A server that listens on loopback alone needs nothing of this. On any other address it needs TLS or a token, unless its
operator says that whoever reaches it may ask (``--http-open``). Each server has its token; TLS is set for the process.
"""

from __future__ import annotations

import ipaddress
import ssl
from dataclasses import dataclass, field
from pathlib import Path

from broker.http_guard import Rules
from schemas import UsageError
from schemas.certificates import serving, trusting

CERTIFICATE = "ASHARE_HTTP_CERTIFICATE"
KEY = "ASHARE_HTTP_KEY"
CA = "ASHARE_HTTP_CA"
OPEN = "ASHARE_HTTP_OPEN"


@dataclass(frozen=True)
class HttpAccess:
    """Of one server.

    Attributes:
        host: the address that it listens on.
        token: what requests need, as ``Authorization: Bearer TOKEN``.
        certificate: in PEM, with those between it and its authority; the server then speaks TLS and nothing else.
        key: the certificate's; ``None``: in the same file.
        unguarded: other machines may ask without TLS and without a token.
        setting: the variable whose file holds the token, for messages.
    """

    host: str = "127.0.0.1"
    token: str | None = field(default=None, repr=False)
    certificate: Path | None = None
    key: Path | None = None
    unguarded: bool = False
    setting: str = ""

    @property
    def scheme(self) -> str:
        """Of the server's address."""
        return "http" if self.certificate is None else "https"

    @property
    def loopback(self) -> bool:
        """Whether this machine alone can ask."""
        return is_loopback(self.host)

    def check(self, flag: str) -> None:
        """Refuse to serve other machines what anybody on the way could read, or anybody there could ask for.

        Args:
            flag: that sets the address.

        Raises:
            UsageError: says what to set.
        """
        if self.key is not None and self.certificate is None:
            raise UsageError(f"{KEY} is set without {CERTIFICATE}: set that to the certificate of the key")
        if self.loopback or self.token or self.certificate is not None or self.unguarded:
            return
        raise UsageError(
            f"{flag} {self.host}: other machines could ask this server, which has neither TLS nor a token: set"
            f" {CERTIFICATE} or {self.setting}, or {OPEN}=true where only those reach it who may ask"
        )

    def tls(self) -> ssl.SSLContext | None:
        """The server's TLS context; ``None``: it speaks plain HTTP.

        Raises:
            UsageError: certificate or key can't be read.
        """
        return None if self.certificate is None else serving(self.certificate, self.key, f"{CERTIFICATE}, {KEY}")

    def rules(self, *, hosts: frozenset[str], setting: str, reads: bool) -> Rules:
        """Who may ask.

        Args:
            hosts: names of the server, besides loopback, addresses and the host that it listens on.
            setting: how a name is added.
            reads: whether the token is for reading too, on loopback as well; else only where other machines can ask.
        """
        return Rules(
            hosts | {self.host},
            addresses=not self.loopback or reads,
            token=self.token,
            reads=reads or not self.loopback,
            setting=setting,
            secret=f"{self.setting} names its file" if self.setting else "",
        )


LOOPBACK = HttpAccess()
"""For this machine alone, without a token."""


def is_loopback(host: str) -> bool:
    """Whether a host is this machine's own loopback."""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def client_tls(ca: str | Path | None) -> ssl.SSLContext:
    """The TLS context of a client of our servers, which checks the host's name; ``ca`` besides the system's.

    Raises:
        UsageError: the file can't be read.
    """
    return trusting(Path(ca) if ca else None, CA, only=False)


def bearer(token: str | None) -> dict[str, str]:
    """The header that carries a token."""
    return {"Authorization": f"Bearer {token}"} if token else {}
