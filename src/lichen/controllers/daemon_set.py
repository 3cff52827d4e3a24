# SPDX-License-Identifier: Apache-2.0
"""DaemonSets get a pod on every node that may carry one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from lichen.controllers.base import Key, Mapper, World, by_owner, by_owner_or_selector, itself
from lichen.kinds.builtin import CONTROLLER_REVISION, DAEMON_SET, NODE, POD
from lichen.model.data import Object
from lichen.model.kind import Kind
from lichen.model.meta import is_deleting, labels_of, name_of
from lichen.planning.daemon_set import daemon_set_status, plan_daemon_set, tolerations
from lichen.planning.revisions import HASH, hash_of, plan_history, plan_revision
from lichen.planning.steps import patch_status
from lichen.planning.workload import next_available, pod_from_template
from lichen.scheduling.request import Rules, pod_request
from lichen.scheduling.rules import NODE_NAME, why_not


class DaemonSetController:
    name: ClassVar[str] = "daemonset"
    kind: ClassVar[Kind] = DAEMON_SET

    def __init__(self, world: World) -> None:
        self.world = world
        self.sets = world.informer(DAEMON_SET)
        self.nodes = world.informer(NODE)
        world.owned(POD)
        world.owned(CONTROLLER_REVISION)
        self.watches: Mapping[Kind, Mapper] = {
            POD: by_owner_or_selector(DAEMON_SET, self.sets),
            CONTROLLER_REVISION: by_owner("DaemonSet"),
            NODE: self._all_sets,
        }
        self._judged: dict[str, Object] = {}

    async def reconcile(self, key: Key) -> float | None:
        owner = self.sets.get(key[1], key[0])
        if owner is None or is_deleting(owner):
            return None
        revisions = await self.world.claim(CONTROLLER_REVISION, DAEMON_SET, owner)
        plan = plan_revision(owner, revisions)
        await self.world.apply(plan.steps)
        pods = await self.world.claim(POD, DAEMON_SET, owner)
        wanted, allowed = self._places(owner)
        try:
            steps = plan_daemon_set(owner, pods, plan.update, self.world.now(), wanted=wanted, allowed=allowed)
            await self.world.apply(steps, owner)
        finally:
            pods, now = self.world.managed(POD, owner), self.world.now()
            status = daemon_set_status(owner, pods, plan.update, now, wanted=wanted)
            await self.world.apply(patch_status(DAEMON_SET, owner, status))
        hashes = {hash_of(plan.update), *(labels_of(pod).get(HASH, "") for pod in pods)}
        live = [name_of(r) for r in revisions if hash_of(r) in hashes]
        await self.world.apply(plan_history(owner, revisions, live))
        return next_available(pods, owner["spec"].get("minReadySeconds", 0), now)

    def _places(self, owner: Object) -> tuple[set[str], set[str]]:
        """Nodes that should carry a pod, and nodes where one may stay."""
        pod = pod_from_template(owner, owner["spec"]["template"], name=name_of(owner))
        pod["spec"]["tolerations"] = [*(pod["spec"].get("tolerations") or []), *tolerations(pod["spec"])]
        rules = pod_request(pod).rules
        wanted, allowed = set(), set()
        for node in self.nodes.items.values():
            taints = (node.get("spec") or {}).get("taints") or []
            if _may_carry(rules, node, taints):
                wanted.add(name_of(node))
            if _may_carry(rules, node, [t for t in taints if t.get("effect") == "NoExecute"]):
                allowed.add(name_of(node))
        return wanted, allowed

    def _all_sets(self, node: Object) -> list[Key]:
        """A node changed in what sets look at: labels and taints, not its heartbeat."""
        seen = {
            "labels": labels_of(node),
            "taints": (node.get("spec") or {}).get("taints"),
            "is": node["metadata"]["uid"],
        }
        name, current = name_of(node), self.nodes.get(name_of(node))
        if current is None:
            self._judged.pop(name, None)
        elif current is not node or self._judged.get(name) == seen:
            return []
        else:
            self._judged[name] = seen
        return [key for owner in self.sets.items.values() for key in itself(owner)]


def _may_carry(rules: Rules, node: Object, taints: list[Object]) -> bool:
    labels = {"kubernetes.io/hostname": name_of(node), **labels_of(node), NODE_NAME: name_of(node)}
    return not why_not(rules, labels, taints, cordoned=False)
