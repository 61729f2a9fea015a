"""``python -m cli.metrics_page``: writes docs/metrics.md, the list of all metrics, from their declarations."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from broker.exposition import Declared
from consumers.gateway import metrics as gateway
from processors.http import metrics as worker
from producer import metrics as producer

PAGE = Path(__file__).parents[1] / "docs" / "metrics.md"

_HEAD = """\
# Metrics

`GET /metrics` answers in Prometheus' text form: of a worker on its `--web-port`, of the producer on its `--http-port`,
of the gateway on its `--port`. Figures are read when a scrape asks, so that nothing is paid per tick. All also show
`process_cpu_seconds_total`, `process_resident_memory_bytes` and the other figures of a process.

This page is made by `python -m cli.metrics_page` from the declarations in the code.
"""


def text() -> str:
    """The page."""
    sections = (("Producer", producer.METRICS), ("Worker", worker.METRICS), ("Gateway", gateway.METRICS))
    return "".join([_HEAD, *(part for title, metrics in sections for part in _section(title, metrics))])


def _section(title: str, metrics: Sequence[Declared]) -> Iterator[str]:
    yield f"\n## {title}\n\n| Metric | Kind | Labels | What it tells |\n|---|---|---|---|\n"
    for metric in metrics:
        labels = ", ".join(f"`{label}`" for label in metric.labels)
        yield f"| `{metric.name}` | {metric.kind} | {labels} | {metric.about} |\n"


if __name__ == "__main__":
    PAGE.write_text(text(), "utf-8")
