"""Who packs the requests that carry records: ``broker``, over aiokafka's connections, or aiokafka itself.

``direct``, the default, packs and reads produce and fetch requests in ``broker.producing`` and ``broker.fetching``.
``plain`` leaves all of that to aiokafka: its fetcher asks, its sender sends. What is published and read is the same;
what it costs is in ``docs/performance.md``. Use ``plain`` where a fault may lie in the requests.
"""

from __future__ import annotations

import os

from schemas import UsageError

VARIABLE = "ASHARE_KAFKA_CLIENT"
DIRECT, PLAIN = "direct", "plain"


def plain() -> bool:
    """Whether aiokafka packs all requests of clients that are made from now on.

    Raises:
        UsageError: the environment names neither mode.
    """
    chosen = os.environ.get(VARIABLE) or DIRECT
    if chosen not in {DIRECT, PLAIN}:
        raise UsageError(f"{VARIABLE} (--kafka-client) is {chosen!r}: set it to {DIRECT} or {PLAIN}")
    return chosen == PLAIN
