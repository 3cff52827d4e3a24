# SPDX-License-Identifier: Apache-2.0
"""Why a thing is not as wanted: the chain, word for word, and the command that mends it."""

from __future__ import annotations

from typing import Any

from lichen.planning.causes import World
from lichen.planning.explain import explain, unexplained

NO_ROOM = {"type": "Scheduled", "status": "False", "message": "0/3 nodes are available: 3 Insufficient memory."}
GROUPS = {
    "Server": "compute.lichen.dev/v1",
    "Image": "image.lichen.dev/v1",
    "Port": "network.lichen.dev/v1",
    "Network": "network.lichen.dev/v1",
    "Volume": "volume.lichen.dev/v1",
    "Deployment": "apps/v1",
    "ReplicaSet": "apps/v1",
}


def a(kind: str, name: str, *conditions: dict[str, Any], spec: Any = None, owner: Any = None, **status: Any) -> Any:
    meta: dict[str, Any] = {"name": name, "uid": f"uid-{kind}-{name}"}
    if kind not in ("Node", "Namespace", "StorageClass"):
        meta["namespace"] = "demo"
    if owner:
        reference = {"kind": owner["kind"], "name": owner["metadata"]["name"], "uid": owner["metadata"]["uid"]}
        meta["ownerReferences"] = [{**reference, "apiVersion": owner["apiVersion"], "controller": True}]
    body = {"spec": spec or {}, "status": {"conditions": list(conditions), **status}}
    return {"apiVersion": GROUPS.get(kind, "v1"), "kind": kind, "metadata": meta, **body}


def unready(reason: str, message: str) -> dict[str, Any]:
    return {"type": "Ready", "status": "False", "reason": reason, "message": message}


def waiting(reason: str, message: str = "", **more: Any) -> dict[str, Any]:
    return {"name": "c", "state": {"waiting": {"reason": reason, "message": message}}, **more}


def a_pod(*conditions: dict[str, Any], container: Any = None, owner: Any = None, phase: str = "Pending") -> Any:
    spec = {"containers": [{"name": "c", "image": "shop:1"}], "nodeName": "n1"}
    return a("Pod", "x", *conditions, spec=spec, owner=owner, phase=phase, containerStatuses=[container or {}])


def told(obj: Any, *others: Any, events: Any = ()) -> list[str]:
    lines = explain(obj, World([obj, *others], events))
    assert [line.depth for line in lines] == list(range(len(lines)))
    assert not any(line.mend for line in lines[:-1])
    return [line.text for line in lines] + [line.mend for line in lines[-1:] if line.mend]


def deleted(obj: Any, *finalizers: str) -> Any:
    obj["metadata"] |= {"deletionTimestamp": "2026-01-01T00:00:00Z", "finalizers": list(finalizers)}
    return obj


DOWN = a("Node", "n1", {"type": "Ready", "status": "Unknown", "message": "The node agent stopped posting."})
AGENT_DOWN = [
    "node n1 is not ready: The node agent stopped posting",
    "sudo lichen status (on that host; lichen up starts what is down)",
]


# --- servers ----------------------------------------------------------------------------------------------------------


def test_a_healthy_server_has_nothing_wrong():
    server = a("Server", "vm", {"type": "Ready", "status": "True"}, phase="Running")
    assert told(server) == ["nothing is wrong: server demo/vm is Running"]


def test_a_server_that_is_off_as_wanted_has_nothing_wrong():
    server = a("Server", "vm", unready("PowerOff", "Power is off."), spec={"power": "Off"}, phase="Stopped")
    assert told(server) == ["nothing is wrong: server demo/vm is Stopped"]


def test_a_server_without_a_node_says_what_it_asks_for():
    server = a("Server", "vm", NO_ROOM, spec={"id": "i", "resources": {"vcpus": 2, "memory": 65536}})
    assert told(server) == [
        "server demo/vm has no node: 0/3 nodes are available: 3 Insufficient memory "
        "(it asks for 2 CPU and 64 GiB of memory)",
        "openstack flavor list, then openstack server delete i and create it smaller",
    ]


