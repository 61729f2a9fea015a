"""Text files that people write, in whatever encoding their editor chose."""

from __future__ import annotations

import codecs
from pathlib import Path

from schemas.errors import UsageError
from schemas.outside import encoding_of

_MARKED = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
_LONGEST_SECRET = 64 << 10


def decoded(content: bytes) -> str:
    """A text in UTF-8 or UTF-16 with a mark, in UTF-8, or else in GBK, as Chinese editors of old write.

    Raises:
        UnicodeDecodeError: in none of them.
    """
    return content.decode(encoding_of(content))


def read_secret(path: Path, named: str) -> str:
    """The one secret that a file holds, without what surrounds it.

    A mark at the beginning is not part of it. What is neither UTF-8 nor marked is refused: read as GBK it might be
    another secret.

    Args:
        named: what names the file, for errors; they never quote the content.

    Raises:
        UsageError: it can't be read, or holds something else.
    """
    try:
        with path.open("rb") as file:
            content = file.read(_LONGEST_SECRET + 1)
        encoding = "utf-16" if content.startswith(_MARKED) else "utf-8-sig"
        text = content.decode(encoding).strip()
    except UnicodeDecodeError:
        # Not the cause: it holds the content.
        raise UsageError(f"{named} names a file that is not UTF-8 text: save {path} as UTF-8") from None
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) else error
        raise UsageError(f"{named} names a file that can't be read: {why}: {path}") from error
    if not text.isprintable() or len(content) > _LONGEST_SECRET:
        raise UsageError(f"{named} names a file of several lines or of what is not text: {path} holds one secret")
    return text
