"""Who may ask for what: tokens with what each is entitled to."""

from __future__ import annotations

import hmac
from dataclasses import dataclass
from pathlib import Path

import msgspec

from consumers.gateway.subscription import MAX_HZ, Subscription, read_boards, read_codes
from market.codes import Board
from schemas import UsageError
from schemas.secrets import keep

SHORTEST = 16
_LARGEST = 1 << 20


class _Token(msgspec.Struct, forbid_unknown_fields=True):
    name: str
    token: str
    codes: str | list[str] | None = None
    boards: str | list[str] | None = None
    wildcard: bool = True
    max_hz: float = MAX_HZ


class NotEntitledError(Exception):
    """A token does not allow what was asked; the text says what it allows."""


@dataclass(frozen=True)
class Rights:
    """What a client may have; without tokens, all.

    Attributes:
        codes, boards: whose rows; a row of either is allowed, ``None`` for both: every row.
        wildcard: whether it may ask for all at once.
    """

    name: str = ""
    codes: frozenset[str] | None = None
    boards: frozenset[Board] | None = None
    wildcard: bool = True
    max_hz: float = MAX_HZ

    @property
    def everything(self) -> bool:
        """Whether every row is allowed."""
        return self.codes is None and self.boards is None

    def allows(self, code: str, board: Board) -> bool:
        """Whether a row is."""
        return self.everything or code in (self.codes or ()) or board in (self.boards or ())

    def check(self, asked: Subscription, boards: dict[str, Board]) -> None:
        """Refuse a subscription that goes beyond the rights.

        Args:
            boards: of the codes that are asked for one by one.

        Raises:
            NotEntitledError: it does.
        """
        if asked.codes is None:
            if not self.wildcard:
                raise NotEntitledError(f"the token of {self.name} may not ask for all: name codes")
            if not self.everything and not (asked.boards and asked.boards <= (self.boards or frozenset())):
                raise NotEntitledError(f"the token of {self.name} has {self._has()}: ask for these")
            return
        beyond = sorted(code for code in asked.codes if not self.allows(code, boards[code]))
        if beyond:
            raise NotEntitledError(f"the token of {self.name} does not have {beyond[0]}, only {self._has()}")

    def _has(self) -> str:
        boards = f"boards {','.join(sorted(self.boards))}" if self.boards else ""
        codes = f"{len(self.codes)} codes" if self.codes else ""
        return " and ".join(filter(None, (boards, codes)))


ALL = Rights()


class Tokens:
    """The tokens of a file."""

    def __init__(self, rights: dict[str, Rights]) -> None:
        """By token."""
        self._rights = rights

    def of(self, given: str) -> Rights | None:
        """The rights of a token; compared in constant time."""
        found = None
        for token, rights in self._rights.items():
            if hmac.compare_digest(token.encode(), given.encode("utf-8", "replace")):
                found = rights
        return found


def read_tokens(path: Path) -> Tokens:
    """The tokens of a JSON file.

    Raises:
        UsageError: it can't be read, or an entry can't be meant; no token is quoted.
    """
    try:
        with path.open("rb") as file:
            content = file.read(_LARGEST)
    except OSError as error:
        raise UsageError(f"--tokens {path} can't be read: {error.strerror}") from error
    try:
        entries = msgspec.json.decode(content, type=list[_Token])
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise UsageError(f'--tokens {path}: {error}: write [{{"name":"desk","token":"…"}}]') from None
    keep(*(entry.token for entry in entries))
    rights: dict[str, Rights] = {}
    for entry in entries:
        try:
            rights[_usable(entry, rights)] = Rights(
                entry.name,
                None if entry.codes is None else read_codes(entry.codes),
                read_boards(entry.boards),
                entry.wildcard,
                min(entry.max_hz, MAX_HZ),
            )
        except UsageError as error:
            raise UsageError(f"--tokens {path}: {entry.name}: {error}") from None
    if not rights:
        raise UsageError(f"--tokens {path}: there is no token in it, so that nobody could ask")
    return Tokens(rights)


def _usable(entry: _Token, others: dict[str, Rights]) -> str:
    if len(entry.token) < SHORTEST:
        raise UsageError(f"its token is shorter than {SHORTEST} characters: make one with `openssl rand -hex 24`")
    if entry.token in others:
        raise UsageError("its token is also another's")
    if entry.max_hz <= 0:
        raise UsageError("max_hz is not positive")
    return entry.token
