"""Changing the producer's watchlist while ticks come, with the command that a user has."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from deploy.embedded.server import free_port
from deploy.local.stack import Stack
from selfcheck import watchlist
from selfcheck.findings import Findings
from selfcheck.watchlist import MARKET_PAGE, Change, Lists, Looks, WatchlistCheck

SETTLED = 30.0
"""Seconds after which a change has to be in effect: not the promise, which is measured, but stuck."""
_OF_THE_REST = 0.6
"""Of what the run has left after a change: then it has to be in effect, if that is sooner."""
_LOOK = 0.02


class Relisting:
    """The changes of one run. ``market`` is the file that the market writes its codes into."""

    def __init__(self, directory: Path, changes: Sequence[Change], seconds: float) -> None:
        """Nothing is subscribed yet.

        Args:
            directory: the stack's; takes the lists.
            seconds: how long the market pushes.
        """
        self.market = directory / "codes.txt"
        self.file = directory / "watchlist.txt"
        self.port = free_port()
        self._changes = changes
        self._seconds = seconds
        self._page = directory / "ledger" / MARKET_PAGE
        self._lists = Lists([], [])
        self._looks: list[Looks] = []

    def begin(self) -> None:
        """Write the list that the producer begins with; the market is up."""
        self._lists = Lists.deal(self.market.read_text("utf-8").split(), self._changes)
        self._write(self.file, self._lists.after(0))

    async def run(self, stack: Stack) -> None:
        """Make the changes when they are due, and see how far the market is meanwhile.

        Raises:
            PartError: the command failed.
        """
        while not self._size():  # noqa: ASYNC110 - another process
            await asyncio.sleep(_LOOK)
        begun = time.monotonic()
        looking: list[asyncio.Task[None]] = []
        try:
            for number, step in enumerate(self._lists.steps, start=1):
                await asyncio.sleep(begun + step.seconds - time.monotonic())
                wanted = self.file.with_name(f"watchlist-{number}.txt")
                self._write(wanted, self._lists.after(number))
                looks = Looks()
                self._looks.append(looks)
                looks.look(time.monotonic(), self._size())
                looking.append(asyncio.create_task(self._look(looks, begun)))
                await asyncio.to_thread(
                    stack.run, "watchlist", "replace", f"@{wanted}",
                    "--watchlist", str(self.file), "--http-port", str(self.port),
                )  # fmt: skip
            await asyncio.gather(*looking)
        finally:
            for task in looking:
                task.cancel()

    def check(self, ledger: Path, unpublished: Mapping[str, int], findings: Findings) -> WatchlistCheck:
        """Compare what was sent with what there was (``watchlist.check``)."""
        return watchlist.check(ledger, self._lists, self._looks, unpublished, findings)

    async def _look(self, looks: Looks, begun: float) -> None:
        """Look how far the market is, until the change has to be in effect."""
        changed = looks.times[0]
        left = begun + self._seconds - changed
        until = changed + min(SETTLED, left * _OF_THE_REST)
        while time.monotonic() < until:
            await asyncio.sleep(_LOOK)
            looks.look(time.monotonic(), self._size())

    def _size(self) -> int:
        try:
            return self._page.stat().st_size
        except FileNotFoundError:
            return 0

    @staticmethod
    def _write(file: Path, codes: Sequence[str]) -> None:
        file.write_text("".join(f"{code}\n" for code in codes), "utf-8")
