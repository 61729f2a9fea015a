"""The boundary between aiokafka and its transports: every error of a transport becomes a connection error here.

aiokafka (0.14.0) takes an ``OSError`` from a write for a broken connection, and nothing else. uvloop raises
``RuntimeError`` for a write to a connection that was reset a moment ago and whose reader does not know it yet. Such an
error went through aiokafka's background tasks and ended them. Without the task that keeps the metadata, every later
look-up of a coordinator waits for ever.
"""

from __future__ import annotations

import asyncio
import logging
from typing import Any

from aiokafka import conn
from aiokafka.errors import KafkaConnectionError, KafkaError

from broker.sessions import SessionConnection

log = logging.getLogger(__name__)


class Writer:
    """A stream's writer whose errors are all an ``OSError``; ``guarded`` says so, whoever made it so."""

    guarded = True

    def __init__(self, writer: Any) -> None:
        """Write through ``writer``."""
        self._stream = writer

    def write(self, data: bytes) -> None:
        """Send bytes.

        Raises:
            OSError: the connection is broken.
        """
        try:
            self._stream.write(data)
        except OSError:
            raise
        except Exception as error:
            raise ConnectionResetError(f"the connection was closed under a write: {error}") from error

    async def drain(self) -> None:
        """Wait for room.

        Raises:
            OSError: the connection is broken.
        """
        try:
            await self._stream.drain()
        except OSError:
            raise
        except Exception as error:
            raise ConnectionResetError(f"the connection was closed under a write: {error}") from error

    def close(self) -> None:
        """Close; what is closed already is left alone."""
        try:
            self._stream.close()
        except Exception as error:  # noqa: BLE001 - the rest of a connection's closing must not depend on it
            log.debug("closing a connection: %r", error)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


class Connection(SessionConnection):
    """aiokafka's connection on such a writer."""

    _guarded: Writer | None = None

    @property
    def _writer(self) -> Writer | None:
        return self._guarded

    @_writer.setter
    def _writer(self, writer: Any) -> None:
        self._guarded = writer if writer is None or getattr(writer, "guarded", False) else Writer(writer)

    async def connect(self) -> Any:
        """Connect and shake hands.

        Raises:
            OSError, KafkaError: it failed.
        """
        try:
            return await super().connect()
        except (OSError, KafkaError, asyncio.CancelledError):
            raise
        except Exception as error:
            raise KafkaConnectionError(f"connecting to {self.host}:{self.port} failed: {error!r}") from error


def install() -> None:
    """Make every connection that aiokafka opens in this process one of these."""
    conn.AIOKafkaConnection = Connection
