"""``ashare acknowledge``."""

from __future__ import annotations

from typing import Annotated

import typer

from cli.settings import default, option
from schemas import UsageError


def command(
    bootstrap: Annotated[str, option("bootstrap")] = default("bootstrap"),
    reason: Annotated[
        str, typer.Option("--reason", metavar="TEXT", help="what was done about it; it is kept in the feed events")
    ] = "",
) -> None:
    """Take note of records that workers lost to retention.

    The workers' /health turns green again.

    The log was deleted before a worker had read it: it was stopped, or behind, for longer than the topic is kept. What
    was made of those ticks lacks them for good; the snapshots bear a gap mark. This changes nothing of that, and names
    what it takes note of.

    Example: ashare acknowledge --reason "read again from the archive"
    """
    import asyncio
    import logging

    from broker.errors import RefusedError
    from broker.publisher import DeliveryError
    from broker.reader import ReadError
    from cli.losses import acknowledge, read
    from schemas.outside import printable

    for chatty in ("aiokafka", "broker"):
        logging.getLogger(chatty).setLevel(logging.CRITICAL)

    async def run() -> list[str]:
        losses = await read(bootstrap)
        if losses:
            await acknowledge(bootstrap, losses, reason)
        return [printable(loss.reason or loss.id or "") for loss in losses]

    try:
        noted = asyncio.run(run())
    except RefusedError as error:
        raise UsageError(str(error)) from error
    except (ReadError, DeliveryError) as error:
        raise UsageError(f"{error}: is the broker well (--bootstrap)?") from error
    for text in noted:
        print(f"noted: {text}")
    if not noted:
        print("nothing to take note of: no worker lost records to retention since the last time")
