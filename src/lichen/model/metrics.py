# SPDX-License-Identifier: Apache-2.0
"""What a process counts of itself, and how that is shown at one moment.

Counting is a look-up in a dict: it is done for every request. Counts are the process's own and begin at zero with it.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import accumulate

import msgspec

Labels = tuple[str, ...]
Values = Iterable[tuple[Labels, float]]
SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
SIZES = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512)
METHODS = frozenset(("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"))
"""The others that clients may send count as one, `other`."""


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
    """How long something took (or how much it was), by labels of few values each."""

    name: str
    help: str
    labels: Labels
    ends: tuple[float, ...] = SECONDS
    cells: dict[Labels, list[float]] = field(default_factory=dict)
    """For each: how many fell in each bucket, in the one beyond, and the sum."""

    def observe(self, value: float, *labels: str) -> None:
        cell = self.cells.get(labels)
        if cell is None:
            cell = self.cells[labels] = [0.0] * (len(self.ends) + 2)
        cell[bisect_left(self.ends, value)] += 1
        cell[-1] += value


@dataclass(slots=True)
class Gauge:
    """How much there is of something: looked up when it is asked for, by a thread that is not the event loop's."""

    name: str
    help: str
    labels: Labels
    readers: list[Callable[[], Values]] = field(default_factory=list)

    @contextmanager
    def reading(self, reader: Callable[[], Values]) -> Iterator[None]:
        """For as long as the block runs, what `reader` tells is shown."""
        self.readers.append(reader)
        try:
            yield
        finally:
            self.readers.remove(reader)


Metric = Counter | Histogram | Gauge


class Shown(msgspec.Struct):
    """A metric at one moment, as processes tell each other. values: by labels; a histogram has the counts up to each of
    `ends`, of all, and the sum."""

    type: str
    name: str
    help: str
    labels: list[str]
    values: list[tuple[list[str], list[float]]]
    ends: list[float] = []


def shown(metrics: Iterable[Metric]) -> list[Shown]:
    """As they are now. For any thread, while others count."""
    return [_shown(metric) for metric in metrics]


def _shown(metric: Metric) -> Shown:
    kind, ends = type(metric).__name__.lower(), list(metric.ends) if isinstance(metric, Histogram) else []
    values = [(list(labels), numbers) for labels, numbers in _values(metric)]
    return Shown(kind, metric.name, metric.help, list(metric.labels), values, ends)


def _values(metric: Metric) -> Iterable[tuple[Labels, list[float]]]:
    # Each copy is one step of the interpreter: nobody counts in between.
    if isinstance(metric, Counter):
        return [(labels, [count]) for labels, count in list(metric.counts.items())]
    if isinstance(metric, Gauge):
        return [(labels, [value]) for reader in list(metric.readers) for labels, value in reader()]
    return [(labels, _cumulated(list(cell))) for labels, cell in list(metric.cells.items())]


def _cumulated(cell: list[float]) -> list[float]:
    return [*accumulate(cell[:-1]), cell[-1]]


# --- what there is to count -------------------------------------------------------------------------------------------

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
RECONCILES = Counter(
    "lichen_reconciles_total",
    "Objects that a controller looked at, by what came of it: success, retry, refused or error.",
    ("controller", "result"),
)
QUEUED = Gauge("lichen_queue_depth", "Objects that a controller is to look at now.", ("controller",))
DELAYED = Gauge(
    "lichen_queue_delayed",
    "Objects that a controller looks at again after a while: to retry, or because something is due then.",
    ("controller",),
)
LEADING = Gauge("lichen_leader", "1 for each lease by which this process leads.", ("lease",))
PLACEMENTS = Counter("lichen_scheduler_placements_total", "Pods and servers that were given a node.", ("kind",))
REJECTIONS = Counter(
    "lichen_scheduler_rejections_total",
    "Attempts that found no node, by every reason for which nodes were refused; one attempt may count for several.",
    ("kind", "reason"),
)
STEPS = Counter(
    "lichen_agent_steps_total",
    "Steps that a node's agent began, by what they are about (pod, server or volume) and their type.",
    ("about", "step"),
)
STEP_FAILURES = Counter(
    "lichen_agent_step_failures_total", "Steps that a node's agent could not finish.", ("about", "step")
)
GUESTS = Gauge("lichen_node_guests", "Servers that run on a node.", ("node",))
PODS = Gauge("lichen_node_pods", "Pods that run on a node.", ("node",))
TOKENS = Counter("lichen_tokens_issued_total", "Tokens signed: user, service-account or system.", ("type",))
COMMITS = Histogram(
    "lichen_store_commit_duration_seconds",
    "Seconds from handing a group of writes to the disk until they are durable.",
    (),
)
COMMIT_SIZES = Histogram("lichen_store_commit_writes", "Writes that became durable together.", (), SIZES)
STARTS = Counter(
    "lichen_process_starts_total",
    "How often the supervisor started each process of the cloud.",
    ("process",),
)
DECLARED: tuple[Metric, ...] = tuple(value for value in list(globals().values()) if isinstance(value, Metric))
"""All that a process counts, whether or not it has a reason to."""
