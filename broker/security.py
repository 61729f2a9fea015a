"""How this process proves who it is to Kafka, and Kafka to it: TLS, passwords, tokens. One cluster, one identity.

The settings are environment variables, which flags of every command set: so clients of this process and of those that
it starts use the same. A password or a token lies in a file, or in a variable; it is never shown.
"""

from __future__ import annotations

import os
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, cast

from aiokafka.abc import AbstractTokenProvider

from schemas import UsageError
from schemas.certificates import trusting, why_unread
from schemas.secrets import keep
from schemas.text_files import read_secret

Protocol = Literal["plaintext", "tls", "sasl-plaintext", "sasl-tls"]
PROTOCOLS: Mapping[str, str] = {
    "plaintext": "PLAINTEXT",
    "tls": "SSL",
    "sasl-plaintext": "SASL_PLAINTEXT",
    "sasl-tls": "SASL_SSL",
}
"""Each protocol, as Kafka calls it."""
MECHANISMS = ("SCRAM-SHA-512", "SCRAM-SHA-256", "PLAIN", "OAUTHBEARER")

SECURITY = "ASHARE_KAFKA_SECURITY"
MECHANISM = "ASHARE_KAFKA_MECHANISM"
USER = "ASHARE_KAFKA_USER"
PASSWORD = "ASHARE_KAFKA_PASSWORD"  # noqa: S105 - the variable's name
TOKEN_FILE = "ASHARE_KAFKA_TOKEN_FILE"  # noqa: S105 - likewise
CA = "ASHARE_KAFKA_CA"
CERTIFICATE = "ASHARE_KAFKA_CERTIFICATE"
KEY = "ASHARE_KAFKA_KEY"
KEY_PASSWORD = "ASHARE_KAFKA_KEY_PASSWORD"  # noqa: S105 - likewise
CHECK_HOST = "ASHARE_KAFKA_CHECK_HOST"
VARIABLES = (SECURITY, MECHANISM, USER, PASSWORD, TOKEN_FILE, CA, CERTIFICATE, KEY, KEY_PASSWORD, CHECK_HOST)

_YES, _NO = {"1", "true", "yes", "on"}, {"0", "false", "no", "off"}
_NEEDS_SASL = (USER, PASSWORD, f"{PASSWORD}_FILE", TOKEN_FILE)
_NEEDS_TLS = (CA, CERTIFICATE, KEY, KEY_PASSWORD, f"{KEY_PASSWORD}_FILE")


class FileToken(AbstractTokenProvider):  # type: ignore[misc]
    """A bearer token that lies in a file, read anew for each connection: whoever renews it writes the file."""

    def __init__(self, path: Path) -> None:
        """Nothing is read yet."""
        self._path = path

    async def token(self) -> str:
        """The token (for aiokafka)."""
        return self.read()

    def read(self) -> str:
        """The token.

        Raises:
            UsageError: the file can't be read.
        """
        token = read_secret(self._path, TOKEN_FILE)
        keep(token)
        return token


@dataclass(frozen=True)
class Security:
    """How to connect.

    Attributes:
        mechanism: of SASL; without meaning otherwise.
        password: of the user, for every mechanism but OAUTHBEARER.
        token_file: holds the token of OAUTHBEARER.
        ca: certificates that the broker's may be signed by; by default those that the system trusts.
        certificate, key: this client's own, where the broker wants one.
        check_host: whether the broker's certificate must be of the host that was dialled.
    """

    protocol: Protocol = "plaintext"
    mechanism: str = MECHANISMS[0]
    user: str = ""
    password: str = field(default="", repr=False)
    token_file: Path | None = None
    ca: Path | None = None
    certificate: Path | None = None
    key: Path | None = None
    key_password: str = field(default="", repr=False)
    check_host: bool = True

    @property
    def tls(self) -> bool:
        """Whether connections are encrypted."""
        return self.protocol in {"tls", "sasl-tls"}

    @property
    def sasl(self) -> bool:
        """Whether a user logs in."""
        return self.protocol in {"sasl-plaintext", "sasl-tls"}