def test_taints_cordons_and_labels_have_commands_of_their_own():
    def mend(words: str) -> str:
        return told(a("Server", "vm", {**NO_ROOM, "message": words}))[-1]

    assert mend("1 node(s) had untolerated taint {a: }.").endswith("kubectl taint nodes NODE KEY-")
    assert mend("1 node(s) were unschedulable.") == "kubectl uncordon NODE"
    assert mend("1 node(s) didn't match the workload's node affinity.").startswith("kubectl label node NODE")


def test_a_server_in_error_says_its_fault():
    server = a("Server", "vm", spec={"id": "i", "displayName": "My VM"}, phase="Error", fault="refused to start.")
    assert told(server) == [
        'server demo/vm ("My VM") is in Error: refused to start',
        "openstack server reboot --hard i (starts it again)",
    ]


def test_a_server_waits_for_an_image_that_has_no_bytes():
    server = a("Server", "vm", unready("ImageNotReady", "Image tiny is queued."), spec={"image": "tiny"})
    assert told(server, a("Image", "tiny", phase="queued"))[:2] == [
        "server demo/vm is Pending: Image tiny is queued",
        "image demo/tiny is queued: its bytes were never uploaded",
    ]


def test_an_image_that_a_node_takes_says_whose_and_why_it_was_not_to_be():
    taken = a("Image", "snap", spec={"server": "web", "node": "n1"}, phase="queued")
    assert told(taken)[:1] == ["image demo/snap is queued: node n1 takes its bytes from server web"]
    killed = a("Image", "snap", spec={"server": "web", "node": "n1"}, phase="killed", fault="No disk.")
    assert told(killed) == ["image demo/snap is killed: No disk", "openstack image delete snap"]


def test_a_server_whose_image_is_gone_is_rebuilt_from_another():
    server = a("Server", "vm", unready("ImageMissing", "No."), spec={"image": "tiny"}, phase="Error", fault="No.")
    assert told(server) == [
        "server demo/vm is in Error: No: image tiny is not there",
        "openstack server rebuild --image IMAGE vm",
    ]


def test_a_server_waits_for_a_port_on_a_network_without_a_subnet():
    server = a("Server", "vm", unready("NetworkNotReady", "0 of 1 ports."), spec={"id": "i"}, phase="Building")
    port = a("Port", "vm-0", spec={"deviceId": "i", "network": "net"})
    assert told(server, port, a("Network", "net")) == [
        "server demo/vm is Building: 0 of 1 ports",
        "port demo/vm-0 has no address on network net",
        "network demo/net has no subnet, so that nothing on it gets an address",
        "openstack subnet create --network net --subnet-range 10.0.0.0/24 NAME",
    ]


def test_a_server_waits_for_a_port_that_is_not_there():
    server = a("Server", "vm", unready("NetworkNotReady", "0 of 1 ports."), spec={"networks": [{"port": "p"}]})
    assert told(server) == [
        "server demo/vm is Pending: 0 of 1 ports: port p is not there",
        "openstack port create --network NETWORK p",
    ]


def test_a_server_on_a_silent_node_leads_to_the_node():
    server = a("Server", "vm", {"type": "Ready", "status": "True"}, spec={"node": "n1"}, phase="Running")
    assert told(server, DOWN) == ["server demo/vm is Running on node n1, which is not ready", *AGENT_DOWN]


def test_a_server_waits_for_a_volume_that_waits_for_an_image():
    server = a("Server", "vm", unready("Retrying", "No disk."), spec={"volumes": [{"volume": "v"}]}, phase="Building")
    volume = a("Volume", "v", unready("SourceNotReady", "Image i is killed."), spec={"image": "i"}, phase="Creating")
    assert told(server, volume, a("Image", "i", phase="killed")) == [
        "server demo/vm is Building: No disk",
        "volume demo/v is Creating: Image i is killed; it is copied from image demo/i",
        "image demo/i is killed",
        "openstack image show i",
    ]


def test_a_server_whose_volume_does_not_come_leads_to_its_attachment():
    server = a("Server", "vm", unready("Retrying", "Volume v is not attached yet."), phase="Building")
    attachment = a("VolumeAttachment", "v", spec={"server": "vm", "volume": "v"}, fault="Volume v is not made yet.")
    assert told(server, attachment) == [
        "server demo/vm is Building: Volume v is not attached yet",
        "volume attachment demo/v is not well: Volume v is not made yet",
        "kubectl -n demo describe volumeattachment v, then lichen status",
    ]


