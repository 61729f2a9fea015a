"""What a connection asks for, what of it the feed confirmed or refused, and which codes were never seen.

Nothing here does I/O: requests come out, answers and ticks go in.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol

from market.codes import UnknownCode
from market.kinds import resolve
from producer.errors import ReconnectNeededError
from producer.feeds.decoded import Answer, FeedTick
from producer.line.pacing import Message

WILDCARD = "*"
Changes = Literal["add_remove", "replace", "reconnect"]
Acknowledgement = Literal["none", "bare", "codes", "whole"]


class Requests(Protocol):
    """What a feed's protocol gives: the requests for codes, ``None`` for the whole market."""

    def subscribe(self, codes: Sequence[str] | None) -> list[Message]:
        """Requests for ticks of the codes, in chunks that the provider takes."""
        ...

    def unsubscribe(self, codes: Sequence[str]) -> list[Message]:
        """Requests for no more ticks of the codes."""
        ...


@dataclass
class Subscription:
    """One line's subscription, through all its connections.

    Attributes:
        wanted: the codes to have, ``None`` for the whole market. Set by ``want``.
        changes: how the provider lets a list change.
        acknowledgement: as ``Capabilities`` has it.
    """

    feed: Requests
    wanted: tuple[str, ...] | None
    changes: Changes = "add_remove"
    acknowledgement: Acknowledgement = "none"
    confirmed: bool = field(default=False, init=False)
    """Whether ticks of what this connection asked for can be expected."""
    refused: set[str] = field(default_factory=set, init=False)
    """Codes that the feed refused by name, or did not list as accepted."""
    unseen: set[str] = field(default_factory=set, init=False)
    """Codes asked for, of which no tick has come in this session of trading."""
    begun: bool = field(default=False, init=False)
    """Whether this connection has been asked for the list."""
    first: int = field(default=0, init=False)
    """How many requests that took."""
    _asked: tuple[str, ...] | None = field(default=None, init=False)
    _unanswered: int = field(default=0, init=False)
    _accepted: int = field(default=0, init=False)

    def __post_init__(self) -> None:
        """Nothing is seen yet."""
        self.new_session()

    @property
    def everything(self) -> bool:
        """Whether the whole market is asked for, alone or among codes."""
        return self.wanted is None or WILDCARD in self.wanted

    @property
    def rejected(self) -> bool:
        """Whether all that was asked on this connection was answered, and nothing accepted."""
        return self.begun and not self.confirmed and not self._accepted and self._unanswered <= 0 < self.first

    @property
    def answered_in_full(self) -> bool:
        """Whether no answer is outstanding, or none is ever given."""
        return self.acknowledgement == "none" or self._unanswered <= 0

    def want(self, codes: tuple[str, ...] | None) -> None:
        """Another list. ``due`` gives the requests for it."""
        before, now = _as_seen(self.wanted), _as_seen(codes)
        self.wanted = codes
        self.unseen = (self.unseen & now) | (now - before)
        self.refused.intersection_update(codes or ())

    def opened(self) -> None:
        """A new connection has nothing subscribed."""
        self.confirmed = self.begun = False
        self._asked = None
        self._unanswered = self._accepted = self.first = 0
        self.refused.clear()

    def begin(self) -> list[Message]:
        """The requests for the whole list, on a connection just opened (none where the address holds the list)."""
        requests = self.feed.subscribe(self.wanted) if self.wanted is None or self.wanted else []
        self._asked, self.begun = self.wanted, True
        self.first = self._unanswered = len(requests)
        return requests

    def due(self) -> list[Message]:
        """The requests that turn what was asked into what is wanted; none where that is the same.

        Raises:
            ReconnectNeededError: no request does it.
        """
        if not self.begun or self._asked == self.wanted:
            return []
        before, now = self._asked, self.wanted
        if before is None or now is None or self.changes == "reconnect" or not now:
            raise ReconnectNeededError
        if self.changes == "replace":
            requests = self.feed.subscribe(now)
            expected = len(requests)
        else:
            had, want = set(before), set(now)
            added = [code for code in now if code not in had]
            removed = [code for code in before if code not in want]
            requests = self.feed.unsubscribe(removed) if removed else []
            more = self.feed.subscribe(added) if added else []
            requests, expected = requests + more, len(more)
        self._asked = now
        self._unanswered = max(0, self._unanswered) + expected
        return requests

    def answered(self, answer: Answer) -> None:
        """An acknowledgement or a refusal came."""
        if answer.kind == "refused":
            self._unanswered -= 1
            self.refused.update(answer.codes or ())
        elif answer.kind == "subscribed":
            self._unanswered -= 1
            self._accepted += 1
            self.refused.difference_update(answer.codes or ())

    def missing(self, answer: Answer) -> list[str]:
        """What was asked for and is not among all that the provider acknowledged, once everything has been answered.

        Remembered as refused, and so given once.
        """
        if answer.codes is None or self._unanswered > 0:
            return []
        had = set(answer.codes)
        lacking = [code for code in self._asked or () if code not in had and code not in self.refused]
        self.refused.update(lacking)
        return lacking

    def saw(self, ticks: Sequence[FeedTick]) -> None:
        """Ticks came. Costs nothing once every code has been seen."""
        if self.unseen:
            self.unseen.difference_update([tick.code for tick in ticks])

    def new_session(self) -> None:
        """Another session of trading begins: nothing has been seen in it."""
        self.unseen = _as_seen(self.wanted)

    def concerned(self) -> list[str] | Literal["all"]:
        """The codes that are subscribed, without those that the feed refuses: a gap concerns them."""
        asked = self._asked if self.begun else self.wanted
        if asked is None or WILDCARD in asked:
            return "all"
        return [code for code in asked if code not in self.refused]


def _as_seen(codes: Sequence[str] | None) -> set[str]:
    """The codes as ticks carry them; none of the whole market's."""
    return set() if codes is None or WILDCARD in codes else {_one_form(code) for code in codes}


def _one_form(code: str) -> str:
    try:
        return resolve(code)
    except UnknownCode:
        return code
