"""The figures as one page that stands alone: no script, nothing from elsewhere. Pure; HTML out."""

from __future__ import annotations

from html import escape

from evaluation import plots
from evaluation.figures import LineFigures, Report
from evaluation.table import rows

_STYLE = """
body { font: 15px/1.45 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; color: #1a1a1a }
table { border-collapse: collapse; width: 100%; font-size: 14px }
th, td { text-align: left; vertical-align: top; padding: .25rem .6rem; border-bottom: 1px solid #ddd }
td { overflow-wrap: anywhere } th { font-weight: 600; white-space: nowrap }
@media (max-width: 40rem) { th { white-space: normal } th, td { padding: .25rem .3rem } }
h1 { overflow-wrap: anywhere }
svg { width: 100%; height: auto } svg text { font: 11px system-ui, sans-serif; fill: #333 }
.note { background: #fff6e0; border-left: 4px solid #d9a300; padding: .4rem .8rem; margin: .4rem 0 }
"""


def page(report: Report) -> str:
    """One HTML document."""
    names = [f"{line.name}: {line.feed}" for line in report.lines]
    pairs = list(zip(names, report.lines, strict=True))
    title = "Evaluation of " + " and ".join(f"{line.feed} at {line.url}" for line in report.lines)
    body = [f"<h1>{escape(title)}</h1>", f"<p>{escape(report.began)}, {report.seconds:,.0f} s</p>"]
    body += [f'<p class="note">{escape(note)}</p>' for note in report.notes]
    body.append(_table(report, names))
    body += [
        "<h2>Latency above the least, by share of ticks</h2>",
        plots.lines({name: _curve(line) for name, line in pairs}, "share of ticks, %", "ms", logarithmic=True),
        "<h2>Latency over time: the slowest tick of each moment, above the least</h2>",
        plots.lines(
            {name: [(step.at, _above(step.highest, line)) for step in line.series] for name, line in pairs},
            "s from the beginning",
            "ms",
            logarithmic=True,
        ),
        "<h2>Ticks a second</h2>",
        plots.lines(
            {name: [(step.at, step.ticks) for step in line.series] for name, line in pairs},
            "s from the beginning",
            "ticks/s",
        ),
        "<h2>Ticks a frame</h2>",
        plots.bars({name: line.frame_sizes for name, line in pairs}, "ticks in a frame", "frames"),
    ]
    if report.race is not None and report.race.both:
        ahead = {
            f"{name} is first": [(100 * i / max(len(lead.curve) - 1, 1), value) for i, value in enumerate(lead.curve)]
            for name, lead in zip(names, report.race.lead, strict=True)
        }
        body += [
            "<h2>By how much the first was ahead, of the ticks that both brought</h2>",
            plots.lines(ahead, "share of ticks, %", "ms", logarithmic=True),
        ]
    body += [_gaps(line) for line in report.lines if line.gap_list]
    content = "\n".join(body)
    return (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        f'<meta name="viewport" content="width=device-width, initial-scale=1"><title>{escape(title)}</title>'
        f"<style>{_STYLE}</style></head>\n<body>\n{content}\n</body></html>\n"
    )


def _table(report: Report, names: list[str]) -> str:
    head = "".join(f"<th>{escape(name)}</th>" for name in ("", *names))
    lines = [
        f"<tr><th>{escape(label)}</th>{''.join(f'<td>{escape(cell)}</td>' for cell in cells)}</tr>"
        for label, cells in rows(report)
    ]
    return f"<table><tr>{head}</tr>\n" + "\n".join(lines) + "</table>"


def _curve(line: LineFigures) -> list[tuple[float, float | None]]:
    values = line.tail.curve
    return [(100 * place / max(len(values) - 1, 1), value) for place, value in enumerate(values)]


def _above(latency: float | None, line: LineFigures) -> float | None:
    return None if latency is None or line.offset_ms is None else latency - line.offset_ms


def _gaps(line: LineFigures) -> str:
    items = "".join(
        f"<li>{escape(gap.detected)}, {(gap.end - gap.start) / 1e6:,.3f} s,"
        f" {'all codes' if gap.codes is None else f'{gap.codes:,} codes'}: {escape(gap.reason)}</li>"
        for gap in line.gap_list
    )
    return f"<h2>Gaps of {escape(line.name)}</h2><ol>{items}</ol>"
