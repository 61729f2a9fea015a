"""Certificates of the servers that are dialled: which authorities may have signed them, and why one is refused."""

from __future__ import annotations

import ssl
from pathlib import Path

from schemas.errors import UsageError


def trusting(ca: Path | None, setting: str, *, only: bool) -> ssl.SSLContext:
    """The TLS context of a client, which checks the host's name.

    Args:
        ca: authorities in PEM; ``None``: those that the system trusts.
        setting: that names the file.
        only: these authorities and not the system's.

    Raises:
        UsageError: the file can't be read, or holds no certificate.
    """
    try:
        made = ssl.create_default_context(cafile=ca if only else None)
        if ca is not None and not only:
            made.load_verify_locations(cafile=ca)
    except OSError as error:
        raise UsageError(
            f"{setting}: {ca} holds no certificate in PEM that can be read: {why_unread(error)}"
        ) from error
    return made


def serving(certificate: Path, key: Path | None, settings: str) -> ssl.SSLContext:
    """The TLS context of a server.

    Args:
        certificate: the server's, and those between it and its authority, in PEM.
        key: its key, without a password; ``None``: in the same file.
        settings: that name the files.

    Raises:
        UsageError: they can't be read, or don't belong together.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    try:
        # A key with a password would be asked for at the terminal.
        context.load_cert_chain(certificate, key, password=lambda: "")
    except OSError as error:
        raise UsageError(
            f"{settings}: {certificate} and {key or 'the key in it'} are not a certificate and its key in PEM, without"
            f" a password: {why_unread(error)}"
        ) from error
    return context


def refused(error: ssl.SSLCertVerificationError, host: str, setting: str, *, unchecked: str | None = None) -> str:
    """Why a server's certificate is not taken, and what to change.

    Args:
        host: that was dialled.
        setting: that names the authorities.
        unchecked: the setting by which a certificate of another host is taken, where there is one.
    """
    said = getattr(error, "verify_message", "it is not trusted")
    if "expired" in said:
        return "it has expired: have whoever runs the server renew it"
    if "not yet valid" in said:
        return "it is not valid yet: look at this machine's clock"
    if "mismatch" in said or "is not valid for" in said:
        more = f", or set {unchecked}=false" if unchecked else ""
        return f"it is of another host than {host}: use the name that it is made for{more}"
    return f"{said}: set {setting} to the certificate of the authority that signed it"


def why_unread(error: OSError) -> str:
    """Why a file of certificates can't be read, in words; the text of the error repeats the path."""
    if isinstance(error, ssl.SSLError):
        return (error.reason or str(error)).lower().replace("_", " ")
    return error.strerror or str(error)
