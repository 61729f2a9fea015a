"""What the gateway counts, for Prometheus."""

from __future__ import annotations

from broker.exposition import Declared, Readings
from consumers.gateway.connections import Connections
from consumers.gateway.watch import Watch

METRICS = (
    Declared("ashare_gateway_clients", "gauge", "Connected WebSocket clients"),
    Declared("ashare_gateway_groups", "gauge", "Groups of clients with equal settings"),
    Declared("ashare_gateway_codes", "gauge", "Codes in the table"),
    Declared("ashare_gateway_ticks_total", "counter", "Ticks read since the start"),
    Declared("ashare_gateway_frames_total", "counter", "Frames written to clients"),
    Declared("ashare_gateway_sent_bytes_total", "counter", "Bytes of those frames"),
    Declared("ashare_gateway_skipped_frames_total", "counter", "Frames passed over for clients that read too slowly"),
    Declared("ashare_gateway_resent_total", "counter", "Snapshots sent to clients that had read too slowly"),
    Declared("ashare_gateway_slow_clients_closed_total", "counter", "Clients closed since they did not read"),
    Declared("ashare_gateway_feed_age_seconds", "gauge", "Since the newest tick was received"),
    Declared("ashare_gateway_stale", "gauge", "1 while something is wrong with what is served"),
    Declared("ashare_gateway_lag_records", "gauge", "Ticks that the snapshots agent has still to handle"),
)


def reading(connections: Connections, watch: Watch, readings: Readings) -> None:
    """Add the values."""
    counts, status = connections.counts, watch.status
    age = status.get("feed_age_ms")
    for name, value in (
        ("clients", len(connections.everyone)),
        ("groups", connections.hub.groups),
        ("codes", len(connections.hub.table)),
        ("ticks_total", watch.ticks),
        ("frames_total", counts.frames),
        ("sent_bytes_total", counts.rows_bytes),
        ("skipped_frames_total", counts.skipped),
        ("resent_total", counts.resent),
        ("slow_clients_closed_total", counts.closed_slow),
        ("feed_age_seconds", None if age is None else age / 1000),
        ("stale", float(bool(status.get("stale")))),
        ("lag_records", status.get("lag")),
    ):
        readings.add(f"ashare_gateway_{name}", value)
