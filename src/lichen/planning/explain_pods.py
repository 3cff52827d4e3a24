# SPDX-License-Identifier: Apache-2.0
"""Why a pod, its claim, or the workload that makes pods, is not as wanted. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable

from lichen.model.data import Object
from lichen.model.meta import find_condition, name_of, namespace_of
from lichen.planning.causes import Cause, World, kubectl, one_line, phase_of, placing, refused, resource, said, unseen
from lichen.planning.pod_restart import is_sidecar
from lichen.planning.pod_storage import EVICTED

OWNED = {"Deployment": ("ReplicaSet", "Pod"), "CronJob": ("Job",)}
BEGINNING = ("ContainerCreating", "PodInitializing")
_NOT_FOUND = re.compile(r'(configmap|secret) "([^"]+)" not found')


def of_pod(pod: Object, world: World) -> Cause | None:
    status, spec = pod.get("status") or {}, pod["spec"]
    phase = phase_of(pod)
    if phase == "Succeeded":
        return None
    if (unbound := _claim(pod, world)) is not None:
        return unbound
    if (placed := refused(pod, "PodScheduled")) is not None and not spec.get("nodeName"):
        return Cause(f"has no node: {said(placed)}", mend=placing(world.root_of(pod), said(placed)))
    node = world.find("Node", spec.get("nodeName", ""))
    if node is not None and refused(node, "Ready"):
        return Cause(f"is {phase} on node {name_of(node)}, which is not ready", node)
    if phase == "Failed" and status.get("reason") == EVICTED:
        again = f"kubectl -n {namespace_of(pod)} delete pod {name_of(pod)} (and make it anew with a higher limit)"
        return Cause(f"was evicted: {one_line(status.get('message') or '')}", mend=again)
    containers = [*(status.get("initContainerStatuses") or []), *(status.get("containerStatuses") or [])]
    for container in containers:
        if (cause := _of_container(pod, container, world)) is not None:
            return cause
    if phase == "Failed":
        words = one_line(status.get("message") or status.get("reason") or "")
        logs = f"kubectl -n {namespace_of(pod)} logs {name_of(pod)}"
        return Cause(f"has failed: {words or 'nothing says why'}", mend=logs, known=bool(words))
    if phase != "Pending" and find_condition(pod, "Ready") is not None and not refused(pod, "Ready"):
        return None
    return _begins(pod, phase, containers, world)


def _begins(pod: Object, phase: str, containers: list[Object], world: World) -> Cause:
    """Of a pod on its way, of which nothing is wrong that its conditions and containers tell."""
    node, why = pod["spec"].get("nodeName", ""), world.warning(pod)
    if phase == "Pending" and not why and not containers:
        return unseen(f"node {node}" if node else "the scheduler")
    waiting = [c["name"] for c in containers if "waiting" in (c.get("state") or {})]
    if phase == "Pending" and not why and waiting:
        return Cause(f"is Pending: node {node} starts container {waiting[0]}", mend=kubectl("describe", pod))
    why = why or said(refused(pod, "Ready"))
    words = f"is {phase}, but not ready{f': {why}' if why else ''}"
    return Cause(words, mend=kubectl("describe", pod), known=bool(why))


def _claim(pod: Object, world: World) -> Cause | None:
    for name in _claims(pod):
        claim = world.find("PersistentVolumeClaim", name, namespace_of(pod))
        if claim is None:
            mend = f"kubectl -n {namespace_of(pod)} apply -f FILE (a PersistentVolumeClaim named {name})"
            return Cause(f"waits for volume claim {name}, which is not there", mend=mend)
        if of_claim(claim, world) is not None and not _waits_for_pod(claim, pod, world):
            return Cause(f"waits for volume claim {name}", claim)
    return None


def _waits_for_pod(claim: Object, pod: Object, world: World) -> bool:
    """The claim is bound only once the pod has a node: what keeps the pod from one is the cause."""
    return not pod["spec"].get("nodeName") and refused(pod, "PodScheduled") is not None and (
        _volume_of(claim, world) is None
    )  # fmt: skip


def _of_container(pod: Object, container: Object, world: World) -> Cause | None:
    name = container["name"]
    state = container.get("state") or {}
    waiting = state.get("waiting") or {}
    reason, words = waiting.get("reason", ""), one_line(waiting.get("message", ""))
    logs = f"kubectl -n {namespace_of(pod)} logs {name_of(pod)} -c {name}"
    if reason in BEGINNING:
        return Cause(f"cannot start: {words}", mend=kubectl("describe", pod)) if words else None
    if reason in ("ErrImagePull", "ImagePullBackOff", "InvalidImageName"):
        root = world.root_of(pod)
        mend = f"kubectl -n {namespace_of(pod)} set image {resource(root)}/{name_of(root)} {name}=IMAGE"
        return Cause(f"cannot have image {_image(pod, name)} of container {name}: {words or reason}", mend=mend)
    if reason == "CrashLoopBackOff":
        return Cause(f"starts container {name} again and again: {_ended(container)}{_killed(pod, container, world)}",
                     mend=_more_memory(pod, container, world) or f"{logs} --previous")  # fmt: skip
    if reason:
        return Cause(f"cannot start container {name}: {reason}{f': {words}' if words else ''}",
                     mend=_what_is_named(pod, words) or kubectl("describe", pod))  # fmt: skip
    code = (state.get("terminated") or {}).get("exitCode", 0)
    if code:
        ended = {"name": name, "lastState": state}
        return Cause(f"ended in container {name}: {_ended(ended)}", mend=_more_memory(pod, ended, world) or logs)
    if "running" in state and not container.get("ready", True):
        inits = pod["spec"].get("initContainers") or []
        if any(c["name"] == name and not is_sidecar(c) for c in inits):
            return Cause(f"is still running its init container {name}", mend=f"{logs} --follow")
        why = world.warning(pod) or "its readiness probe has not succeeded"
        return Cause(f"runs container {name}, which is not ready: {why}", mend=logs)
    return None


def _image(pod: Object, name: str) -> str:
    every = [*(pod["spec"].get("initContainers") or []), *(pod["spec"].get("containers") or [])]
    return next((str(c.get("image", "")) for c in every if c["name"] == name), "")


def _ended(container: Object) -> str:
    last = (container.get("lastState") or {}).get("terminated") or {}
    if not last:
        return "how it ended is not known"
    reason = f" ({last['reason']})" if last.get("reason") not in (None, "", "Error", "Completed") else ""
    words = f": {one_line(last['message'])}" if last.get("message") else ""
    return f"it ended with exit code {last.get('exitCode', '?')}{reason}{words}"


def _more_memory(pod: Object, container: Object, world: World) -> str:
    """Of a container that had more memory than its limit: how that is raised."""
    if ((container.get("lastState") or {}).get("terminated") or {}).get("reason") != "OOMKilled":
        return ""
    root = world.root_of(pod)
    if root is pod:  # whose limits stay as they were made
        return f"kubectl -n {namespace_of(pod)} replace --force -f FILE (with a higher memory limit)"
    where = f"kubectl -n {namespace_of(pod)} set resources {resource(root)}/{name_of(root)}"
    return f"{where} -c {container['name']} --limits=memory=MORE"


def _what_is_named(pod: Object, words: str) -> str:
    """The command that makes the ConfigMap or Secret that is not there."""
    if (missing := _NOT_FOUND.search(words)) is None:
        return ""
    kind = "configmap" if missing[1] == "configmap" else "secret generic"
    return f"kubectl -n {namespace_of(pod)} create {kind} {missing[2]} --from-literal=KEY=VALUE"


def _killed(pod: Object, container: Object, world: World) -> str:
    """Of a container that was ended from outside: the probe that it failed, if that was told."""
    code = ((container.get("lastState") or {}).get("terminated") or {}).get("exitCode")
    told = world.warning(pod, "Unhealthy") if code in (137, 143) else ""
    return f", as {told}" if "Liveness" in told or "Startup" in told else ""


def of_claim(claim: Object, world: World) -> Cause | None:
    phase = phase_of(claim)
    if phase == "Bound":
        return None
    if phase == "Lost":
        return Cause("has lost its volume", mend=f"{kubectl('delete', claim)}, then make it again")
    volume = _volume_of(claim, world)
    if volume is not None and phase_of(volume) != "Available":
        return Cause("is not bound: its volume is not there yet", volume)
    return _unprovided(claim, world)


def _unprovided(claim: Object, world: World) -> Cause:
    """Of a claim for which no volume was made yet."""
    wanted = claim["spec"].get("storageClassName", "")
    kept = world.find("StorageClass", wanted) if wanted else None
    if wanted and kept is None:
        return Cause(f"is not bound: storage class {wanted} is not there", mend="kubectl get storageclasses")
    if why := world.warning(claim):
        return Cause(f"is not bound: {why}", mend=kubectl("describe", claim))
    if kept is None:
        words = "is not bound: it names no storage class, and no volume that is there fits it"
        return Cause(words, mend="kubectl get storageclasses, then make the claim again with one of them")
    if kept.get("volumeBindingMode") != "WaitForFirstConsumer":
        return unseen(f"provisioner {kept.get('provisioner', '')}")
    users = _users(claim, world)
    if not users:
        words = "is not bound: its volume is made for the first pod that uses it, and there is none yet"
        return Cause(words, mend=f"kubectl -n {namespace_of(claim)} apply -f FILE (a pod that mounts {name_of(claim)})")
    placed = next((pod for pod in users if pod["spec"].get("nodeName")), None)
    if placed is None:
        return Cause("is not bound: its volume is made where its first pod is placed, which has no node", users[0])
    return unseen(f"provisioner {kept.get('provisioner', '')}")


def _users(claim: Object, world: World) -> list[Object]:
    return [pod for pod in world.of("Pod", namespace_of(claim)) if name_of(claim) in _claims(pod)]


def user_of(claim: Object, world: World) -> Object | None:
    """A pod that mounts a claim and has not ended."""
    return next((pod for pod in _users(claim, world) if phase_of(pod) not in ("Succeeded", "Failed")), None)


def _claims(pod: Object) -> list[str]:
    """The names of the claims that a pod mounts."""
    found = (volume.get("persistentVolumeClaim") or {} for volume in pod["spec"].get("volumes") or [])
    return [claim["claimName"] for claim in found if claim.get("claimName")]


def _volume_of(claim: Object, world: World) -> Object | None:
    every = world.of("Volume", namespace_of(claim))
    return next((v for v in every if (v.get("spec") or {}).get("claim") == name_of(claim)), None)


def of_workload(workload: Object, world: World) -> Cause | None:
    """Of what makes pods: Deployment, ReplicaSet, StatefulSet, DaemonSet, Job, CronJob."""
    counted = _count(workload)
    if counted is None:
        return None
    ready, wanted = counted
    failure = find_condition(workload, "ReplicaFailure")
    refusal = said(failure) if failure is not None and failure["status"] == "True" else ""
    words = f"has {ready} of {wanted} pods ready"
    if workload["kind"] == "Job":
        failed = find_condition(workload, "Failed")
        words = f"has failed: {said(failed)}" if failed is not None else "is not complete"
    if workload["kind"] == "CronJob":
        words = "has a job that did not end well"
    for kind in OWNED.get(workload["kind"], ("Pod",)):
        judge: Callable[[Object, World], Cause | None] = of_pod if kind == "Pod" else of_workload
        ill = [owned for owned in world.owned(kind, workload) if judge(owned, world)]
        if ill and not (refusal and kind == "Pod"):
            return Cause(words, ill[0])
    if refusal:
        where = f"kubectl -n {namespace_of(workload)}"
        mend = f"{where} describe resourcequota,limitrange" if "quota" in refusal else kubectl("describe", workload)
        return Cause(f"{words}: its pods are refused: {refusal}", mend=mend)
    if workload["kind"] == "CronJob" or _is_at_work(workload):
        return None
    if workload["spec"].get("paused"):
        return Cause(f"{words}: it is paused", mend=kubectl("rollout resume", workload))
    why = world.warning(workload)
    return Cause(f"{words}{f': {why}' if why else ''}", mend=kubectl("describe", workload))


def _is_at_work(workload: Object) -> bool:
    """A job whose pods do well and are not done yet."""
    at_work = bool((workload.get("status") or {}).get("active"))
    return workload["kind"] == "Job" and at_work and find_condition(workload, "Failed") is None


def _count(workload: Object) -> tuple[int, int] | None:
    """How many pods are ready, and how many are wanted; None: nothing is lacking."""
    spec, status = workload.get("spec") or {}, workload.get("status") or {}
    if workload["kind"] == "CronJob":
        return (0, 1)
    if workload["kind"] == "Job":
        done = find_condition(workload, "Complete")
        return None if (done is not None and done["status"] == "True") or spec.get("suspend") else (0, 1)
    if workload["kind"] == "DaemonSet":
        ready, wanted = status.get("numberReady", 0), status.get("desiredNumberScheduled", 0)
    else:
        ready, wanted = status.get("readyReplicas", 0), spec.get("replicas", 1)
    return None if ready >= wanted else (ready, wanted)