def test_what_its_node_says_of_a_thing_comes_first_unless_the_node_is_silent():
    stalled = {"type": "Stalled", "status": "True", "reason": "Forbidden", "message": "Node n1 is refused."}
    server = a("Server", "vm", stalled, unready("PowerOff", "Off."), spec={"node": "n1"}, phase="Building")
    assert told(server)[0] == "server demo/vm is Building and does not get on: Node n1 is refused"
    assert told(deleted(server, "lichen.dev/node"))[0] == (
        "server demo/vm is being deleted and does not get on: Node n1 is refused"
    )
    assert told(server, DOWN)[-2:] == AGENT_DOWN


def test_a_guest_that_crashes_again_and_again_has_a_console():
    server = a("Server", "vm", unready("CrashLoopBackOff", "The guest crashed 3 times."), phase="Building")
    assert told(server) == ["server demo/vm is Building: The guest crashed 3 times", "openstack console log show vm"]


def test_an_unknown_reason_is_told_with_where_to_look():
    server = a("Server", "vm", unready("Strange", "Something."), phase="Building")
    assert told(server) == [
        "server demo/vm is Building: Something",
        "kubectl -n demo describe server.compute.lichen.dev vm (shows its events)",
    ]


# --- pods and what makes them -----------------------------------------------------------------------------------------


def test_a_pod_without_a_node_says_why():
    pod = a("Pod", "x", {**NO_ROOM, "type": "PodScheduled"}, phase="Pending")
    assert told(pod) == [
        "pod demo/x has no node: 0/3 nodes are available: 3 Insufficient memory",
        "kubectl describe nodes, then ask for less: kubectl -n demo edit pod x",
    ]


def test_a_pod_without_its_image():
    pod = a_pod(container=waiting("ErrImagePull", "there is no such image"))
    assert told(pod) == [
        "pod demo/x cannot have image shop:1 of container c: there is no such image",
        "kubectl -n demo set image pod/x c=IMAGE",
    ]


def test_a_pod_that_crashes_says_its_last_exit_and_where_its_log_is():
    last = {"terminated": {"exitCode": 2, "reason": "Error"}}
    pod = a_pod(container=waiting("CrashLoopBackOff", "back-off", lastState=last), phase="Running")
    assert told(pod) == [
        "pod demo/x starts container c again and again: it ended with exit code 2",
        "kubectl -n demo logs x -c c --previous",
    ]


def test_a_container_that_ran_out_of_memory_leads_to_its_limit():
    last = {"terminated": {"exitCode": 137, "reason": "OOMKilled"}}
    deployment = a("Deployment", "web", spec={"replicas": 1})
    pod = a_pod(container=waiting("CrashLoopBackOff", "back-off", lastState=last), phase="Running", owner=deployment)
    assert told(pod, deployment) == [
        "pod demo/x starts container c again and again: it ended with exit code 137 (OOMKilled)",
        "kubectl -n demo set resources deployment/web -c c --limits=memory=MORE",
    ]
    assert told(a_pod(container={"name": "c", "state": last}, phase="Failed"))[-1] == (
        "kubectl -n demo replace --force -f FILE (with a higher memory limit)"
    )


def test_a_config_map_that_is_not_there_is_made():
    pod = a_pod(container=waiting("CreateContainerConfigError", 'configmap "colours" not found'))
    assert told(pod)[-1] == "kubectl -n demo create configmap colours --from-literal=KEY=VALUE"


def test_a_sidecar_that_is_not_ready_is_not_called_an_init_container():
    pod = a_pod(unready("", ""), container={"name": "c", "state": {"running": {}}, "ready": False}, phase="Running")
    pod["spec"]["initContainers"] = [{"name": "c", "image": "shop:1", "restartPolicy": "Always"}]
    assert told(pod)[0] == "pod demo/x runs container c, which is not ready: its readiness probe has not succeeded"


def test_a_pod_that_was_evicted_says_why_however_its_containers_ended():
    pod = a_pod(container={"name": "c", "state": {"terminated": {"exitCode": 137, "reason": "Error"}}}, phase="Failed")
    pod["status"] |= {"reason": "Evicted", "message": 'Usage of EmptyDir volume "s" exceeds the limit "1Mi".'}
    assert told(pod) == [
        'pod demo/x was evicted: Usage of EmptyDir volume "s" exceeds the limit "1Mi"',
        "kubectl -n demo delete pod x (and make it anew with a higher limit)",
    ]


