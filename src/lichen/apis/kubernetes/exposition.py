# SPDX-License-Identifier: Apache-2.0
"""Metrics in Prometheus's text format 0.0.4, by `prometheus_client`, which is loaded when somebody asks."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from lichen.model.metrics import Shown


def exposition(metrics: Sequence[Shown]) -> bytes:
    """The text. Takes its time: for a thread. ValueError: a name is none that Prometheus knows."""
    from prometheus_client import CollectorRegistry, generate_latest

    registry = CollectorRegistry()
    registry.register(_Families(metrics))
    return generate_latest(registry)


class _Families:
    """Metrics as `prometheus_client` collects them."""

    def __init__(self, metrics: Sequence[Shown]) -> None:
        self._metrics = metrics

    def collect(self) -> Iterator[Any]:
        return map(_family, self._metrics)


def _family(metric: Shown) -> Any:
    from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily

    if metric.type == "histogram":
        histogram = HistogramMetricFamily(metric.name, metric.help, labels=metric.labels)
        ends = [*map(str, metric.ends), "+Inf"]
        for labels, (*counts, total) in metric.values:
            histogram.add_metric(labels, list(zip(ends, counts, strict=True)), total)
        return histogram
    make = CounterMetricFamily if metric.type == "counter" else GaugeMetricFamily
    family = make(metric.name, metric.help, labels=metric.labels)
    for labels, (value,) in metric.values:
        family.add_metric(labels, value)
    return family
