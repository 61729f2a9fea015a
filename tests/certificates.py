"""Certificates made for a test: an authority, and servers that it has signed for."""

from __future__ import annotations

import ipaddress
import ssl
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

_PEM = serialization.Encoding.PEM


@dataclass
class Authority:
    """Signs for servers; its files lie in a folder.

    Attributes:
        ca: the file that clients are to trust.
    """

    folder: Path

    def __post_init__(self) -> None:
        """Make its key and certificate."""
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "made for a test")])
        made = self._builder(self._name, self._key, (-1, 30)).add_extension(
            x509.BasicConstraints(ca=True, path_length=None), critical=True
        )
        self.ca = self.folder / "test-ca.pem"
        self.ca.write_bytes(made.sign(self._key, hashes.SHA256()).public_bytes(_PEM))

    def server(self, host: str = "127.0.0.1", days: tuple[int, int] = (-1, 30)) -> Path:
        """A file with key and certificate of a server, valid between two days from today."""
        key = ec.generate_private_key(ec.SECP256R1())
        named = x509.IPAddress(ipaddress.ip_address(host)) if host[0].isdigit() else x509.DNSName(host)
        made = (
            self._builder(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, host)]), key, days)
            .add_extension(x509.SubjectAlternativeName([named]), critical=False)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .sign(self._key, hashes.SHA256())
        )
        unlocked = key.private_bytes(_PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        path = self.folder / f"test-server-{host}-{days[1]}.pem"
        path.write_bytes(unlocked + made.public_bytes(_PEM))
        return path

    def context(self, host: str = "127.0.0.1", days: tuple[int, int] = (-1, 30)) -> ssl.SSLContext:
        """Of such a server."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.server(host, days))
        return context

    def _builder(
        self, subject: x509.Name, key: ec.EllipticCurvePrivateKey, days: tuple[int, int]
    ) -> x509.CertificateBuilder:
        now = datetime.now(UTC)
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now + timedelta(days=days[0]))
            .not_valid_after(now + timedelta(days=days[1]))
        )