def test_a_pod_that_cannot_mount_says_what():
    pod = a_pod(container=waiting("ContainerCreating", 'FailedMount: secret "s" not found'))
    assert told(pod)[0] == 'pod demo/x cannot start: FailedMount: secret "s" not found'


def test_a_pod_whose_container_cannot_be_configured_says_why():
    pod = a_pod(container=waiting("CreateContainerConfigError", "no key k"))
    assert told(pod)[0] == "pod demo/x cannot start container c: CreateContainerConfigError: no key k"


def test_a_pod_waits_for_a_claim_whose_volume_failed():
    pod = a_pod()
    pod["spec"]["volumes"] = [{"persistentVolumeClaim": {"claimName": "data"}}]
    claim = a("PersistentVolumeClaim", "data", phase="Pending")
    volume = a("Volume", "pvc-1", spec={"claim": "data"}, phase="Error", fault="No space left.")
    assert told(pod, claim, volume) == [
        "pod demo/x waits for volume claim data",
        "volume claim demo/data is not bound: its volume is not there yet",
        "volume demo/pvc-1 is in Error: No space left",
        "openstack volume delete pvc-1, then make it again",
    ]


def test_a_pod_waits_for_a_claim_that_is_not_there():
    pod = a_pod()
    pod["spec"]["volumes"] = [{"persistentVolumeClaim": {"claimName": "data"}}]
    assert told(pod)[0] == "pod demo/x waits for volume claim data, which is not there"


def test_a_pod_on_a_silent_node_leads_to_the_node():
    assert told(a_pod(), DOWN) == ["pod demo/x is Pending on node n1, which is not ready", *AGENT_DOWN]


def test_a_deployment_leads_to_the_pod_that_is_ill_and_is_mended_itself():
    deployment = a("Deployment", "web", spec={"replicas": 2}, readyReplicas=1)
    replica_set = a("ReplicaSet", "web-1", spec={"replicas": 2}, owner=deployment, readyReplicas=1)
    pod = a_pod(container=waiting("ImagePullBackOff", "no"), owner=replica_set)
    assert told(deployment, replica_set, pod) == [
        "deployment demo/web has 1 of 2 pods ready",
        "replica set demo/web-1 has 1 of 2 pods ready",
        "pod demo/x cannot have image shop:1 of container c: no",
        "kubectl -n demo set image deployment/web c=IMAGE",
    ]


def test_a_deployment_whose_pods_the_quota_refuses():
    deployment = a("Deployment", "web", spec={"replicas": 2})
    failure = {"type": "ReplicaFailure", "status": "True", "message": "exceeded quota: few."}
    replica_set = a("ReplicaSet", "web-1", failure, spec={"replicas": 2}, owner=deployment)
    assert told(deployment, replica_set)[1:] == [
        "replica set demo/web-1 has 0 of 2 pods ready: its pods are refused: exceeded quota: few",
        "kubectl -n demo describe resourcequota,limitrange",
    ]


def test_a_container_that_is_ended_for_its_probe_says_so():
    last = {"terminated": {"exitCode": 137, "reason": "Error"}}
    pod = a_pod(container=waiting("CrashLoopBackOff", "back-off", lastState=last), phase="Running")
    about = {"involvedObject": {"uid": "uid-Pod-x"}, "type": "Warning"}
    probe = {"reason": "Unhealthy", "message": "Liveness probe failed: no page.", "lastTimestamp": "1"}
    later = {"reason": "BackOff", "message": "Back-off", "lastTimestamp": "2"}
    assert told(pod, events=[{**about, "metadata": {}, **event} for event in (probe, later)])[0] == (
        "pod demo/x starts container c again and again: it ended with exit code 137, "
        "as Unhealthy: Liveness probe failed: no page"
    )


def test_what_only_an_event_tells_is_told():
    event = {"type": "Warning", "reason": "Unhealthy", "message": "probe failed.", "metadata": {}}
    pod = a_pod(unready("", ""), container={"name": "c", "state": {"running": {}}, "ready": False}, phase="Running")
    assert told(pod, events=[event | {"involvedObject": {"uid": "uid-Pod-x"}}])[0] == (
        "pod demo/x runs container c, which is not ready: Unhealthy: probe failed"
    )