def current(environment: Mapping[str, str] = os.environ) -> Security:
    """What the environment says, checked.

    Raises:
        UsageError: a value is not one, one that is needed is missing, or one has no effect; the text names it.
    """
    at = {name: value for name, value in environment.items() if name.startswith("ASHARE_KAFKA_") and value}
    protocol = at.get(SECURITY, "plaintext")
    if protocol not in PROTOCOLS:
        raise UsageError(f"{SECURITY} (--kafka-security) is {protocol!r}: set it to one of {', '.join(PROTOCOLS)}")
    security = Security(
        protocol=cast("Protocol", protocol),
        mechanism=at.get(MECHANISM, MECHANISMS[0]).upper(),
        user=at.get(USER, ""),
        password=_secret(at, PASSWORD),
        token_file=_path(at, TOKEN_FILE),
        ca=_path(at, CA),
        certificate=_path(at, CERTIFICATE),
        key=_path(at, KEY),
        key_password=_secret(at, KEY_PASSWORD),
        check_host=_flag(at, CHECK_HOST),
    )
    _check(security, at)
    return security


def options(environment: Mapping[str, str] = os.environ) -> dict[str, Any]:
    """The arguments of aiokafka's clients of this process, or of one with another environment.

    Raises:
        UsageError: the settings are wrong, or a file of theirs can't be read.
    """
    security = current(environment)
    found: dict[str, Any] = {"security_protocol": PROTOCOLS[security.protocol]}
    if security.tls:
        found["ssl_context"] = context(security)
    if security.sasl:
        found["sasl_mechanism"] = security.mechanism
        if security.token_file is not None:
            found["sasl_oauth_token_provider"] = FileToken(security.token_file)
        else:
            found |= {"sasl_plain_username": security.user, "sasl_plain_password": security.password}
    return found


def context(security: Security) -> ssl.SSLContext:
    """The TLS context of these settings.

    Raises:
        UsageError: a certificate or a key can't be read.
    """
    made = trusting(security.ca, CA, only=True)
    made.check_hostname = security.check_host
    if security.certificate is not None:
        try:
            made.load_cert_chain(security.certificate, security.key, lambda: security.key_password)
        except OSError as error:
            raise UsageError(
                f"{CERTIFICATE}, {KEY}: {security.certificate} and {security.key or 'the key in it'} are not a"
                f" certificate and its key in PEM: {why_unread(error)}"
            ) from error
    return made


def _check(security: Security, at: Mapping[str, str]) -> None:
    if not security.sasl and (idle := [name for name in _NEEDS_SASL if name in at]):
        raise UsageError(
            f"{idle[0]} is set and {SECURITY} is {security.protocol}, which takes no user: set it to sasl-tls"
        )
    if not security.tls and (idle := [name for name in _NEEDS_TLS if name in at]):
        raise UsageError(
            f"{idle[0]} is set and {SECURITY} is {security.protocol}, without TLS: set it to tls or sasl-tls"
        )
    if security.key is not None and security.certificate is None:
        raise UsageError(f"{KEY} is set without {CERTIFICATE}: set that to the certificate of the key")
    if not security.sasl:
        return
    if security.mechanism not in MECHANISMS:
        raise UsageError(f"{MECHANISM} is {security.mechanism!r}: set it to one of {', '.join(MECHANISMS)}")
    if security.mechanism == "OAUTHBEARER":
        if security.token_file is None:
            raise UsageError(f"{MECHANISM} is OAUTHBEARER: set {TOKEN_FILE} to the file that holds the token")
    elif security.token_file is not None:
        raise UsageError(f"{TOKEN_FILE} is set and {MECHANISM} is {security.mechanism}: set that to OAUTHBEARER")
    elif not security.user or not security.password:
        lacking = USER if not security.user else f"{PASSWORD}_FILE, or {PASSWORD},"
        raise UsageError(f"{SECURITY} is {security.protocol}: set {lacking} too")


def _secret(at: Mapping[str, str], name: str) -> str:
    file = at.get(f"{name}_FILE")
    if file and name in at:
        raise UsageError(f"{name} and {name}_FILE are both set: keep one")
    secret = read_secret(Path(file), f"{name}_FILE") if file else at.get(name, "")
    keep(secret)
    return secret


def _path(at: Mapping[str, str], name: str) -> Path | None:
    if name not in at:
        return None
    path = Path(at[name])
    if not path.is_file():
        raise UsageError(f"{name}: there is no file {path}")
    return path


def _flag(at: Mapping[str, str], name: str) -> bool:
    text = at.get(name, "true").lower()
    if text not in _YES | _NO:
        raise UsageError(f"{name} is {at[name]!r}: set it to true or false")
    return text in _YES
