"""Which logs stand behind topics' names, and where they end: asked of the brokers over sockets of its own.

Blocking, for a thread: what watches a client of aiokafka's must need neither that client nor the loop that it runs on.
aiokafka (0.14.0) does not support the version of the metadata request that gives topics' ids either.
"""

from __future__ import annotations

import asyncio
import socket
import struct
from base64 import urlsafe_b64encode
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from struct import Struct, pack
from typing import Self

from broker import security
from broker.bootstrap import addresses
from broker.errors import BrokerError
from broker.login import connect, lacks
from schemas import UsageError

_METADATA, _METADATA_VERSION = 3, 10
_LIST_OFFSETS, _LIST_OFFSETS_VERSION = 2, 1
_LATEST = -1
_NOT_ALLOWED = 29
_CLIENT = b"ashare-probe"
_LIMIT_BYTES = 16 << 20

_INT16, _INT32, _INT64 = Struct(">h"), Struct(">i"), Struct(">q")
_NO_ID = bytes(16)


class ProbeError(BrokerError):
    """No broker answered; the text says why."""


@dataclass(frozen=True)
class LogId:
    """What distinguishes a topic from another of the same name: ids as Kafka prints them, "" where unknown."""

    cluster: str
    topic: str


@dataclass(frozen=True)
class Found:
    """What the brokers answered: the logs that exist, by topic, and the address of each partition's leader.

    Attributes:
        hidden: topics that this user may not see, whether they exist or not.
    """

    cluster: str
    logs: Mapping[str, LogId]
    leaders: Mapping[tuple[str, int], tuple[str, int]] = field(repr=False)
    hidden: frozenset[str] = frozenset()


class Probe:
    """Asks; not for use from several threads at once."""

    def __init__(self, bootstrap: str, *, timeout: float = 5.0) -> None:
        """Nothing connects before the first question.

        Args:
            timeout: seconds for a connection, and for each piece of an answer.
        """
        self._servers = addresses(bootstrap)
        self._security = security.current()
        self._timeout = timeout
        self._sockets: dict[tuple[str, int], socket.socket] = {}
        self._correlation = 0

    def __enter__(self) -> Self:
        """Nothing to do."""
        return self

    def __exit__(self, *_: object) -> None:
        """Hang up."""
        self.close()

    def close(self) -> None:
        """Hang up."""
        for connection in self._sockets.values():
            connection.close()
        self._sockets.clear()

    def find(self, topics: Iterable[str]) -> Found:
        """The logs behind the topics' names; a topic that does not exist is left out.

        Raises:
            ProbeError: no broker answers.
        """
        names = list(topics)
        body = b"\0" + _varint(len(names) + 1) + b"".join(_NO_ID + _compact(name) + b"\0" for name in names)
        body += b"\0\0\0\0"  # make no topic, list no operations, no tagged fields
        failures = []
        for server in self._servers:
            try:
                return _found(self._ask(server, _METADATA, _METADATA_VERSION, body))
            except (OSError, struct.error, IndexError, UnicodeDecodeError, ValueError) as error:
                failures.append(f"{server[0]}:{server[1]}: {error}")
        raise ProbeError("; ".join(failures))

    def ends(self, found: Found, topics: Iterable[str]) -> dict[tuple[str, int], int]:
        """The offset that the next record of each of the topics' partitions gets, where its leader knows it.

        Raises:
            ProbeError: a leader does not answer.
        """
        names = set(topics)
        asked: dict[tuple[str, int], dict[str, list[int]]] = {}
        for (topic, partition), leader in found.leaders.items():
            if topic in names:
                asked.setdefault(leader, {}).setdefault(topic, []).append(partition)
        ends: dict[tuple[str, int], int] = {}
        for leader, partitions in asked.items():
            parts = [_INT32.pack(-1), _INT32.pack(len(partitions))]
            for topic, numbers in partitions.items():
                name = topic.encode()
                parts += (_INT16.pack(len(name)), name, _INT32.pack(len(numbers)))
                parts += [_INT32.pack(number) + _INT64.pack(_LATEST) for number in numbers]
            try:
                ends |= _ends(self._ask(leader, _LIST_OFFSETS, _LIST_OFFSETS_VERSION, b"".join(parts)))
            except (OSError, struct.error, IndexError, UnicodeDecodeError) as error:
                raise ProbeError(f"{leader[0]}:{leader[1]}: {error}") from error
        return ends

    def _ask(self, server: tuple[str, int], key: int, version: int, body: bytes) -> Reader:
        """The answer, behind its correlation id; what fails on a connection of before is asked on a new one."""
        for fresh in (server not in self._sockets, True):
            try:
                return self._exchange(server, key, version, body)
            except OSError:
                connection = self._sockets.pop(server, None)
                if connection is not None:
                    connection.close()
                if fresh:
                    raise
        raise AssertionError

    def _exchange(self, server: tuple[str, int], key: int, version: int, body: bytes) -> Reader:
        connection = self._sockets.get(server)
        if connection is None:
            connection = self._sockets[server] = connect(server, self._timeout, self._security)
        self._correlation += 1
        request = pack(">hhih", key, version, self._correlation, len(_CLIENT)) + _CLIENT + body
        connection.sendall(_INT32.pack(len(request)) + request)
        (size,) = _INT32.unpack(_read(connection, 4))
        if not 4 <= size <= _LIMIT_BYTES:
            raise ConnectionError(f"an answer of {size:,} bytes")
        answer = Reader(_read(connection, size))
        if answer.int32() != self._correlation:
            raise ConnectionError("an answer to another request")
        return answer


