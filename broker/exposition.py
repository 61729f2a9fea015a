"""What a process counts, in Prometheus' text form: read when it is asked for, so that nothing is paid per tick."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Literal, NamedTuple

from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, ProcessCollector, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from broker.durations import Durations


class Declared(NamedTuple):
    """A metric: its name with unit, and ``_total`` for a counter. A histogram's are seconds."""

    name: str
    kind: Literal["counter", "gauge", "histogram"]
    about: str
    labels: tuple[str, ...] = ()


_FAMILIES: Mapping[str, Any] = {
    "counter": CounterMetricFamily,
    "gauge": GaugeMetricFamily,
    "histogram": HistogramMetricFamily,
}
SESSION_OPEN = Declared(
    "ashare_session_open", "gauge", "1 during continuous trading in Shanghai and Shenzhen, 0 at any other time"
)
"""Of every process: alerts on a missing market ask for it."""


class Readings:
    """What the declared metrics say now."""

    def __init__(self, declared: Sequence[Declared]) -> None:
        """No value yet; a metric without one is not shown."""
        self._families = {one.name: _FAMILIES[one.kind](one.name, one.about, labels=one.labels) for one in declared}

    def add(self, name: str, value: float | None, *labels: object) -> None:
        """Add a value; ``None`` for one that is not known, which is left out.

        Raises:
            KeyError: no metric of this name is declared.
        """
        family = self._families[name]
        if value is not None:
            family.add_metric([str(label) for label in labels], value)

    def add_durations(self, name: str, took: Durations, *labels: object) -> None:
        """Add what a histogram says.

        Raises:
            KeyError: no metric of this name is declared.
        """
        self._families[name].add_metric([str(label) for label in labels], took.buckets(), sum_value=took.seconds)

    def __iter__(self) -> Iterator[Metric]:
        """The metrics that have a value."""
        return (family for family in self._families.values() if family.samples)


class _Read(Collector):
    def __init__(self, declared: Sequence[Declared], read: Callable[[Readings], None]) -> None:
        self._declared = declared
        self._read = read

    def collect(self) -> Iterable[Metric]:
        readings = Readings(self._declared)
        self._read(readings)
        return readings

    def describe(self) -> Iterable[Metric]:
        return ()


class Exposition:
    """Answers ``/metrics``: the metrics declared, and CPU, memory and files of the process."""

    def __init__(self, declared: Sequence[Declared], read: Callable[[Readings], None]) -> None:
        """Nothing is read yet.

        Args:
            read: adds the values; called for each answer.
        """
        self._registry = CollectorRegistry()
        self._registry.register(_Read(declared, read))
        ProcessCollector(registry=self._registry)

    async def answer(self, _request: web.Request) -> web.Response:
        """The response to a scrape."""
        return web.Response(body=generate_latest(self._registry), headers={"Content-Type": CONTENT_TYPE_LATEST})
