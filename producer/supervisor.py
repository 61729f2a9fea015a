"""The lines of one producer: each lives and fails for itself, and the codes are dealt among them."""

from __future__ import annotations

import asyncio
import copy
import logging
from collections.abc import Callable, Sequence

from producer.line.driver import Line
from producer.line.tasks import fault_of
from producer.watchlist.dealing import Dealer
from schemas import UsageError

log = logging.getLogger(__name__)


class Supervisor:
    """Runs lines until all of them have ended, and changes what they subscribe."""

    def __init__(
        self,
        lines: Sequence[Sequence[Line]],
        dealer: Dealer,
        *,
        changed: Callable[[Sequence[str]], None] = lambda _: None,
    ) -> None:
        """Nothing runs yet.

        Args:
            lines: in groups; every line of a group subscribes the same codes.
            dealer: of codes to groups.
            changed: called with every new list.
        """
        self.groups = lines
        self.codes: list[str] | None = None
        """What is subscribed, ``None`` for the whole market."""
        self._dealer = dealer
        self._changed = changed

    @property
    def lines(self) -> list[Line]:
        """All lines, in order."""
        return [line for group in self.groups for line in group]

    def want(self, codes: Sequence[str]) -> None:
        """Subscribe these codes instead, each on the line that it was on.

        Raises:
            UsageError: the lines don't carry as many, or a feed can't have one of them; nothing has changed then.
        """
        dealer = copy.copy(self._dealer)
        dealt = dealer.deal(codes)
        for group, some in zip(self.groups, dealt, strict=True):
            for line in group:
                line.check(some)
        self._dealer = dealer
        self.codes = list(dict.fromkeys(codes))
        self._changed(self.codes)
        for group, some in zip(self.groups, dealt, strict=True):
            for line in group:
                line.want(some)

    async def run(self, stop: asyncio.Event) -> None:
        """Run every line. One that the feed refuses for good stops alone; the others go on.

        Raises:
            UsageError: every line has been refused; the text holds each reason once.
            Exception: a line failed, or ended before it was stopped.
        """
        running = {asyncio.create_task(line.run(stop), name=line.name): line for line in self.lines}
        refused: list[str] = []
        pending = set(running)
        try:
            while pending:
                done, pending = await asyncio.wait(pending, return_when=asyncio.FIRST_COMPLETED)
                for task in done:
                    error = task.exception() if not task.cancelled() else fault_of(task)
                    if error is None and not stop.is_set():
                        error = fault_of(task)
                    if isinstance(error, UsageError):
                        refused.append(str(error))
                        if pending:
                            name = running[task].name
                            log.critical("line %s has stopped, the others go on: %s", name, error)
                    elif error is not None:
                        log.critical("line %s has failed, and the others end with it: %s", running[task].name, error)
                        raise error
        finally:
            for task in pending:
                task.cancel()
            await asyncio.gather(*pending, return_exceptions=True)
        if refused and len(refused) == len(running):
            raise UsageError("; ".join(dict.fromkeys(refused)))