def test_a_job_at_work_has_nothing_wrong_and_one_that_failed_says_why():
    assert told(a("Job", "j", active=1)) == ["nothing is wrong: job demo/j is as wanted"]
    failed = {"type": "Failed", "status": "True", "message": "Job has reached the specified backoff limit"}
    assert told(a("Job", "j", failed))[0] == "job demo/j has failed: Job has reached the specified backoff limit"


def a_service(**spec: Any) -> dict[str, Any]:
    service = a("Service", "front", spec={"selector": {"app": "shop"}, **spec})
    return service | {"apiVersion": "v1"}


def test_a_service_without_pods_names_the_labels_that_none_has():
    assert told(a_service(), a_pod()) == [
        "service demo/front has no pod behind it: none has the labels app=shop",
        "kubectl -n demo get pods --show-labels",
    ]


def test_a_service_whose_pods_are_not_ready_leads_on_to_one():
    container = {"name": "c", "state": {"running": {}}, "ready": False}
    pod = a_pod(unready("", ""), container=container, phase="Running")
    pod["metadata"]["labels"] = {"app": "shop"}
    assert told(a_service(), pod)[0] == "service demo/front has no pod behind it that is ready"


def test_what_nothing_acts_on_is_not_said_to_be_well():
    service = a_service(selector=None, type="LoadBalancer")
    assert told(service)[0].startswith("service demo/front is there, but nothing makes a load balancer")
    scaler = a("HorizontalPodAutoscaler", "h") | {"apiVersion": "autoscaling/v2"}
    assert told(scaler)[0].endswith("is kept, but nothing acts on a HorizontalPodAutoscaler yet: replicas stay as "
                                    "they are set")  # fmt: skip


# --- leaving, and the rest --------------------------------------------------------------------------------------------


def test_a_claim_that_is_deleted_names_the_pod_that_uses_it():
    claim = deleted(a("PersistentVolumeClaim", "data"), "kubernetes.io/pvc-protection")
    user = a_pod()
    user["spec"]["volumes"] = [{"name": "v", "persistentVolumeClaim": {"claimName": "data"}}]
    assert told(claim, user) == [
        "volume claim demo/data is being deleted when no pod uses it any more: pod x does",
        "kubectl -n demo delete pod x",
    ]


def test_what_is_deleted_names_who_must_let_go():
    assert told(deleted(a("Volume", "v"), "example.com/hold")) == [
        "volume demo/v is being deleted and waits for example.com/hold to let go",
        'kubectl -n demo patch volume.volume.lichen.dev v -p \'{"metadata":{"finalizers":null}}\' --type=merge '
        "(only if what should let go is gone)",
    ]


def test_what_is_deleted_when_its_copy_is_made_leads_to_the_copy():
    copying = unready("Copying", "It is deleted when volume two, a copy of it, is made.")
    source = deleted(a("Volume", "one", copying, spec={"id": "1", "node": "n1"}, phase="Deleting"), "lichen.dev/node")
    retrying = unready("Retrying", "The pool does not answer.")
    copy = a("Volume", "two", retrying, spec={"source": "one", "sourceId": "1", "id": "2"}, phase="Creating")
    assert told(source, copy)[:2] == [
        "volume demo/one is being deleted when its copy is made",
        "volume demo/two is Creating: The pool does not answer",
    ]


def test_what_is_deleted_on_a_silent_node_leads_to_the_node():
    server = deleted(a("Server", "vm", spec={"node": "n1"}), "lichen.dev/node")
    assert told(server, DOWN) == ["server demo/vm is being deleted, and its node n1 must remove it first", *AGENT_DOWN]


def test_a_namespace_that_is_not_empty_says_what_is_left():
    left = {"type": "NamespaceContentRemaining", "status": "True", "reason": "SomeResourcesRemain"}
    namespace = deleted(a("Namespace", "shop", left | {"message": "servers has 1 left."}), "kubernetes")
    assert told(namespace)[0] == "namespace shop is being deleted and still holds things: servers has 1 left"


