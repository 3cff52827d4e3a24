# SPDX-License-Identifier: Apache-2.0
"""Nodes as columns, and placement as a masked arg-max over them. Pure: no I/O, no clock.

A node's rules (labels, taints) are judged once for each distinct `Rules` and kept as a mask until a node changes;
what is left of a placement is arithmetic on arrays.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from lichen.model.data import Object
from lichen.model.meta import find_condition, labels_of, name_of
from lichen.model.quantity import millis, whole
from lichen.model.selectors import Matcher, label_selector
from lichen.scheduling.request import Request, Rules, Spread, Term, Wishes
from lichen.scheduling.rules import NODE_NAME, term_matches, unwelcome, why_not
from lichen.scheduling.verdicts import ANTI_AFFINITY, NO_AFFINITY, NO_PORT, NO_SPREAD, Placement, reason

WISH, SPREAD, TAINT = 8.0, 4.0, 4.0
"""How much a workload's own preferences count beside free room, which counts from 0 to 2."""

_TOLERATE_ALL = b'[{"operator":"Exists"}]'

Ints = NDArray[np.int64]
Mask = NDArray[np.bool_]


@dataclass(slots=True)
class _Node:
    name: str
    labels: dict[str, str]
    taints: list[Object]
    cordoned: bool
    ready: bool