def hidden(bootstrap: str, topics: Iterable[str]) -> frozenset[str]:
    """Those of some topics that this user may not see; none where no broker tells."""
    try:
        with Probe(bootstrap) as probe:
            return probe.find(topics).hidden
    except ProbeError:
        return frozenset()


async def absent(bootstrap: str, topic: str) -> UsageError:
    """The error of a topic that a client does not find: it is not there, or this user may not see it."""
    if topic in await asyncio.to_thread(hidden, bootstrap, [topic]):
        return UsageError(lacks(f"READ or WRITE on the topic {topic}"))
    return UsageError(f"topic {topic} is not on {bootstrap}: run `ashare topics apply`")


class Reader:
    """Reads an answer field by field."""

    def __init__(self, data: bytes) -> None:
        """At the beginning."""
        self._data = data
        self._at = 0

    def _take(self, kind: Struct) -> int:
        (value,) = kind.unpack_from(self._data, self._at)
        self._at += kind.size
        return int(value)

    def int16(self) -> int:
        """Two bytes."""
        return self._take(_INT16)

    def int32(self) -> int:
        """Four bytes."""
        return self._take(_INT32)

    def int64(self) -> int:
        """Eight bytes."""
        return self._take(_INT64)

    def some(self, size: int) -> bytes:
        """So many bytes."""
        self._at += size
        if self._at > len(self._data):
            raise IndexError("the answer ends too early")
        return self._data[self._at - size : self._at]

    def varint(self) -> int:
        """An unsigned number of seven bits a byte."""
        value = shift = 0
        while shift < 35:
            byte = self.some(1)[0]
            value |= (byte & 0x7F) << shift
            if byte < 0x80:
                return value
            shift += 7
        raise ValueError("a number of more than five bytes")

    def compact(self) -> str:
        """A text, "" for none."""
        return self.some(max(self.varint() - 1, 0)).decode()

    def tags(self) -> None:
        """Tagged fields, passed over."""
        for _ in range(self.varint()):
            self.varint()
            self.some(self.varint())

    def numbers(self) -> None:
        """A list of four-byte numbers, passed over."""
        self.some(4 * max(self.varint() - 1, 0))


def _found(answer: Reader) -> Found:
    answer.tags()
    answer.int32()  # throttled
    brokers = {}
    for _ in range(answer.varint() - 1):
        node, host, port = answer.int32(), answer.compact(), answer.int32()
        answer.compact()  # rack
        answer.tags()
        brokers[node] = (host, port)
    cluster = answer.compact()
    answer.int32()  # controller
    logs, leaders, hidden = {}, {}, set()
    for _ in range(answer.varint() - 1):
        error, name, topic = answer.int16(), answer.compact(), answer.some(16)
        answer.some(1)  # internal
        for _ in range(answer.varint() - 1):
            answer.int16()
            partition, leader = answer.int32(), answer.int32()
            answer.int32()  # epoch
            for _ in range(3):
                answer.numbers()
            answer.tags()
            if leader in brokers:
                leaders[name, partition] = brokers[leader]
        answer.int32()  # operations
        answer.tags()
        if error == _NOT_ALLOWED:
            hidden.add(name)
        if not error:
            logs[name] = LogId(cluster, "" if topic == _NO_ID else urlsafe_b64encode(topic).decode().rstrip("="))
    return Found(cluster, logs, leaders, frozenset(hidden))


def _ends(answer: Reader) -> dict[tuple[str, int], int]:
    ends = {}
    for _ in range(answer.int32()):
        topic = answer.some(answer.int16()).decode()
        for _ in range(answer.int32()):
            partition, error = answer.int32(), answer.int16()
            answer.int64()
            end = answer.int64()
            if not error:
                ends[topic, partition] = end
    return ends


def _varint(value: int) -> bytes:
    parts = []
    while value >= 0x80:
        parts.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*parts, value])


def _compact(text: str) -> bytes:
    data = text.encode()
    return _varint(len(data) + 1) + data


def _read(connection: socket.socket, size: int) -> bytes:
    content = bytearray()
    while len(content) < size:
        piece = connection.recv(min(size - len(content), 1 << 16))
        if not piece:
            raise ConnectionError("the broker hung up")
        content += piece
    return bytes(content)