def test_a_namespace_that_is_held_up_leads_to_what_holds_it():
    left = {"type": "NamespaceContentRemaining", "status": "True", "reason": "SomeResourcesRemain", "message": "many"}
    namespace = deleted(a("Namespace", "demo", left), "kubernetes")
    stuck = deleted(a("ConfigMap", "stuck"), "example.com/never")
    others = (a("ConfigMap", "not-asked-to-go-yet"), deleted(a("Server", "vm"), "lichen.dev/node"), stuck)
    assert told(namespace, *others) == [
        "namespace demo is being deleted and has 2 things that do not go",
        "configmap demo/stuck is being deleted and waits for example.com/never to let go",
        'kubectl -n demo patch configmap stuck -p \'{"metadata":{"finalizers":null}}\' --type=merge '
        "(only if what should let go is gone)",
    ]


def test_a_cordoned_node_is_uncordoned():
    node = a("Node", "n1", {"type": "Ready", "status": "True"}, spec={"unschedulable": True})
    assert told(node) == ["node n1 is cordoned: nothing new is placed on it", "kubectl uncordon n1"]


def test_a_kind_that_is_not_known_here_tells_its_condition():
    router = a("Router", "r", unready("NoGateway", "It has no gateway."))
    assert told(router) == [
        "router demo/r is not well: Ready is False: It has no gateway",
        "kubectl -n demo describe router r, then lichen status",
    ]
    assert told(a("ConfigMap", "c")) == ["nothing is wrong: configmap demo/c is as wanted"]


def test_things_that_wait_for_each_other_are_told_once():
    one, two = (a("Volume", n, spec={"source": s}, phase="Creating") for n, s in (("one", "two"), ("two", "one")))
    assert len(told(one, two)) == 3


# --- what is on its way -----------------------------------------------------------------------------------------------

LOOK = "sudo lichen status (tells whether all of the cloud works)"


def test_a_server_that_nobody_looked_at_yet_says_for_whom_it_waits():
    new, placed = (a("Server", "vm", spec=spec, phase="Pending") for spec in ({}, {"node": "n1"}))
    assert told(new) == ["server demo/vm waits for the scheduler to look at it", LOOK]
    assert told(placed) == ["server demo/vm waits for node n1 to look at it", LOOK]


def test_a_pod_that_nobody_looked_at_yet_says_for_whom_it_waits():
    new = a("Pod", "x", spec={"containers": []}, phase="Pending")
    assert told(new) == ["pod demo/x waits for the scheduler to look at it", LOOK]


def test_a_pod_whose_container_is_being_started_says_so():
    pod = a_pod({"type": "Ready", "status": "False"}, container=waiting("ContainerCreating"))
    assert told(pod)[0] == "pod demo/x is Pending: node n1 starts container c"


def test_a_claim_says_that_it_waits_for_its_first_pod():
    kept = a("StorageClass", "local") | {"volumeBindingMode": "WaitForFirstConsumer"}
    claim = a("PersistentVolumeClaim", "data", spec={"storageClassName": "local"}, phase="Pending")
    assert told(claim, kept) == [
        "volume claim demo/data is not bound: its volume is made for the first pod that uses it, and there is none yet",
        "kubectl -n demo apply -f FILE (a pod that mounts data)",
    ]


def test_a_claim_whose_pod_has_no_node_leads_on_to_the_pod():
    kept = a("StorageClass", "local") | {"volumeBindingMode": "WaitForFirstConsumer"}
    claim = a("PersistentVolumeClaim", "data", spec={"storageClassName": "local"}, phase="Pending")
    spec = {"containers": [], "volumes": [{"name": "d", "persistentVolumeClaim": {"claimName": "data"}}]}
    pod = a("Pod", "x", {**NO_ROOM, "type": "PodScheduled"}, spec=spec, phase="Pending")
    assert told(claim, kept, pod)[1] == "pod demo/x has no node: 0/3 nodes are available: 3 Insufficient memory"


def test_what_nothing_explains_is_known_as_such():
    silent = a("Server", "vm", phase="Error")
    assert unexplained(silent, World([silent])).startswith("server demo/vm is Error, and nobody says why")
    assert unexplained(a("Server", "vm", phase="Error", fault="no disk"), World()) == ""
    assert unexplained(a("Server", "vm", phase="Running"), World()) == ""
