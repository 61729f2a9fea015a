"""When a connection waits in vain: for its login, for its subscription, for ticks in trading hours. No I/O."""

from __future__ import annotations

from producer.gaps.silence import Silence
from producer.line.connection_state import ConnectionState
from producer.line.effects import Close
from producer.line.outgoing import Outgoing
from producer.line.subscription import Subscription

LOOK_SECONDS = 0.2
"""Between two looks at a connection."""
LOGIN_SECONDS = 10.0
ANSWER_SECONDS = 5.0
"""After a refusal, with neither an acknowledgement nor a tick for so long, nothing will come. Where not every request
was answered, or none ever is, ticks are expected from then on."""
OUTRUN_SECONDS = 3.0
"""Another line of the same codes has brought ticks for so long, and this one none: at any time of the day."""


class Watchdog:
    """Watches one line. All times are in seconds that only rise, but for ``wall``: ms since the epoch."""

    def __init__(self, subscription: Subscription, silence: Silence) -> None:
        """Watch the ticks by ``silence``."""
        self.silence = silence
        self._subscription = subscription

    def rearm(self, at: float) -> None:
        """Wait for ticks anew from now on."""
        wanted = self._subscription.wanted
        codes = None if wanted is None or self._subscription.everything else len(wanted)
        self.silence.subscribed(codes, at)

    def stands(self, connection: ConnectionState, outgoing: Outgoing, at: float) -> bool:
        """Whether the subscription is taken to stand, since nothing was said against it for long enough."""
        if self._subscription.confirmed or connection.refusal is not None:
            return False
        expected = connection.flowing or self._subscription.acknowledgement == "none"
        asked_at = outgoing.asked_at
        return expected and outgoing.idle and asked_at is not None and at - asked_at > ANSWER_SECONDS

    def verdict(
        self, connection: ConnectionState, outgoing: Outgoing, at: float, wall: int, behind: float
    ) -> Close | None:
        """Why it is time to end the connection, if it is.

        Args:
            behind: seconds for which another line of the same codes has brought ticks and this one none.
        """
        if not outgoing.logged_in and at - connection.opened > LOGIN_SECONDS:
            return Close(f"the login was not answered in {LOGIN_SECONDS:g} s")
        if connection.in_flight_since is not None and at - connection.in_flight_since > LOOK_SECONDS:
            self.rearm(at)  # it is Kafka that is waited for
        if self._subscription.confirmed and behind >= OUTRUN_SECONDS:
            return Close(f"nothing for {behind:.0f} s of what another line brings", "silence", connection.last_known)
        if not self._subscription.confirmed and connection.refusal is not None:
            late = at - connection.refused_at > ANSWER_SECONDS
            return Close(f"the feed refuses: {connection.refusal}") if late else None
        return self._silent(connection, at, wall)

    def _silent(self, connection: ConnectionState, at: float, wall: int) -> Close | None:
        silent = self.silence.verdict(wall, at)
        if silent is None:
            return None
        self.silence.gave_up()
        since = wall * 1000 - int(silent.seconds * 1e6) if silent.board else connection.last_known
        return Close(str(silent), "silence", since)
