"""Prometheus, its alerts, Alertmanager and Grafana around a running pipeline."""
