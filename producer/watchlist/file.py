"""The codes to subscribe, as a file that people write, commands change and a running producer watches.

One code a line, or several with commas; ``#`` begins a comment; a JSON array is read too. Codes are kept as they are
written there. The file may be in UTF-8, with a mark or without, in UTF-16 with one, or in GBK; commands write UTF-8.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import tempfile
import time
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import msgspec

from market.codes import UnknownCode
from market.kinds import resolve
from schemas import UsageError
from schemas.text_files import decoded

LARGEST = 8 << 20
"""Bytes of a watchlist; the whole market takes 40 kB."""
LOCK_SECONDS = 1.0
"""Longest that a change waits for another one; each takes a few milliseconds."""
_LOCK_PAUSE = 0.005
_SEPARATORS = dict.fromkeys(map(ord, ",;\uff0c\uff1b\u3001"), " ")
_COMMENT = re.compile("[#\uff03]")
_HEAD = "# Codes to subscribe, one a line. A running producer takes changes up within a second.\n"


def parse(text: str, where: str = "the watchlist") -> list[str]:
    """The codes of a watchlist, each once, in order; ``600519.SH`` and the like become the one form, 600519.

    Bare digits that can be nothing but a fund, a convertible bond or an index are taken too: 510300 is 510300.SSE.

    Raises:
        UsageError: names what is not a code, and where it stands.
    """
    if text.lstrip().startswith("["):
        try:
            written = [(1, code) for code in msgspec.json.decode(text, type=list[str])]
        except msgspec.MsgspecError as error:
            raise UsageError(f'{where} is not a JSON array of texts ({error}): write ["600519","000001"]') from error
    else:
        written = [
            (number, code)
            for number, line in enumerate(text.splitlines(), start=1)
            for code in _words(_COMMENT.split(line, maxsplit=1)[0])
        ]
    return list(dict.fromkeys(_code(code, f"{where}, line {number}") for number, code in written))


def codes(written: Iterable[str]) -> list[str]:
    """Codes as they are given to a command: each argument one, or several with commas.

    Raises:
        UsageError: names what is not a code.
    """
    return list(dict.fromkeys(_code(code, "codes") for some in written for code in _words(some)))


def changed(now: Sequence[str], add: Sequence[str] = (), remove: Sequence[str] = ()) -> list[str]:
    """The list with codes added at its end, and others taken out. Adding what is there changes nothing."""
    leaving = set(remove)
    return list(dict.fromkeys(code for code in (*now, *add) if code not in leaving))


def edited(text: str, wanted: Sequence[str]) -> str:
    """A watchlist's text with other codes in it: lines whose codes all stay are kept as they are, comments included."""
    if text.lstrip().startswith("["):
        return msgspec.json.encode(list(wanted)).decode() + "\n"
    left = dict.fromkeys(wanted)
    lines = []
    for line in text.splitlines():
        content, *behind = _COMMENT.split(line, maxsplit=1)
        written = _words(content)
        known = [_known(code) for code in written]
        stay = [code for code in known if code is not None and code in left]
        if stay == known:
            lines.append(line)
        elif stay:
            lines.append(" ".join(stay) + "".join(f"  #{comment}" for comment in behind))
        for code in stay:
            left.pop(code, None)
    return "".join(f"{line}\n" for line in [*lines, *left])


def load(path: Path) -> list[str]:
    """The codes in a file.

    Raises:
        UsageError: it can't be read, or holds something else.
    """
    try:
        with path.open("rb") as file:
            content = file.read(LARGEST + 1)
    except FileNotFoundError:
        raise UsageError(f"there is no watchlist {path}: `ashare watchlist add CODE …` makes one") from None
    except OSError as error:
        raise UsageError(f"the watchlist {path} can't be read: {error}") from error
    if len(content) > LARGEST:
        raise UsageError(f"the watchlist {path} has more than {LARGEST >> 20} MiB: it holds one code a line")
    return parse(_text(path, content), str(path))


def save(path: Path, wanted: Sequence[str]) -> None:
    """Write the file whole or not at all, whoever reads it meanwhile; comments stay with the lines that stay.

    Raises:
        UsageError: it can't be written.
    """
    temporary = None
    try:
        text = edited(_text(path, path.read_bytes()) if path.exists() else _HEAD, wanted)
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        mode = path.stat().st_mode & 0o777 if path.exists() else 0o600
        Path(temporary).chmod(mode)
        Path(temporary).replace(path)
    except OSError as error:
        if temporary is not None:
            with contextlib.suppress(OSError):
                Path(temporary).unlink()
        raise UsageError(f"the watchlist {path} can't be written: {error}") from error


@contextlib.contextmanager
def locked(path: Path) -> Iterator[None]:
    """Keep other processes from changing the file between reading and saving it.

    The lock lies beside the file, which is replaced whole, as ``.NAME.lock``.

    Raises:
        UsageError: another process holds the lock for ``LOCK_SECONDS``, or it can't be made.
    """
    place = path.parent / f".{path.name}.lock"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with place.open("ab") as lock:
            deadline = time.monotonic() + LOCK_SECONDS
            while not _try_lock(lock.fileno()):
                if time.monotonic() > deadline:
                    raise UsageError(f"the watchlist {path} is being changed by another process: try again")
                time.sleep(_LOCK_PAUSE)
            yield
    except OSError as error:
        raise UsageError(f"the watchlist {path} can't be locked: {error}") from error


def _try_lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def stamp(path: Path) -> tuple[int, int, int] | None:
    """What changes when the file does; ``None`` where there is none."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino


def _text(path: Path, content: bytes) -> str:
    try:
        text = decoded(content)
    except UnicodeDecodeError:
        text = "\0"
    if "\0" in text:
        raise UsageError(f"the watchlist {path} is not text in UTF-8 or GBK: save it as UTF-8, one code a line")
    return text


def _words(written: str) -> list[str]:
    """What stands between commas and spaces, those of Chinese writing too."""
    return written.translate(_SEPARATORS).split()


def _code(written: str, where: str) -> str:
    try:
        return resolve(written)
    except UnknownCode as error:
        raise UsageError(f"{where}: {error}") from error


def _known(written: str) -> str | None:
    try:
        return resolve(written)
    except UnknownCode:
        return None
