"""Binary frames that may be packed: GZIP and ZIP by their first bytes, within a limit that no bomb passes."""

from __future__ import annotations

import struct
import zlib

from producer.feeds.errors import PackedError
from producer.feeds.limits import UNPACKED_BYTES

LARGEST = UNPACKED_BYTES
"""Bytes of an unpacked frame. A whole exchange with its order books is about 2 MB."""

_GZIP = b"\x1f\x8b"
_ZIP = b"PK\x03\x04"
_HEADER = struct.Struct("<4sHHHHHIIIHH")
_DESCRIPTOR = b"PK\x07\x08"
_STORED, _DEFLATED = 0, 8
_ENCRYPTED, _SIZES_FOLLOW = 1, 8
_WITH_GZIP_HEADER, _BARE = 31, -15


def unpacked(data: bytes, largest: int = LARGEST) -> bytes:
    """The content: of GZIP, of a ZIP's first entry, or the data as they are.

    The ZIP is read from its front, as a stream is written: an entry whose sizes follow it is whole all the same.

    Raises:
        PackedError: broken, cut short, encrypted, packed in another way, or larger than ``largest``.
    """
    if data[:2] == _GZIP:
        return _inflated(data, _WITH_GZIP_HEADER, largest)[0]
    if data[:4] == _ZIP:
        return _first_entry(data, largest)
    if len(data) > largest:
        raise PackedError(f"{len(data):,} bytes, more than {largest:,}")
    return data


def _first_entry(data: bytes, largest: int) -> bytes:
    if len(data) < _HEADER.size:
        raise PackedError("ZIP: cut short in its header")
    _, _, flags, method, _, _, checksum, packed, size, name, extra = _HEADER.unpack_from(data)
    start = _HEADER.size + name + extra
    if flags & _ENCRYPTED:
        raise PackedError("ZIP: encrypted")
    if method == _STORED and not flags & _SIZES_FOLLOW:
        if size > largest:
            raise PackedError(f"ZIP: {size:,} bytes, more than {largest:,}")
        content = data[start : start + packed]
        if len(content) < packed:
            raise PackedError("ZIP: cut short")
    elif method == _DEFLATED:
        content, rest = _inflated(data[start:], _BARE, largest)
        if flags & _SIZES_FOLLOW:
            rest = rest.removeprefix(_DESCRIPTOR)
            if len(rest) < 4:
                raise PackedError("ZIP: cut short behind its first entry")
            checksum = int.from_bytes(rest[:4], "little")
    else:
        raise PackedError(f"ZIP: packed by method {method}, which is neither 0 nor 8")
    if zlib.crc32(content) != checksum:
        raise PackedError("ZIP: wrong checksum")
    return content


def _inflated(data: bytes, form: int, largest: int) -> tuple[bytes, bytes]:
    """The content, and what follows it."""
    stream = zlib.decompressobj(form)
    try:
        content = stream.decompress(data, largest + 1)
    except zlib.error as error:
        raise PackedError(f"can't be unpacked: {error}") from error
    if len(content) > largest:
        raise PackedError(f"more than {largest:,} bytes unpacked")
    if not stream.eof:
        raise PackedError("packed, and cut short")
    return content, stream.unused_data
