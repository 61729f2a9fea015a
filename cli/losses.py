"""What workers lost to retention: read from the feed events, and taken note of there."""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import aclosing

from broker.publisher import Publisher
from broker.reader import whole
from processors.events import group_of
from processors.losses import Losses
from processors.streaming.groups import PREFIX
from schemas import FeedEvent, RecordError, decode, encode
from schemas.bounds import MAX_TEXT
from schemas.secrets import masked
from schemas.topics import FEED_EVENTS

OPERATOR = "operator"


async def read(bootstrap: str) -> list[FeedEvent]:
    """The losses that nobody took note of yet, of all groups.

    Raises:
        UsageError: no broker answers, or it does not have the topic.
        ReadError: it stops answering.
    """
    groups: dict[str, Losses] = {}
    async with aclosing(whole(bootstrap, FEED_EVENTS, client_id="ashare-acknowledge")) as chunks:
        async for chunk in chunks:
            for value in chunk.values:
                try:
                    event = decode(FeedEvent, value or b"")
                except RecordError:
                    continue
                group = group_of(event.source)
                if group is not None:
                    groups.setdefault(group, Losses(group, group.removeprefix(PREFIX)))
                for losses in groups.values():
                    losses.take(event)
    return sorted((loss for losses in groups.values() for loss in losses.open), key=lambda loss: loss.at)


async def acknowledge(bootstrap: str, losses: Sequence[FeedEvent], reason: str) -> None:
    """Take note of losses; the broker has it when this returns.

    Raises:
        UsageError: no broker answers, or it does not have the topic.
        DeliveryError: it does not take the record.
    """
    at = time.time_ns() // 1000
    noted = FeedEvent(
        "acknowledged",
        OPERATOR,
        at // 1000,
        0,
        at,
        reason=masked(reason or "told by ashare acknowledge")[:MAX_TEXT],
        end=max(loss.at for loss in losses),
        id=f"{OPERATOR}/{at // 1000}/1",
        count=len(losses),
    )
    publisher = Publisher(bootstrap, client_id="ashare-acknowledge", insist=False)
    await publisher.start(FEED_EVENTS)
    publisher.queue(FEED_EVENTS, 0).add(OPERATOR.encode(), encode(noted), at // 1000)
    await publisher.stop()
