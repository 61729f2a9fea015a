"""The figures as rows of text: a label, and a cell for each line. Pure; terminal and page show the same."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from evaluation.figures import Form, LineFigures, RaceFigures, Report, Spread

NONE = "–"
Row = tuple[str, list[str]]
Cell = Callable[[LineFigures], str]


def figure(value: float | None, unit: str = "") -> str:
    """A number as it is read: three figures below 100, thousands apart."""
    if value is None:
        return NONE
    text = f"{value:,.0f}" if value == int(value) or abs(value) >= 100 else f"{value:,.3g}"
    return f"{text} {unit}".rstrip()


def _latency(one: Spread) -> str:
    return " / ".join(figure(value) for value in (one.p50, one.p90, one.p99, one.max)) if one.count else NONE


def _counts(counts: Mapping[str, int], most: int = 4) -> str:
    if not counts:
        return "0"
    named = [f"{name} {count:,}" for name, count in list(counts.items())[:most]]
    more = len(counts) - most
    return f"{sum(counts.values()):,}: " + ", ".join(named) + (f" and {more} more kinds" if more > 0 else "")


def _offset(line: LineFigures) -> str:
    if line.own_clock and line.offset_ms is not None:
        return f"{line.offset_ms / 3_600_000:,.2f} h: another clock"
    return figure(line.offset_ms, "ms")


def _sizes(line: LineFigures) -> str:
    one = line.ticks_per_frame
    return f"{figure(one.p50)} / {figure(one.p90)} / {figure(one.max)}" if one.count else NONE


def _form(line: LineFigures, name: str) -> str:
    tried: Form | None = next((form for form in line.forms if form.form == name), None)
    if tried is None:
        return NONE
    verdict = {True: "taken", False: "refused", None: "no answer"}[tried.taken]
    moment = f", first tick after {figure(tried.first_tick_ms, 'ms')}" if tried.first_tick_ms is not None else ""
    return f"{verdict}{moment}: {tried.said}"


def _never(line: LineFigures) -> str:
    if line.never_seen is None:
        return NONE
    few = ", ".join(line.never_seen_codes[:5])
    return f"{line.never_seen:,} of {line.codes_asked:,}" + (f": {few}" if few else "")


def _rate(count: int, line: LineFigures) -> str:
    return figure(count / line.connected_seconds) if line.connected_seconds else NONE


_ROWS: tuple[tuple[str, Cell], ...] = (
    ("feed", lambda line: line.feed),
    ("address", lambda line: line.url),
    ("measured", lambda line: f"{figure(line.seconds, 's')}, connected {figure(line.connected_seconds, 's')}"),
    ("codes as array", lambda line: _form(line, "array")),
    ("codes as string", lambda line: _form(line, "string")),
    ("wildcard", lambda line: _form(line, "wildcard")),
    ("dialling to handshake", lambda line: figure(line.first.handshake, "ms")),
    ("to acknowledgement", lambda line: figure(line.first.acknowledged, "ms")),
    ("to first tick", lambda line: figure(line.first.first_tick, "ms")),
    ("latency p50/p90/p99/max, ms", lambda line: NONE if line.own_clock else _latency(line.latency)),
    ("least latency (clock offset)", _offset),
    ("latency above the least, ms", lambda line: _latency(line.tail)),
    ("ticks", lambda line: f"{line.ticks:,} ({_rate(line.ticks, line)}/s)"),
    ("frames", lambda line: f"{line.frames:,} ({_rate(line.frames, line)}/s)"),
    ("MiB", lambda line: figure(line.bytes / 2**20)),
    ("ticks a frame p50/p90/max", _sizes),
    ("codes seen", lambda line: f"{line.codes_seen:,}"),
    ("never seen of those asked for", _never),
    ("longest silence", lambda line: figure(line.longest_silence, "s")),
    (
        "silences beyond patience",
        lambda line: (
            NONE
            if line.patience is None
            else f"{line.silences:,} over {figure(line.patience, 's')}"
            + (f" ({line.quiet:,} more outside of trading)" if line.quiet else "")
        ),
    ),
    ("connections / attempts", lambda line: f"{line.connections:,} / {line.dials:,}"),
    ("disconnects", lambda line: _counts(line.disconnects)),
    ("refusals", lambda line: _counts(line.refusals)),
    (
        "gaps by how detected",
        lambda line: _counts(line.gaps) + (f", {figure(line.gap_seconds, 's')}" if line.gaps else ""),
    ),
    ("equal to an earlier tick", lambda line: f"{line.equal:,}"),
    ("repeats recognised and dropped", lambda line: f"{line.repeats:,}"),
    (
        "time back within a code",
        lambda line: f"{line.backwards:,}" + (f", {line.furthest_back_ms:,} ms at most" if line.backwards else ""),
    ),
    ("malformed", lambda line: _counts(line.malformed)),
    ("fields not read", lambda line: _counts(line.unread)),
    ("without a price", lambda line: f"{line.unpriced:,}"),
    ("quality flaws", lambda line: _counts(line.flaws, 8)),
    ("ended early", lambda line: line.ended or "no"),
)


def rows(report: Report) -> list[Row]:
    """Every row of the table; those of the race follow where there were two lines."""
    table = [(label, [cell(line) for line in report.lines]) for label, cell in _ROWS]
    return table if report.race is None else table + _race(report.race)


def _race(race: RaceFigures) -> list[Row]:
    both = max(race.both, 1)
    return [
        ("first, of ticks both brought", [f"{n:,} ({n / both:.0%})" for n in race.first]),
        ("ahead by p50/p90/p99/max, ms", [_latency(lead) for lead in race.lead]),
        ("brought by it alone", [f"{n:,}" for n in race.alone]),
    ]