class Columns:
    """Every node's room. Feed it nodes and what runs on them; ask it for places."""

    def __init__(self) -> None:
        self._nodes: list[_Node | None] = []
        self._row: dict[str, int] = {}
        self._capacity = np.zeros((3, 0), dtype=np.int64)
        self._used = np.zeros((3, 0), dtype=np.int64)
        self._ready = np.zeros(0, dtype=np.bool_)
        self._verdicts: dict[Rules, tuple[Mask, list[str]]] = {}
        self._placed: dict[tuple[str, str, str], tuple[int, Request]] = {}
        self._waiting: dict[str, dict[tuple[str, str, str], Request]] = {}
        self._groups: dict[str, Ints] = {}
        self._shy: set[tuple[str, str, str]] = set()
        self._unloved: set[str] = set()
        """Nodes with a taint that workloads would rather not be given to."""
        self._priorities: Counter[int] = Counter()

    def __len__(self) -> int:
        return len(self._row)

    def set_node(self, node: Object) -> bool:
        """Add a node, or take over what changed of it. True: there may be other places than before."""
        name = name_of(node)
        row = self._row.get(name)
        if row is None:
            row = self._grow(name)
        room = self._capacity[:, row].copy()
        ready = find_condition(node, "Ready")
        fresh = _Node(
            name,
            {"kubernetes.io/hostname": name, **labels_of(node), NODE_NAME: name},
            node["spec"].get("taints") or [] if node.get("spec") else [],
            bool((node.get("spec") or {}).get("unschedulable")),
            ready is not None and ready["status"] == "True",
        )
        allocatable = (node.get("status") or {}).get("allocatable") or {}
        self._capacity[:, row] = (
            millis(allocatable.get("cpu", "0")),
            whole(allocatable.get("memory", "0")),
            whole(allocatable.get("pods", "110")),
        )
        self._ready[row] = fresh.ready
        changed = fresh != self._nodes[row]
        if changed:
            self._nodes[row] = fresh
            self._verdicts.clear()
            self._unloved.discard(name)
            if any(taint.get("effect") == "PreferNoSchedule" for taint in fresh.taints):
                self._unloved.add(name)
        for key, request in self._waiting.pop(name, {}).items():
            self._occupy(row, key, request)
        return changed or bool((room != self._capacity[:, row]).any())

    def remove_node(self, name: str) -> None:
        row = self._row.pop(name, None)
        if row is None:
            return
        lost = {key: request for key, (held, request) in self._placed.items() if held == row}
        for key in lost:
            self.release(key)
        self._nodes[row] = None
        self._unloved.discard(name)
        self._ready[row] = False
        self._capacity[:, row] = 0
        self._verdicts.clear()
        if lost:
            self._waiting[name] = lost

    def assume(self, node: str, request: Request) -> bool:
        """Count a workload on its node; the same workload is counted once. False: it was counted just so."""
        row = self._row.get(node)
        if row is not None and self._placed.get(request.key) == (row, request):
            return False
        self.release(request.key)
        if row is None:
            self._waiting.setdefault(node, {})[request.key] = request
        else:
            self._occupy(row, request.key, request)
        return True

    def release(self, key: tuple[str, str, str]) -> bool:
        """Forget a workload. True: it gave room."""
        held = self._placed.pop(key, None)
        self._shy.discard(key)
        if held is not None:
            row, request = held
            self._used[:, row] -= (request.cpu, request.memory, 1)
            self._priorities[request.priority] -= 1
            if request.group:
                self._groups[request.group][row] -= 1
            return True
        for waiting in self._waiting.values():
            waiting.pop(key, None)
        return False

    def place(self, request: Request) -> Placement:
        """The best node for a workload, by free room and spread. Does not count it there: see `assume`."""
        free = self._capacity - self._used
        fits = self._fits(request, free)
        if not fits.any():
            return Placement(rejected=self._explain(request, free))
        share = free[:2] / np.maximum(self._capacity[:2], 1)
        score = share[0] + share[1]
        group = self._groups.get(request.group)
        if group is not None:
            score = score - (group / max(int(group.max()), 1) if request.wishes else group)
        score = score + self._preferences(request)
        best = int(np.argmax(np.where(fits, score, -np.inf)))
        node = self._nodes[best]
        return Placement(node.name if node else "")

    def is_placed(self, key: tuple[str, str, str]) -> bool:
        return key in self._placed

    def victims(self, request: Request) -> tuple[str, list[Request]]:
        """The node where the least must go so that a pod fits, and the pods of lower priority that must; "" if there
        is none. Servers never give way."""
        if not any(count and priority < request.priority for priority, count in self._priorities.items()):
            return "", []
        found: list[tuple[tuple[int, int], str, list[Request]]] = []
        for row, lower in self._below(request.priority).items():
            node, chosen = self._nodes[row], self._give_way(row, lower, request)
            if node is not None and chosen:
                found.append(((max(r.priority for r in chosen), len(chosen)), node.name, chosen))
        _, name, chosen = min(found, key=lambda option: option[:2], default=((0, 0), "", []))
        return name, chosen

    def _below(self, priority: int) -> dict[int, list[Request]]:
        """Pods of lower priority by their nodes' rows, the least important and the youngest first."""
        lower: dict[int, list[Request]] = {}
        for key, (row, other) in self._placed.items():
            if key[0] == "Pod" and other.priority < priority:
                lower.setdefault(row, []).append(other)
        for held in lower.values():
            held.sort(key=lambda r: r.created, reverse=True)
            held.sort(key=lambda r: r.priority)
        return lower

    def _give_way(self, row: int, lower: list[Request], request: Request) -> list[Request]:
        """The first of `lower` without which the pod fits on the row; [] if it never does. Changes nothing."""
        gone: list[Request] = []
        try:
            for other in lower:
                self.release(other.key)
                gone.append(other)
                if self._fits(request, self._capacity - self._used)[row]:
                    return list(gone)
            return []
        finally:
            for other in gone:
                self._occupy(row, other.key, other)

    def _fits(self, request: Request, free: Ints) -> Mask:
        """Where a workload may run."""
        fits: Mask = self._ready & (free[0] >= request.cpu) & (free[1] >= request.memory) & (free[2] >= 1)
        fits = fits & self._judge(request.rules)[0]
        for mask in (*self._affinity_masks(request), *self._spread_masks(request), *self._port_masks(request)):
            fits = fits & mask
        return fits

    def _grow(self, name: str) -> int:
        row = len(self._nodes)
        if row == self._ready.size:
            more = max(16, row)
            self._capacity = np.pad(self._capacity, ((0, 0), (0, more)))
            self._used = np.pad(self._used, ((0, 0), (0, more)))
            self._ready = np.pad(self._ready, (0, more))
            self._groups = {key: np.pad(column, (0, more)) for key, column in self._groups.items()}
        self._nodes.append(None)
        self._row[name] = row
        return row

    def _occupy(self, row: int, key: tuple[str, str, str], request: Request) -> None:
        self._placed[key] = (row, request)
        self._used[:, row] += (request.cpu, request.memory, 1)
        self._priorities[request.priority] += 1
        if request.away:
            self._shy.add(key)
        if request.group:
            column = self._groups.get(request.group)
            if column is None:
                column = self._groups[request.group] = np.zeros(self._ready.size, dtype=np.int64)
            column[row] += 1

    def _judge(self, rules: Rules) -> tuple[Mask, list[str]]:
        held = self._verdicts.get(rules)
        if held is None or held[0].size != self._ready.size:
            reasons = [
                why_not(rules, node.labels, node.taints, cordoned=node.cordoned) if node else "gone"
                for node in self._nodes
            ]
            mask = np.zeros(self._ready.size, dtype=np.bool_)
            mask[: len(reasons)] = [not reason for reason in reasons]
            held = self._verdicts[rules] = (mask, reasons)
        return held

    def _affinity_masks(self, request: Request) -> list[Mask]:
        masks = [self._near(term, request) for term in request.near]
        masks += [~self._domain(term, request.key) for term in request.away]
        # The anti-affinity of what runs already holds against newcomers too.
        for key in self._shy:
            row, other = self._placed[key]
            masks += [~self._same_domain(t.topology, [row]) for t in other.away if _selects(t, request)]
        return masks

    def _spread_masks(self, request: Request) -> list[Mask]:
        return [self._spread_mask(spread, request) for spread in request.spread if spread.hard]

    def _spread_mask(self, spread: Spread, request: Request) -> Mask:
        """Where one more keeps the skew."""
        counts = self._counts(spread.term, request.key)
        anywhere = Rules(request.rules.selector, request.rules.affinity, _TOLERATE_ALL)
        eligible, _ = self._judge(anywhere)
        held = {
            value: counts.get(value, 0)
            for row, node in enumerate(self._nodes)
            if node and eligible[row] and (value := node.labels.get(spread.term.topology)) is not None
        }
        least = min(held.values(), default=0) if len(held) >= spread.domains else 0
        extra = 1 if _selects(spread.term, request) else 0
        good = {value for value, count in held.items() if count + extra - least <= spread.skew}
        return self._where(spread.term.topology, good)

    def _counts(self, term: Term, but: tuple[str, str, str]) -> Counter[str | None]:
        """Matching workloads by value of the term's topology."""
        counts: Counter[str | None] = Counter()
        for key, (row, other) in self._placed.items():
            node = self._nodes[row]
            if node is not None and key != but and _selects(term, other):
                counts[node.labels.get(term.topology)] += 1
        return counts

    def _port_masks(self, request: Request) -> list[Mask]:
        """Nodes where the host's ports that it wants are free."""
        wanted = set(request.host_ports)
        if not wanted:
            return []
        mask = np.ones(self._ready.size, dtype=np.bool_)
        for key, (row, other) in self._placed.items():
            if key != request.key and wanted.intersection(other.host_ports):
                mask[row] = False
        return [mask]

    def _preferences(self, request: Request) -> Any:
        """What the workload and the nodes would rather have, as scores by node."""
        score = np.zeros(self._ready.size)
        for spread in request.spread:
            if not spread.hard:
                score -= SPREAD * _scaled(self._crowd(spread.term, request.key))
        if self._unloved:
            score -= TAINT * _scaled(self._per_node(lambda node: unwelcome(request.rules, node.taints)))
        if request.wishes is not None:
            score += WISH * _scaled(self._wished(request.wishes, request.key))
        return score

    def _crowd(self, term: Term, but: tuple[str, str, str]) -> Any:
        counts = self._counts(term, but)
        return self._per_node(lambda node: counts[node.labels.get(term.topology)])

    def _wished(self, wishes: Wishes, key: tuple[str, str, str]) -> Any:
        total = np.zeros(self._ready.size)
        for weight, raw in wishes.nodes:
            total += weight * self._per_node(partial(_matches, msgspec.json.decode(raw)))
        for sign, terms in ((1, wishes.near), (-1, wishes.away)):
            for weight, wanted in terms:
                total += sign * weight * self._domain(wanted, key)
        return total

    def _per_node(self, value: Callable[[_Node], float]) -> Any:
        return np.array(
            [value(node) if node else 0 for node in self._nodes] + [0] * (self._ready.size - len(self._nodes))
        )

    def _near(self, term: Term, request: Request) -> Mask:
        mask = self._domain(term, request.key)
        if not mask.any() and _selects(term, request):
            return np.ones(self._ready.size, dtype=np.bool_)  # the first of a group that wants to be together
        return mask

    def _domain(self, term: Term, but: tuple[str, str, str]) -> Mask:
        rows = [row for key, (row, other) in self._placed.items() if key != but and _selects(term, other)]
        return self._same_domain(term.topology, rows)

    def _same_domain(self, topology: str, rows: list[int]) -> Mask:
        values = {node.labels.get(topology) for row in rows if (node := self._nodes[row])} - {None}
        return self._where(topology, values)

    def _where(self, topology: str, values: Collection[str | None]) -> Mask:
        mask = np.zeros(self._ready.size, dtype=np.bool_)
        mask[: len(self._nodes)] = [node is not None and node.labels.get(topology) in values for node in self._nodes]
        return mask

    def _explain(self, request: Request, free: Ints) -> dict[str, int]:
        _, verdicts = self._judge(request.rules)
        masks = (
            (NO_PORT, self._port_masks(request)),
            (NO_SPREAD, self._spread_masks(request)),
            (NO_AFFINITY, [self._near(term, request) for term in request.near]),
        )
        counts: Counter[str] = Counter()
        for row, node in enumerate(self._nodes):
            if node is not None:
                misfit = next((words for words, found in masks if not all(mask[row] for mask in found)), ANTI_AFFINITY)
                counts[reason(request, verdicts[row], node.ready, free[:, row], misfit)] += 1
        return dict(counts)


def _matches(term: Object, node: _Node) -> float:
    return float(term_matches(term, node.labels))


def _scaled(values: Any) -> Any:
    """To -1 … 1, by the largest."""
    return values / max(float(np.abs(values).max(initial=0.0)), 1.0)


def _selects(term: Term, other: Request) -> bool:
    if other.key[1] not in term.namespaces:
        return False
    return _matcher(term.selector)({"metadata": {"labels": dict(other.labels)}})


@lru_cache(maxsize=4096)
def _matcher(selector: bytes) -> Matcher:
    return label_selector(msgspec.json.decode(selector))
