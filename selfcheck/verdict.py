"""The outcome of a check, for people and for programs."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import asdict, dataclass, field
from typing import Any

from selfcheck.disturbing import Disturbance
from selfcheck.findings import KINDS, Findings
from selfcheck.gaps import GapCheck
from selfcheck.gateway import GatewayCheck
from selfcheck.latency import Latency
from selfcheck.pauses import Pause
from selfcheck.thresholds import Setting
from selfcheck.watchlist import WatchlistCheck


@dataclass
class Verdict:
    """What was counted, measured and found wrong.

    Attributes:
        settings: what was asked for.
        sent, published, stored, changes: ticks in the ledger, records in the ticks topic, rows, price changes.
        rate_sent: ticks/s that the market pushed, from its first to its last.
        rate_stored: ticks/s from the market's first tick to the last row in the store.
        ticks_a_chunk: that a worker was handed at once, on average.
        thresholds: what was set in the middle of the run, and how soon it was in force.
        watchlist: how the watchlist changed in the middle of the run.
        error: why there is no full comparison, if there is none.
        repeated: records that came again, the same to the byte, of the ticks' and the changes' topics.
        missing_announced: ticks of the market that no producer took in, inside announced gaps; they are in ``sent``.
        flaws: ticks by what their ``quality`` names.
        marks: gap marks that snapshots bore, code by code; the last, of the producer's end, included.
        pauses: the longest time that a partition stood still while ticks of it waited, by consumer group.
        disturbances: what was done to the workers.
        slowest_stop: seconds that a worker took at most from SIGTERM to its end; ``None`` where none was ended.
        books: ticks whose book or figures of the day were compared; ``None`` where that was not asked for.
        gateway: what the gateway's clients were sent; ``None`` where there were none.
        kept: the folder with data and logs, kept when something is wrong.
    """

    settings: dict[str, Any]
    sent: int = 0
    published: int = 0
    stored: int = 0
    changes: int = 0
    dead_letters: int = 0
    rate_sent: float = 0.0
    rate_stored: float = 0.0
    ticks_a_chunk: float | None = None
    latency: Latency = field(default_factory=lambda: Latency(None, None, None, 0))
    seconds: dict[str, float] = field(default_factory=dict)
    findings: Findings = field(default_factory=Findings)
    gaps: GapCheck | None = None
    thresholds: list[Setting] = field(default_factory=list)
    watchlist: WatchlistCheck | None = None
    error: str | None = None
    kept: str | None = None
    marks: int = 0
    repeated: int = 0
    missing_announced: int = 0
    flaws: dict[str, int] = field(default_factory=dict)
    pauses: dict[str, Pause] = field(default_factory=dict)
    disturbances: list[Disturbance] = field(default_factory=list)
    slowest_stop: float | None = None
    books: int | None = None
    gateway: GatewayCheck | None = None

    @property
    def ok(self) -> bool:
        """Everything that was sent was compared, and nothing is wrong."""
        equal = self.sent - self.missing_announced == self.published == self.stored
        # A threshold that no tick was judged by was not checked; nor was a change of the list that no tick shows, nor
        # books where no tick had one.
        applied = all(setting.partitions for setting in self.thresholds)
        applied = applied and (self.watchlist is None or self.watchlist.shown) and self.books != 0
        applied = applied and (self.gateway is None or self.gateway.rows > 0)
        return self.error is None and self.sent > 0 and equal and applied and self.findings.clean

    @property
    def longest_pause(self) -> Pause | None:
        """The longest of all groups'; ``None`` while no tick waited."""
        return max(self.pauses.values(), key=lambda pause: pause.seconds, default=None)

    def as_json(self) -> str:
        """One line of JSON."""
        counts, pause = self.findings.counts, self.longest_pause
        return json.dumps(
            {
                "ok": self.ok,
                "sent": self.sent,
                "published": self.published,
                "stored": self.stored,
                "changes": self.changes,
                "repeated": self.repeated,
                "missing_announced": self.missing_announced,
                **({} if self.books is None else {"books": self.books}),
                **({f"gateway_{name}": n for name, n in asdict(self.gateway).items()} if self.gateway else {}),
                **{kind: counts[kind] for kind in KINDS},
                **({"gaps_injected": self.gaps.injected, "gaps_announced": self.gaps.announced} if self.gaps else {}),
                "gap_marks": self.marks,
                **({"thresholds": [asdict(setting) for setting in self.thresholds]} if self.thresholds else {}),
                **(self.watchlist.report() if self.watchlist else {}),
                "dead_letters": self.dead_letters,
                "flaws": self.flaws,
                "rate_sent": self.rate_sent,
                "rate_stored": self.rate_stored,
                "ticks_a_chunk": self.ticks_a_chunk,
                "latency_ms": asdict(self.latency),
                "longest_pause_s": pause.seconds if pause else 0.0,
                "pauses": [asdict(one) for _, one in sorted(self.pauses.items())],
                **({"disturbances": [asdict(one) for one in self.disturbances]} if self.disturbances else {}),
                **({} if self.slowest_stop is None else {"slowest_stop_s": self.slowest_stop}),
                "seconds": self.seconds,
                "settings": self.settings,
                "error": self.error,
                "examples": self.findings.examples,
                "kept": self.kept,
            },
            ensure_ascii=False,
            default=str,
        )

    def as_text(self) -> str:  # noqa: C901 - one line after the other
        """Some lines for a person."""
        counts = self.findings.counts
        late = self.latency
        lines = [
            f"sent       {self.sent:>12,}   at {self.rate_sent:,.0f} ticks/s",
            f"published  {self.published:>12,}",
            f"stored     {self.stored:>12,}   at {self.rate_stored:,.0f} ticks/s",
            f"changes    {self.changes:>12,}",
            *([] if self.books is None else [f"books      {self.books:>12,}   compared with the market's"]),
        ]
        if self.gateway is not None:
            told = f"rows to {self.gateway.clients} clients of the gateway, by {self.gateway.sections} subscriptions"
            lines.append(f"gateway    {self.gateway.rows:>12,}   {told}")
        if self.gaps is not None:
            lines.append(f"gaps       {self.gaps.injected:>12,}   {self.gaps.announced:,} announced")
        if self.missing_announced:
            lines.append(f"missing    {self.missing_announced:>12,}   inside announced gaps")
        if late.samples:
            lines.append(
                f"latency    p50 {late.p50} ms, p99 {late.p99} ms, max {late.max} ms ({late.samples:,} samples)"
            )
        pause = self.longest_pause
        if pause is not None:
            lines.append(
                f"pause      {pause.seconds} s at most, of {pause.group} in partition {pause.partition},"
                f" {pause.at_s:.0f} s after the start"
            )
        if self.disturbances:
            done = Counter(one.what for one in self.disturbances)
            slowest = "" if self.slowest_stop is None else f"; ended {self.slowest_stop} s after SIGTERM at most"
            lines.append("workers    " + ", ".join(f"{count} {what}" for what, count in done.items()) + slowest)
        lines += [
            f"threshold  {setting.scope} {setting.threshold or 'unset'}: "
            + (
                f"in force in {setting.partitions} partitions {setting.after_ms:,} ms after it was set"
                if setting.partitions
                else "no tick was judged by it: give it more --seconds"
            )
            for setting in self.thresholds
        ]
        if self.watchlist is not None:
            lines += self.watchlist.lines()
        wrong = [f"{kind.replace('_', ' ')}: {counts[kind]:,}" for kind in KINDS if counts[kind]]
        for kind in KINDS:
            lines += [
                f"  {kind}: {json.dumps(example, default=str)}" for example in self.findings.examples.get(kind, ())
            ]
        if self.error:
            lines.append(self.error)
        lines.append("ok: nothing lost, duplicated, out of order or different" if self.ok else _failed(wrong))
        if self.kept:
            lines.append(f"data and logs are kept in {self.kept}")
        return "\n".join(lines)


def _failed(wrong: list[str]) -> str:
    return "NOT OK" + (": " + ", ".join(wrong) if wrong else "")
