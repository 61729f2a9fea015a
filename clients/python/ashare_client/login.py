"""How to log in to Kafka, from the same environment variables as the pipeline's own processes."""

from __future__ import annotations

import os
import ssl
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from aiokafka.abc import AbstractTokenProvider

from ashare_client.errors import ArgumentError

_PROTOCOLS = {
    "plaintext": "PLAINTEXT",
    "tls": "SSL",
    "sasl-plaintext": "SASL_PLAINTEXT",
    "sasl-tls": "SASL_SSL",
}
_PREFIX = "ASHARE_KAFKA_"


def login(environment: Mapping[str, str] = os.environ) -> dict[str, Any]:
    """The options of aiokafka's clients that `ASHARE_KAFKA_SECURITY` and what goes with it say; none where it is unset.

    The variables are those of the pipeline: `ASHARE_KAFKA_SECURITY` (plaintext, tls, sasl-tls, sasl-plaintext),
    `ASHARE_KAFKA_MECHANISM` (SCRAM-SHA-512), `ASHARE_KAFKA_USER`, `ASHARE_KAFKA_PASSWORD_FILE` or
    `ASHARE_KAFKA_PASSWORD`, `ASHARE_KAFKA_TOKEN_FILE`, `ASHARE_KAFKA_CA`, `ASHARE_KAFKA_CERTIFICATE`,
    `ASHARE_KAFKA_KEY`, `ASHARE_KAFKA_CHECK_HOST`.

    Raises:
        ArgumentError: a value is not one, or a file can't be read; the text names the variable.
    """
    given = {name.removeprefix(_PREFIX): value for name, value in environment.items() if name.startswith(_PREFIX)}
    protocol = given.get("SECURITY") or "plaintext"
    if protocol not in _PROTOCOLS:
        raise ArgumentError(f"{_PREFIX}SECURITY is {protocol!r}: set it to one of {', '.join(_PROTOCOLS)}")
    if protocol == "plaintext":
        return {}
    options: dict[str, Any] = {"security_protocol": _PROTOCOLS[protocol]}
    if protocol.endswith("tls"):
        options["ssl_context"] = _context(given)
    if protocol.startswith("sasl"):
        options["sasl_mechanism"] = given.get("MECHANISM") or "SCRAM-SHA-512"
        if given.get("TOKEN_FILE"):
            options["sasl_oauth_token_provider"] = _FileToken(given)
        else:
            options |= {"sasl_plain_username": _needed(given, "USER"), "sasl_plain_password": _password(given)}
    return options


class _FileToken(AbstractTokenProvider):  # type: ignore[misc]
    def __init__(self, given: Mapping[str, str]) -> None:
        self._given = given

    async def token(self) -> str:
        return _read(self._given, "TOKEN_FILE")


def _context(given: Mapping[str, str]) -> ssl.SSLContext:
    try:
        context = ssl.create_default_context(cafile=given.get("CA") or None)
        context.check_hostname = (given.get("CHECK_HOST") or "true").lower() not in {"0", "false", "no", "off"}
        if given.get("CERTIFICATE"):
            context.load_cert_chain(given["CERTIFICATE"], given.get("KEY") or None)
    except (OSError, ssl.SSLError) as error:
        raise ArgumentError(
            f"{_PREFIX}CA, {_PREFIX}CERTIFICATE or {_PREFIX}KEY names a file that is missing, or not PEM: {error}"
        ) from error
    return context


def _password(given: Mapping[str, str]) -> str:
    return _read(given, "PASSWORD_FILE") if given.get("PASSWORD_FILE") else _needed(given, "PASSWORD")


def _needed(given: Mapping[str, str], name: str) -> str:
    if not given.get(name):
        raise ArgumentError(f"{_PREFIX}SECURITY is {given['SECURITY']}: set {_PREFIX}{name} too")
    return given[name]


def _read(given: Mapping[str, str], name: str) -> str:
    try:
        return Path(given[name]).read_text("utf-8-sig").strip()
    except (OSError, UnicodeDecodeError):
        raise ArgumentError(f"{_PREFIX}{name} names a file that can't be read: {given[name]}") from None
