"""What a secured broker of our own needs: an authority that is made for it, certificates, users with passwords.

All of it lies in ``secure/`` of the broker's data directory, for its owner alone. What clients need is there as files:
``ca.pem``, and a ``NAME.password`` for each user. A password never stands in a command line: the broker is told its
salted hash.
"""

from __future__ import annotations

import hashlib
import ipaddress
import os
import secrets
from base64 import b64encode
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

ADMIN = "admin"
"""The user who may do everything."""
BROKER = "broker"
"""What the broker itself is called, in its own certificate."""
_DAYS = 3650
_ITERATIONS = 8192
_Key = ec.EllipticCurvePrivateKey


@dataclass(frozen=True)
class Secrets:
    """The files of one secured broker."""

    folder: Path

    @property
    def ca(self) -> Path:
        """The authority's certificate, which clients are to trust."""
        return self.folder / "ca.pem"

    @property
    def broker(self) -> Path:
        """The broker's key and certificate."""
        return self.folder / "broker.pem"

    def password_file(self, user: str) -> Path:
        """The file of a user's password."""
        return self.folder / f"{user}.password"

    def password(self, user: str) -> str:
        """A user's password; made and kept if there is none yet."""
        path = self.password_file(user)
        if not path.exists():
            _write(path, secrets.token_urlsafe(24).encode())
        return path.read_text("ascii").strip()

    def prepare(self, hosts: Iterable[str]) -> None:
        """Make the folder, the authority and the broker's certificate for these hosts, where they are missing."""
        self.folder.mkdir(mode=0o700, exist_ok=True)
        if self.ca.exists() and self.broker.exists():
            return
        authority, key = _authority()
        _write(self.broker, _broker(authority, key, hosts))
        _write(self.ca, authority.public_bytes(serialization.Encoding.PEM))

    def scram(self, user: str) -> list[str]:
        """A user's credentials as ``kafka-storage format --add-scram`` takes them: salted, without the password."""
        password = self.password(user).encode()
        made = []
        for mechanism, name in (("SCRAM-SHA-256", "sha256"), ("SCRAM-SHA-512", "sha512")):
            salt = secrets.token_bytes(24)
            salted = hashlib.pbkdf2_hmac(name, password, salt, _ITERATIONS)
            made.append(
                f'{mechanism}=[name={user},iterations={_ITERATIONS},salt="{b64encode(salt).decode()}",'
                f'saltedpassword="{b64encode(salted).decode()}"]'
            )
        return made


def _authority() -> tuple[x509.Certificate, _Key]:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "ashare-stream's own authority")])
    usage = x509.KeyUsage(
        digital_signature=True,
        key_cert_sign=True,
        crl_sign=True,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )
    built = _builder(name, name, key).add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
    identifier = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
    built = built.add_extension(usage, critical=True).add_extension(identifier, critical=False)
    return built.sign(key, hashes.SHA256()), key


def _broker(authority: x509.Certificate, authority_key: _Key, hosts: Iterable[str]) -> bytes:
    """Key and certificates of the broker, as one PEM, which is what Kafka reads a key store from."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, BROKER)])
    usages = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH])
    issuer = x509.AuthorityKeyIdentifier.from_issuer_public_key(authority_key.public_key())
    built = (
        _builder(name, authority.subject, key)
        .add_extension(x509.SubjectAlternativeName([_host(host) for host in hosts]), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(usages, critical=False)
        .add_extension(issuer, critical=False)
    )
    certificate = built.sign(authority_key, hashes.SHA256())
    pem = serialization.Encoding.PEM
    return (
        key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        + certificate.public_bytes(pem)
        + authority.public_bytes(pem)
    )


def _builder(subject: x509.Name, issuer: x509.Name, key: _Key) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=_DAYS))
    )


def _host(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)


def _write(path: Path, content: bytes) -> None:
    """Write a file for its owner alone, whole or not at all."""
    beside = path.with_name(f".{path.name}.new")
    with os.fdopen(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    beside.rename(path)
