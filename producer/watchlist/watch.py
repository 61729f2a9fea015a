"""The watchlist of a running producer: changed by command or by hand, checked, saved, and taken up."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable, Sequence
from pathlib import Path

from market import kinds
from market.codes import Kind
from producer.watchlist import file as watchlist
from schemas import UsageError

log = logging.getLogger(__name__)

LOOK_SECONDS = 0.5


class Watch:
    """Keeps a producer's list and its file the same."""

    def __init__(
        self,
        path: Path | None,
        codes: Sequence[str] | None,
        take: Callable[[Sequence[str]], None],
        allowed: frozenset[Kind] | None = None,
    ) -> None:
        """Watch a file.

        Args:
            path: of the file; without one, changes last as long as the producer does.
            codes: the list in force, ``None`` for the whole market, which has no list to change.
            take: takes up a new list, or raises ``UsageError`` and leaves everything as it was.
            allowed: kinds that codes may be of; ``None`` for any.
        """
        self.path = path
        self.codes = None if codes is None else list(codes)
        self._take = take
        self._allowed = allowed
        self._stamp = watchlist.stamp(path) if path else None

    def change(
        self, *, add: Sequence[str] = (), remove: Sequence[str] = (), codes: Sequence[str] | None = None
    ) -> list[str]:
        """Another list: ``codes`` instead of the one in force, then ``add`` and ``remove``. Gives it.

        What was written into the file meanwhile is read first.

        Raises:
            UsageError: no codes, more than the lines carry, or the file can't be read or written; nothing has changed
                then.
        """
        if self.codes is None:
            raise UsageError("the whole market is subscribed (--symbols *): there is no list to change")
        with contextlib.nullcontext() if self.path is None else watchlist.locked(self.path):
            return self._change(self.codes, watchlist.codes(add), watchlist.codes(remove), codes)

    def _change(
        self, before: list[str], add: Sequence[str], remove: Sequence[str], codes: Sequence[str] | None
    ) -> list[str]:
        listed = before
        if self.path is not None and codes is None and watchlist.stamp(self.path) not in (None, self._stamp):
            listed = watchlist.load(self.path)  # it was written a moment ago, and is not taken up yet
        wanted = watchlist.changed(listed if codes is None else watchlist.codes(codes), add, remove)
        if wanted == before:
            return wanted
        self._check(wanted)
        if self.path is not None:
            try:
                watchlist.save(self.path, wanted)
            except UsageError:
                self._take(before)
                raise
            self._stamp = watchlist.stamp(self.path)
        self._took(wanted)
        return wanted

    async def run(self) -> None:
        """Take up what is written into the file, for as long as it is awaited. What can't be read changes nothing.

        It ends at once where there is no file.
        """
        seen = self._stamp
        while self.path is not None:
            await asyncio.sleep(LOOK_SECONDS)
            stamp = watchlist.stamp(self.path)
            settled, seen = stamp == seen, stamp  # who writes in place leaves half a file for a moment
            if stamp is None or stamp == self._stamp or not settled:
                continue
            self._stamp = stamp
            try:
                wanted = watchlist.load(self.path)
                if wanted != self.codes:
                    self._check(wanted)
                    self._took(wanted)
            except UsageError as error:
                log.error("the watchlist stays as it was: %s", error)  # noqa: TRY400 - the user's, and its text is complete

    def _check(self, wanted: list[str]) -> None:
        """Have the list taken up.

        Raises:
            UsageError: it is empty, has a code of a kind that is not asked for, or is not taken.
        """
        if not wanted:
            raise UsageError("no code would be left: stop the producer instead")
        if self._allowed is not None:
            kinds.check(wanted, self._allowed)
        self._take(wanted)

    def _took(self, wanted: list[str]) -> None:
        before, now = set(self.codes or ()), set(wanted)
        log.info("watchlist: %d codes, %d added, %d removed", len(now), len(now - before), len(before - now))
        self.codes = wanted
