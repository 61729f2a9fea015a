"""``ashare produce``: a feed's connections into Kafka."""

from __future__ import annotations

from typing import Annotated

from cli.settings import default, option, secret


def command(
    *,
    bootstrap: Annotated[str, option("bootstrap")] = default("bootstrap"),
    feed: Annotated[str, option("feed")] = default("feed"),
    url: Annotated[str | None, option("url")] = default("url"),
    token: Annotated[str | None, option("token")] = default("token"),
    symbols: Annotated[str, option("symbols")] = default("symbols"),
    watchlist: Annotated[str | None, option("watchlist")] = default("watchlist"),
    lines: Annotated[int | None, option("lines")] = default("lines"),
    arbitrate: Annotated[bool, option("arbitrate")] = default("arbitrate"),
    second_feed: Annotated[str | None, option("second_feed")] = default("second_feed"),
    second_url: Annotated[str | None, option("second_url")] = default("second_url"),
    second_token: Annotated[str | None, option("second_token")] = default("second_token"),
    source: Annotated[str, option("source")] = default("source"),
    trades_only: Annotated[bool, option("trades_only")] = default("trades_only"),
    foreign: Annotated[bool, option("foreign")] = default("foreign"),
    kinds: Annotated[str, option("kinds")] = default("kinds"),
    quality: Annotated[str, option("quality")] = default("quality"),
    own_clock: Annotated[bool, option("own_clock")] = default("own_clock"),
    heartbeat: Annotated[float, option("heartbeat")] = default("heartbeat"),
    heartbeat_message: Annotated[str | None, option("heartbeat_message")] = default("heartbeat_message"),
    volume_unit: Annotated[str | None, option("volume_unit")] = default("volume_unit"),
    turnover: Annotated[str | None, option("turnover")] = default("turnover"),
    time_unit: Annotated[str | None, option("time_unit")] = default("time_unit"),
    http_port: Annotated[int | None, option("http_port")] = default("http_port"),
    http_token: Annotated[str | None, option("http_token")] = default("http_token"),
) -> None:
    """Take ticks off a feed's WebSocket and put them into Kafka.

    One record a tick, keyed by code. Reconnects and resubscribes by itself; what it missed meanwhile is announced in
    ashare.feed-events.v1, and what cannot be read goes to ashare.dead-letters.v1. SIGTERM or Ctrl-C stops it once
    everything in hand is delivered.

    Example: ASHARE_FEED_TOKEN_FILE=token.txt ashare produce --url wss://feed.example/stock --symbols 600519,000001
    Example: ASHARE_FEED_TOKEN_FILE=token.txt ashare produce --feed alltick --watchlist codes.txt --http-port 6070
    """
    import logging
    import sys

    import uvloop

    from broker.publisher import DeliveryError
    from cli.clear_text import warn_of_clear_text
    from cli.terminal import log_to_stderr
    from producer.app import ProducerOptions, run
    from schemas.outside import printable

    log_to_stderr(logging.INFO)
    logging.getLogger("websockets").setLevel(logging.WARNING)  # below, it prints the address with its token
    logging.getLogger("aiokafka").setLevel(
        logging.CRITICAL
    )  # 60 lines a second while a broker is away: run says it once
    chosen, second = secret("token", token), secret("second_token", second_token)
    warn_of_clear_text((feed, url, chosen), (second_feed or feed, second_url, second or chosen))
    try:
        uvloop.run(
            run(
                ProducerOptions(
                    bootstrap=bootstrap,
                    feed=feed,
                    url=url or None,
                    token=chosen,
                    symbols=symbols,
                    watchlist=watchlist or None,
                    lines=lines,
                    arbitrate=arbitrate,
                    second_feed=second_feed or None,
                    second_url=second_url or None,
                    second_token=second,
                    source=source,
                    trades_only=trades_only,
                    foreign=foreign,
                    kinds=kinds,
                    quality=quality,
                    own_clock=own_clock,
                    heartbeat=heartbeat,
                    heartbeat_message=heartbeat_message or None,
                    volume_unit=volume_unit or None,
                    turnover=turnover or None,
                    time_unit=time_unit or None,
                    http_port=http_port,
                    http_token=secret("http_token", http_token or None),
                )
            )
        )
    except DeliveryError as error:
        sys.stderr.write(f"ashare: {printable(str(error))}\n")
        sys.exit(1)
