"""A store's address: ``sqlite:///DIR`` or ``questdb://HOST:9000``.

A QuestDB that wants a password: ``questdb://USER@HOST:9000?password_file=PATH``. An address is shown in logs, process
lists and errors, so it names the file and never holds the password.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import parse_qs, quote, unquote, urlsplit

from schemas import UsageError
from schemas.addresses import shown_address
from schemas.secrets import keep
from schemas.text_files import read_secret

POSSIBLE = "sqlite:///DIR (relative), sqlite:////DIR (absolute) or questdb://HOST:9000"
PASSWORD = "questdb://USER@HOST:9000?password_file=PATH, or --store-password-file PATH"  # noqa: S105 - how it is given
_QUESTDB_PORT = 9000
_QUESTDB_USER = "admin"  # QuestDB's own default


@dataclass(frozen=True)
class SqliteUrl:
    """Day files in a directory of this machine."""

    directory: Path


@dataclass(frozen=True)
class QuestDbUrl:
    """A QuestDB server's HTTP port."""

    host: str
    port: int
    user: str | None = None
    password: str | None = field(default=None, repr=False)

    @property
    def headers(self) -> Mapping[str, str]:
        """What each request says of who asks."""
        if self.user is None:
            return {}
        pair = f"{self.user}:{self.password}".encode()
        return {"Authorization": f"Basic {base64.b64encode(pair).decode()}"}

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
    raise UsageError(f"{_shown(url)!r} is not a store's address: {POSSIBLE}")


def _sqlite(url: str, rest: str) -> SqliteUrl:
    if not rest.startswith("/"):
        place = rest if rest and not set("@?#") & set(rest) else "DIR"
        raise UsageError(
            f"{_shown(url)!r} is not a store's address: three slashes before a relative directory, sqlite:///{place}"
        )
    if not rest[1:].strip("/"):
        raise UsageError(f"{url!r} names no directory: {POSSIBLE}")
    return SqliteUrl(Path(rest[1:]))


def with_password(url: str, user: str | None, file: str | None) -> str:
    """A store's address with the file of its password, where one is given.

    Raises:
        UsageError: a password for what takes none, or two files.
    """
    if not file:
        if user:
            raise UsageError(f"--store-user {user!r} without a password: give --store-password-file as well")
        return url
    if not url.startswith("questdb://"):
        raise UsageError("--store-password-file is of a QuestDB: SQLite's files have no password")
    if "?" in url:
        raise UsageError("the store's address and --store-password-file both name a password's file: keep one")
    place = url.removeprefix("questdb://")
    who = "" if "@" in place else f"{quote(user or _QUESTDB_USER, safe='')}@"
    return f"questdb://{who}{place.rstrip('/')}?password_file={quote(file)}"


def _questdb(url: str) -> QuestDbUrl:
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
        given = parse_qs(parts.query, strict_parsing=bool(parts.query), keep_blank_values=True)
    except ValueError:
        # The error quotes a piece of the address, which could be a password.
        raise UsageError(f"{_shown(url)!r} is not a store's address: questdb://HOST:9000") from None
    if parts.password is not None:
        # Not shown: it holds a password.
        raise UsageError(f"a questdb:// address holds no password, it is seen by all: {PASSWORD}")
    files = given.pop("password_file", [])
    if not host or parts.path.strip("/") or given or parts.fragment or len(files) > 1:
        raise UsageError(
            f"{_shown(url)!r} is not a store's address: questdb://HOST:9000 and nothing behind it, or {PASSWORD}"
        )
    user = unquote(parts.username) if parts.username is not None else None
    if not files:
        if user is not None:
            raise UsageError(f"{_shown(url)!r} names a user and no password: {PASSWORD}")
        return QuestDbUrl(host, port or _QUESTDB_PORT)
    user = user or _QUESTDB_USER
    return QuestDbUrl(host, port or _QUESTDB_PORT, user, _password(user, files[0]))


def _shown(url: str) -> str:
    """An address that is refused, without what may be a secret in it."""
    return url if url.startswith("sqlite:///") else shown_address(url)


def _password(user: str, path: str) -> str:
    password = read_secret(Path(path), "the store's address")
    if not password:
        raise UsageError(f"the store's password file is empty: {path}")
    keep(password, f"{user}:{password}")
    return password
