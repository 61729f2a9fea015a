"""What runs of a plan: a stream for each group of lines, and the parts that their pipelines share."""

from __future__ import annotations

from collections.abc import Sequence
from string import ascii_lowercase

from broker.publisher import Publisher
from instruments.known import Known
from producer.line.backoff import Backoff
from producer.line.driver import Line
from producer.line.pacing import Pace, TokenBucket, bucket_of
from producer.options import FeedChoice, Plan, ProducerOptions
from producer.pipeline.arbitration import Arbiter
from producer.pipeline.events import Events
from producer.pipeline.matching import Matching
from producer.pipeline.numbering import Numbering
from producer.pipeline.publish import Pipeline
from producer.pipeline.quality import Gate
from producer.pipeline.redundancy import RedundantLines

Account = tuple[str, str | None]
"""What a provider counts connections by: its name and the token."""


class Buckets:
    """The limits of each account, which its lines share.

    Attempts to connect are apart per token, whichever line makes them. So are requests: AllTick wants 1 s between two
    on a connection, and 3 s between two connections of a token.
    """

    def __init__(self, plan: Plan) -> None:
        """Full."""
        several = len(plan.sources) * len(plan.feeds) > 1
        self.dials: dict[Account, list[TokenBucket]] = {}
        self.requests: dict[Account, list[TokenBucket]] = {}
        for feed in plan.feeds:
            apart = feed.provider.capabilities.reconnect_apart
            self.dials[feed.account] = [TokenBucket(apart=apart)] if apart else []
            self.requests[feed.account] = [TokenBucket(apart=apart)] if several and apart else []


class Stream:
    """Lines that bring the same codes, and what becomes of them: one source, one run, one count.

    Attributes:
        arbiter, redundant: of several lines; ``None`` for one alone.
    """

    def __init__(
        self,
        source: str,
        run: int,
        codes: Sequence[str] | None,
        *,
        plan: Plan,
        options: ProducerOptions,
        publisher: Publisher,
        buckets: Buckets,
        known: Known | None = None,
    ) -> None:
        """Nothing runs yet.

        Args:
            known: of instruments, by which ticks are judged.

        Raises:
            UsageError: a line can't be dialled, or asked for its codes.
        """
        self.numbering = Numbering(source, run)
        self.events = Events(publisher, self.numbering)
        self.gate = gate_of(plan, options, known)
        endpoints = [feed.endpoint() for feed in plan.feeds]
        names = [source]
        self.arbiter: Arbiter | None = None
        self.redundant: RedundantLines | None = None
        if len(endpoints) > 1:
            names = [f"{source}/{letter}" for letter in ascii_lowercase[: len(endpoints)]]
            able = [endpoint.capabilities for endpoint in endpoints]
            self.arbiter = Arbiter(len(endpoints), Matching.of(able[0], able[1]))
            self.redundant = RedundantLines(names, self.events)
        members = [None] if self.redundant is None else self.redundant.members
        self.pipelines = [
            Pipeline(
                publisher,
                self.events,
                trades_only=options.trades_only,
                gate=self.gate,
                arbiter=self.arbiter,
                redundant=member,
            )
            for member in members
        ]
        self.lines = [
            Line(endpoint, codes, pipeline, _pace(feed, options, buckets), name=name, own_clock=options.own_clock)
            for feed, endpoint, pipeline, name in zip(plan.feeds, endpoints, self.pipelines, names, strict=True)
        ]


def gate_of(plan: Plan, options: ProducerOptions, known: Known | None = None) -> Gate | None:
    """What judges the ticks of one stream, by setting."""
    if options.quality == "off":
        return None
    return Gate(
        quarantine=options.quality == "quarantine",
        codes=plan.codes,
        clock_of_its_own=options.own_clock,
        kinds=plan.kinds,
        known=known,
    )


def _pace(feed: FeedChoice, options: ProducerOptions, buckets: Buckets) -> Pace:
    return Pace(
        buckets=[bucket_of(feed.provider.capabilities)],
        request_buckets=buckets.requests[feed.account],
        dials=buckets.dials[feed.account],
        heartbeat=options.heartbeat,
        heartbeat_message=options.heartbeat_message,
        backoff=Backoff(options.first_delay, options.longest_delay),
    )
