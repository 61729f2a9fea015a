"""A store's address: ``sqlite:///DIR`` or ``questdb://HOST:9000``."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from schemas import UsageError

POSSIBLE = "sqlite:///DIR (relative), sqlite:////DIR (absolute) or questdb://HOST:9000"
_QUESTDB_PORT = 9000


@dataclass(frozen=True)
class SqliteUrl:
    """Day files in a directory of this machine."""

    directory: Path


@dataclass(frozen=True)
class QuestDbUrl:
    """A QuestDB server's HTTP port."""

    host: str
    port: int

    @property
    def http(self) -> str:
        """The server's root, without a slash at the end."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"http://{host}:{self.port}"


def parse(url: str) -> SqliteUrl | QuestDbUrl:
    """Read a store's address. What follows ``sqlite:///`` is a path as it stands, nothing in it is decoded.

    Raises:
        UsageError: anything else; the text says what is possible.
    """
    scheme, separator, rest = url.partition("://")
    if separator and scheme == "sqlite":
        return _sqlite(url, rest)
    if separator and scheme == "questdb":
        return _questdb(url)
    raise UsageError(f"{url!r} is no store: {POSSIBLE}")


def _sqlite(url: str, rest: str) -> SqliteUrl:
    if not rest.startswith("/"):
        raise UsageError(f"{url!r} is no store: three slashes before a relative directory, sqlite:///{rest or 'DIR'}")
    if not rest[1:].strip("/"):
        raise UsageError(f"{url!r} names no directory: {POSSIBLE}")
    return SqliteUrl(Path(rest[1:]))


def _questdb(url: str) -> QuestDbUrl:
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError as error:
        raise UsageError(f"{url!r} is no store ({error}): questdb://HOST:9000") from error
    if parts.username is not None or parts.password is not None:
        # Not shown: it holds a password.
        raise UsageError("a questdb:// address takes no user and password: questdb://HOST:9000")
    if not host or parts.path.strip("/") or parts.query or parts.fragment:
        raise UsageError(f"{url!r} is no store: questdb://HOST:9000 and nothing behind it")
    return QuestDbUrl(host, port or _QUESTDB_PORT)
