"""``ashare produce``: one upstream connection into Kafka."""

from __future__ import annotations

from typing import Annotated

from cli.settings import default, option, secret


def command(
    *,
    bootstrap: Annotated[str, option("bootstrap")] = default("bootstrap"),
    url: Annotated[str, option("url")] = default("url"),
    token: Annotated[str | None, option("token")] = default("token"),
    symbols: Annotated[str, option("symbols")] = default("symbols"),
    source: Annotated[str, option("source")] = default("source"),
    trades_only: Annotated[bool, option("trades_only")] = default("trades_only"),
    foreign: Annotated[bool, option("foreign")] = default("foreign"),
    heartbeat: Annotated[float, option("heartbeat")] = default("heartbeat"),
    heartbeat_message: Annotated[str | None, option("heartbeat_message")] = default("heartbeat_message"),
) -> None:
    """Take ticks off a feed's WebSocket and put them into Kafka, one record a tick, keyed by code.

    Reconnects and resubscribes by itself; what it missed meanwhile is announced in ashare.feed-events.v1, and what
    cannot be read goes to ashare.dead-letters.v1. SIGTERM or Ctrl-C stops it once everything in hand is delivered.

    Example: ASHARE_FEED_TOKEN_FILE=token.txt ashare produce --url wss://feed.example/stock --symbols 600519,000001
    """
    import logging
    import sys

    import uvloop

    from producer.run import ProducerOptions, run

    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s", stream=sys.stderr)
    logging.getLogger("websockets").setLevel(logging.WARNING)  # below, it prints the address with its token
    logging.getLogger("aiokafka").setLevel(
        logging.CRITICAL
    )  # 60 lines a second while a broker is away: run says it once
    uvloop.run(
        run(
            ProducerOptions(
                bootstrap=bootstrap,
                url=url,
                token=secret("token", token),
                symbols=symbols,
                source=source,
                trades_only=trades_only,
                foreign=foreign,
                heartbeat=heartbeat,
                heartbeat_message=heartbeat_message or None,
            )
        )
    )
