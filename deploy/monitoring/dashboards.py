"""``python -m deploy.monitoring.dashboards``: writes Grafana's dashboards, from what their panels ask.

Panels ask Prometheus, or QuestDB by PostgreSQL's protocol: what of a single stock nobody counts, the store knows.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

FOLDER = Path(__file__).parent / "grafana" / "dashboards"
_WIDTH, _HEIGHT, _COLUMNS = 12, 8, 2
_CODE = {
    "name": "code",
    "label": "Code",
    "type": "textbox",
    "query": "600519",
    "current": {"text": "600519", "value": "600519"},
}
_AT = "$__timeFilter(timestamp)"
_STOCK_CODE = "${code:sqlstring}"
"""Quoted by Grafana: whoever looks at the dashboard types it."""


class Panel(NamedTuple):
    """One panel.

    Attributes:
        ask: PromQL by legend; or one SQL statement under ``""``.
        kind: of Grafana's panels.
        unit: as Grafana names it.
    """

    title: str
    ask: Mapping[str, str]
    unit: str = "short"
    kind: str = "timeseries"

    @property
    def sql(self) -> bool:
        """Whether QuestDB is asked."""
        return "" in self.ask


def _quantile(share: float, buckets: str, by: str = "le") -> str:
    return f"histogram_quantile({share}, sum by ({by}) (rate({buckets}[$__rate_interval])))"


_PIPELINE = (
    Panel("Alerts", {"{{alertname}}": 'sum by (alertname) (ALERTS{alertstate="firing"}) or vector(0)'}),
    Panel("Session open", {"open": "ashare:session_open"}),
    Panel(
        "Ticks a second",
        {
            "received": "sum(rate(ashare_producer_ticks_total[$__rate_interval]))",
            "{{agent}}": "sum by (agent) (rate(ashare_worker_records_handled_total[$__rate_interval]))",
            "stored": "sum(rate(ashare_worker_ticks_stored_total[$__rate_interval]))",
        },
        "ops",
    ),
    Panel(
        "Age of the last tick",
        {"{{line}}": "ashare_producer_line_tick_age_seconds", "{{agent}}": "ashare_worker_tick_age_seconds"},
        "s",
    ),
    Panel("Lag", {"{{agent}}": "max by (agent) (ashare_worker_lag_seconds)"}, "s"),
    Panel("Records not committed", {"{{agent}}": "sum by (agent) (ashare_worker_lag_records)"}),
    Panel(
        "Kafka: 99 % of batches confirmed within",
        {
            "producer": _quantile(0.99, "ashare_producer_batch_seconds_bucket"),
            "{{agent}}": _quantile(0.99, "ashare_worker_batch_seconds_bucket", by="agent, le"),
        },
        "s",
    ),
    Panel(
        "Waiting for Kafka",
        {
            "producer": "ashare_producer_publisher_waiting_bytes",
            "{{agent}}": "sum by (agent) (ashare_worker_publisher_waiting_bytes)",
        },
        "bytes",
    ),
    Panel(
        "Store: writes took",
        {
            "median": _quantile(0.5, "ashare_worker_store_write_seconds_bucket"),
            "99 %": _quantile(0.99, "ashare_worker_store_write_seconds_bucket"),
            "failing for": "max(ashare_worker_store_failing_seconds)",
        },
        "s",
    ),
    Panel(
        "Store: waiting, and writes not taken",
        {"records": "ashare_worker_store_waiting_records", "errors": "ashare_worker_store_errors_total"},
    ),
    Panel(
        "Lost, or not usable, a minute",
        {
            "dead letters, producer": "60 * rate(ashare_producer_dead_letters_total[$__rate_interval])",
            "dead letters, {{agent}}": "60 * sum by (agent) (rate(ashare_worker_dead_letters_total[$__rate_interval]))",
            "gaps, {{detected}}": "60 * rate(ashare_producer_gaps_total[$__rate_interval])",
            "reconnects": "60 * rate(ashare_producer_reconnects_total[$__rate_interval])",
            "flawed": "60 * rate(ashare_producer_flawed_ticks_marked_total[$__rate_interval])",
        },
    ),
    Panel(
        "Partitions and rebalances",
        {
            "partitions, {{agent}}": "sum by (agent) (ashare_worker_partitions)",
            "rebalances, {{agent}}": "sum by (agent) (ashare_worker_rebalances_total)",
        },
    ),
    Panel("State rows", {"{{agent}}": "sum by (agent) (ashare_worker_state_rows)"}),
    Panel("Watchdog: failing for", {"{{check}}": "max by (check) (ashare_worker_check_failing_seconds)"}, "s"),
    Panel("CPU", {"{{job}}": "sum by (job) (rate(process_cpu_seconds_total[$__rate_interval]))"}, "percentunit"),
    Panel("Memory", {"{{job}} {{instance}}": "process_resident_memory_bytes"}, "bytes"),
)
_MARKET = (
    Panel("Ticks a second", {"ticks": "sum(rate(ashare_producer_ticks_total[$__rate_interval]))"}, "ops"),
    Panel(
        "Price changes a second", {"changes": "sum(rate(ashare_worker_price_changes_total[$__rate_interval]))"}, "ops"
    ),
    Panel("Stocks with a snapshot", {"stocks": 'sum(ashare_worker_state_rows{agent="snapshots"})'}, kind="stat"),
    Panel(
        "Turnover a minute",
        {"": f"SELECT timestamp AS time, sum(turnover) AS yuan FROM ticks WHERE {_AT} SAMPLE BY 1m ALIGN TO CALENDAR"},
    ),
    Panel(
        "Stocks that traded, a minute",
        {
            "": f"SELECT timestamp AS time, count_distinct(code) AS stocks FROM ticks WHERE {_AT}"
            " SAMPLE BY 1m ALIGN TO CALENDAR"
        },
    ),
    Panel(
        "Moved most since the previous close",
        {
            "": "SELECT code, price, round(100 * (price / previous_close - 1), 2) AS percent FROM"
            f" (SELECT code, last(price) AS price, last(previous_close) AS previous_close FROM ticks WHERE {_AT})"
            " ORDER BY abs(price / previous_close - 1) DESC LIMIT 20"
        },
        kind="table",
    ),
    Panel(
        "Traded most",
        {
            "": f"SELECT code, sum(turnover) AS yuan, count() AS ticks FROM ticks WHERE {_AT}"
            " ORDER BY yuan DESC LIMIT 20"
        },
        kind="table",
    ),
)
_STOCK = (
    Panel(
        "Price of $code",
        {
            "": f"SELECT timestamp AS time, first(price) AS open, max(price) AS high, min(price) AS low,"
            f" last(price) AS close FROM ticks WHERE code = {_STOCK_CODE} AND {_AT} SAMPLE BY 1m ALIGN TO CALENDAR"
        },
        kind="candlestick",
    ),
    Panel(
        "Shares a minute",
        {
            "": f"SELECT timestamp AS time, sum(volume) AS shares FROM ticks WHERE code = {_STOCK_CODE} AND {_AT}"
            " SAMPLE BY 1m ALIGN TO CALENDAR"
        },
    ),
    Panel(
        "Ticks a minute",
        {
            "": f"SELECT timestamp AS time, count() AS ticks FROM ticks WHERE code = {_STOCK_CODE} AND {_AT}"
            " SAMPLE BY 1m ALIGN TO CALENDAR"
        },
    ),
    Panel(
        "Last ticks",
        {
            "": f"SELECT timestamp AS time, price, volume, turnover, side, quality, source FROM ticks"
            f" WHERE code = {_STOCK_CODE} AND {_AT} ORDER BY timestamp DESC LIMIT 100"
        },
        kind="table",
    ),
)
DASHBOARDS: Mapping[str, tuple[str, Sequence[Panel], Sequence[dict[str, Any]]]] = {
    "market": ("A-share market", _MARKET, ()),
    "pipeline": ("A-share pipeline", _PIPELINE, ()),
    "stock": ("One stock", _STOCK, (_CODE,)),
}
"""By name: title, panels, variables."""


def dashboard(name: str) -> dict[str, Any]:
    """A dashboard as Grafana reads it from a file."""
    title, panels, variables = DASHBOARDS[name]
    return {
        "uid": f"ashare-{name}",
        "title": title,
        "tags": ["ashare"],
        "timezone": "Asia/Shanghai",
        "refresh": "10s",
        "time": {"from": "now-1h", "to": "now"},
        "schemaVersion": 39,
        "templating": {"list": list(variables)},
        "panels": list(_placed(panels)),
    }


def _placed(panels: Sequence[Panel]) -> Iterator[dict[str, Any]]:
    for number, panel in enumerate(panels):
        row, column = divmod(number, _COLUMNS)
        source = {"type": "postgres", "uid": "questdb"} if panel.sql else {"type": "prometheus", "uid": "prometheus"}
        yield {
            "id": number + 1,
            "title": panel.title,
            "type": panel.kind,
            "datasource": source,
            "gridPos": {"x": column * _WIDTH, "y": row * _HEIGHT, "w": _WIDTH, "h": _HEIGHT},
            "fieldConfig": {"defaults": {"unit": panel.unit}, "overrides": []},
            "targets": [
                {"refId": chr(ord("A") + place), "datasource": source} | _target(panel, legend, ask)
                for place, (legend, ask) in enumerate(panel.ask.items())
            ],
        }


def _target(panel: Panel, legend: str, ask: str) -> dict[str, Any]:
    if panel.sql:
        form = "table" if panel.kind == "table" else "time_series"
        return {"rawSql": ask, "rawQuery": True, "editorMode": "code", "format": form}
    return {"expr": ask, "legendFormat": legend}


def text(name: str) -> str:
    """The file of a dashboard."""
    return json.dumps(dashboard(name), indent=1, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    for each in DASHBOARDS:
        (FOLDER / f"{each}.json").write_text(text(each), "utf-8")
