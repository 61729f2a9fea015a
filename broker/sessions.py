"""Connections that are replaced before the broker ends them: a login holds for as long as the broker says.

Where a broker has ``connections.max.reauth.ms``, or a token expires, its answer to a login says how long the session
is. From then on it cuts the connection at the next request. aiokafka (0.14.0) does not log in again on an open
connection, so each of its connections was cut in the middle of a request every so often: nothing is lost by that, but
it reads like a fault, and the group's coordinator is looked for anew. Here a connection retires before: it counts as
not connected, so that its client opens another one for what comes next. It closes when what it was asked is answered.
"""

from __future__ import annotations

from typing import Any

from aiokafka import conn
from aiokafka.protocol.admin import SaslAuthenticateRequest

_SHARE = 0.85
"""Of a session, after which its connection retires; Java's client logs in again after 85 to 95 %."""
_LOOK_SECONDS = 0.05
_LONGEST_SECONDS = 60.0
"""After which it closes with what is not answered; no request of ours is waited for so long."""


class SessionConnection(conn.AIOKafkaConnection):  # type: ignore[misc]
    """aiokafka's connection, which retires before its session ends."""

    _retired = False

    def connected(self) -> bool:
        """Whether requests may be sent; changes between turns of the event loop alone."""
        return not self._retired and bool(super().connected())

    def send(self, request: Any, expect_response: bool = True) -> Any:  # noqa: FBT001, FBT002 - aiokafka's
        """As aiokafka's; the answer to a login says how long it holds."""
        sent = super().send(request, expect_response)
        return self._noted(sent) if isinstance(request, SaslAuthenticateRequest) else sent

    async def _noted(self, sent: Any) -> Any:
        answer = await sent
        lifetime_ms = getattr(answer, "session_lifetime_ms", 0)
        if lifetime_ms > 0 and not answer.error_code:
            self._loop.call_later(lifetime_ms / 1000 * _SHARE, self._retire)
        return answer

    def _retire(self, waited: float = 0.0) -> None:
        if not super().connected():
            return
        self._retired = True
        if self._requests and waited < _LONGEST_SECONDS:
            self._loop.call_later(_LOOK_SECONDS, self._retire, waited + _LOOK_SECONDS)
        else:
            self.close(reason=conn.CloseReason.IDLE_DROP)
