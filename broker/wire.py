"""A request in bytes over one of aiokafka's connections, and its answer in bytes.

aiokafka (0.14.0) builds each request as a tree of structs and takes each answer apart into another, with a Python call
for every field, a task, a timer and three futures. Beside a wide batch that is little. At a few hundred ticks a second,
where a request carries one or two, it is most of what a process does. Fetch and produce requests therefore go through
here. The connection stays aiokafka's: it connects, encrypts, authenticates, keeps the order of the answers, and closes.
``send`` puts a ``Pending`` into its queue of unanswered requests, which stands for three objects of aiokafka's: the
request, the type of its answer, and the future that waits for it.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from io import BytesIO
from struct import Struct
from typing import Any

from aiokafka.client import AIOKafkaClient, ConnectionGroup
from aiokafka.conn import AIOKafkaConnection, CloseReason
from aiokafka.errors import KafkaConnectionError

COUNT = Struct(">i")
_HEADER = Struct(">ihhih")
_LENGTH = Struct(">h")
_CORRELATION = Struct(">i")
BODY = _CORRELATION.size
"""Where an answer's body begins."""


class Pending:
    """A request in flight. In aiokafka's queue it is the request, the type of its answer, and the waiting future.

    Attributes:
        since: monotonic time at which it was sent.
    """

    __slots__ = ("_answered", "_failed", "_over", "correlation_id", "since")

    def __init__(self, answered: Callable[[bytes], None], failed: Callable[[Exception], None]) -> None:
        """One of the two is called, once, unless ``forget`` is called before."""
        self._answered = answered
        self._failed = failed
        self._over = False
        self.since = time.monotonic()
        self.correlation_id = 0

    def forget(self) -> None:
        """Drop the answer when it comes."""
        self._over = True

    # -- what AIOKafkaConnection asks of a request ---------------------------------------------------------------------

    def parse_response_header(self, frame: BytesIO) -> Pending:
        """Read the correlation id from the header of the answer."""
        (self.correlation_id,) = _CORRELATION.unpack_from(frame.getbuffer())
        return self

    @property
    def RESPONSE_TYPE(self) -> Pending:  # noqa: N802 - as aiokafka calls it
        """The object that has ``decode``."""
        return self

    def decode(self, frame: BytesIO) -> bytes:
        """The answer as it came; its body begins at ``BODY``."""
        return frame.getvalue()

    # -- and of a future -----------------------------------------------------------------------------------------------

    def done(self) -> bool:
        """Whether nobody waits for it any more."""
        return self._over

    def set_result(self, frame: bytes) -> None:
        """The answer came."""
        self._over = True
        self._answered(frame)

    def set_exception(self, error: Exception) -> None:
        """The connection was closed."""
        self._over = True
        self._failed(error)


def packed(name: str) -> bytes:
    """A topic's name as a request holds it."""
    text = name.encode()
    return _LENGTH.pack(len(text)) + text


def name_at(frame: bytes, at: int) -> tuple[str, int]:
    """A topic's name in an answer, and where it ends."""
    start = at + _LENGTH.size
    end = start + int(_LENGTH.unpack_from(frame, at)[0])
    return frame[start:end].decode(), end


def count_at(frame: bytes, at: int) -> tuple[int, int]:
    """A count in an answer, and where what it counts begins."""
    return COUNT.unpack_from(frame, at)[0], at + COUNT.size


def connection_to(client: AIOKafkaClient, node: int) -> AIOKafkaConnection | None:
    """The client's open connection to a node, if it has one."""
    connection: AIOKafkaConnection | None = client._conns.get((node, ConnectionGroup.DEFAULT))
    return connection if connection is not None and connection.connected() else None


def supports(connection: AIOKafkaConnection, key: int, version: int) -> bool:
    """Whether the node supports this version of a request."""
    least, most = connection._versions.get(key, (0, -1))
    return bool(least <= version <= most)


def send(connection: AIOKafkaConnection, key: int, version: int, body: bytes, pending: Pending) -> None:
    """Send a request whose header has no tagged fields.

    ``pending`` fails if the connection is broken, or breaks before the answer comes.
    """
    writer = connection._writer
    if writer is None:
        pending.set_exception(KafkaConnectionError(f"No connection to broker at {connection.host}:{connection.port}"))
        return
    correlation = connection._next_correlation_id()
    client = connection._client_id.encode()
    header = _HEADER.pack(_HEADER.size - 4 + len(client) + len(body), key, version, correlation, len(client))
    connection._requests.append((correlation, pending, pending))
    try:
        writer.write(header + client + body)
    except OSError as error:
        connection.close(reason=CloseReason.CONNECTION_BROKEN, exc=error)


def overdue(connection: AIOKafkaConnection, pending: Pending) -> bool:
    """Close the connection of a request that has waited longer than the client's timeout. Returns whether it has."""
    timeout: Any = connection._request_timeout
    if timeout is None or time.monotonic() - pending.since < timeout:
        return False
    connection.close(reason=CloseReason.CONNECTION_TIMEOUT)
    return True
