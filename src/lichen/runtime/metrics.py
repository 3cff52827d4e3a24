# SPDX-License-Identifier: Apache-2.0
"""What a process counts of itself, and its text for Prometheus.

Counting is a look-up in a dict: it is done for every request. Text is made only when somebody asks, by
`prometheus_client`, which is loaded then. Counts are the process's own and begin at zero with it.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from itertools import accumulate
from typing import Any

Labels = tuple[str, ...]
BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
"""Seconds."""


@dataclass(slots=True)
class Counter:
    """Something that happened, by labels of few values each."""

    name: str
    help: str
    labels: Labels
    counts: dict[Labels, int] = field(default_factory=dict)

    def add(self, *labels: str) -> None:
        self.counts[labels] = self.counts.get(labels, 0) + 1


@dataclass(slots=True)
class Histogram:
    """How long something took, by labels of few values each."""

    name: str
    help: str
    labels: Labels
    cells: dict[Labels, list[float]] = field(default_factory=dict)
    """For each: how many fell in each bucket, in the one beyond, and the sum of seconds."""

    def observe(self, seconds: float, *labels: str) -> None:
        cell = self.cells.get(labels)
        if cell is None:
            cell = self.cells[labels] = [0.0] * (len(BUCKETS) + 2)
        cell[bisect_left(BUCKETS, seconds)] += 1
        cell[-1] += seconds


@dataclass(frozen=True, slots=True)
class Gauge:
    """How much there is of something: looked up when it is asked for."""

    name: str
    help: str
    labels: Labels
    read: Callable[[], Iterable[tuple[Labels, float]]]


Metric = Counter | Histogram | Gauge

REQUESTS = Counter(
    "apiserver_request_total",
    "Requests of the Kubernetes API that were answered; a watch counts when it ends.",
    ("verb", "group", "resource", "subresource", "code"),
)
DURATIONS = Histogram(
    "apiserver_request_duration_seconds",
    "Seconds from a request's head to the end of its answer; watches and streams are left out.",
    ("verb", "group", "resource"),
)
RECONCILES = Counter(
    "lichen_reconciles_total",
    "Objects that a controller looked at, by what came of it: success, retry, refused or error.",
    ("controller", "result"),
)
OPENSTACK_REQUESTS = Counter(
    "lichen_openstack_requests_total",
    "Requests of the OpenStack APIs that were answered.",
    ("service", "method", "code"),
)
OPENSTACK_DURATIONS = Histogram(
    "lichen_openstack_request_duration_seconds",
    "Seconds from a request's head to the end of its answer.",
    ("service", "method"),
)
COUNTED: tuple[Counter | Histogram, ...] = (
    REQUESTS,
    DURATIONS,
    OPENSTACK_REQUESTS,
    OPENSTACK_DURATIONS,
    RECONCILES,
)
"""All that a process counts, whether or not it has a reason to."""


METHODS = frozenset(("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"))
"""The others that clients may send count as one, `other`."""


def snapshot(metrics: Iterable[Metric]) -> tuple[Metric, ...]:
    """As they are now: what a thread can read while others count."""
    return tuple(_copy(metric) for metric in metrics)


def _copy(metric: Metric) -> Metric:
    if isinstance(metric, Counter):
        return replace(metric, counts=dict(metric.counts))
    if isinstance(metric, Histogram):
        return replace(metric, cells={labels: list(cell) for labels, cell in metric.cells.items()})
    values = list(metric.read())
    return replace(metric, read=lambda: values)


def exposition(metrics: Iterable[Metric]) -> bytes:
    """The metrics, and those of the process itself, in Prometheus's text format 0.0.4. Takes its time: for a thread."""
    from prometheus_client import CollectorRegistry, ProcessCollector, generate_latest

    registry = CollectorRegistry()
    ProcessCollector(registry=registry)
    registry.register(_Families(tuple(metrics)))
    return generate_latest(registry)


class _Families:
    """Metrics as `prometheus_client` collects them."""

    def __init__(self, metrics: tuple[Metric, ...]) -> None:
        self._metrics = metrics

    def collect(self) -> Iterator[Any]:
        for metric in self._metrics:
            yield _family(metric)


def _family(metric: Metric) -> Any:
    from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily

    if isinstance(metric, Counter):
        counter = CounterMetricFamily(metric.name, metric.help, labels=metric.labels)
        for labels, count in metric.counts.items():
            counter.add_metric(labels, count)
        return counter
    if isinstance(metric, Gauge):
        gauge = GaugeMetricFamily(metric.name, metric.help, labels=metric.labels)
        for labels, value in metric.read():
            gauge.add_metric(labels, value)
        return gauge
    histogram = HistogramMetricFamily(metric.name, metric.help, labels=metric.labels)
    for labels, cell in metric.cells.items():
        ends = [*(str(end) for end in BUCKETS), "+Inf"]
        histogram.add_metric(labels, list(zip(ends, accumulate(cell[:-1]), strict=True)), cell[-1])
    return histogram
