# SPDX-License-Identifier: Apache-2.0
"""Every built-in kind that is served: Kubernetes 1.36's stable kinds, one line each.

Columns: plural, kind, scope (ns or cluster), short names, subresources, categories, verbs (`rw` is all eight,
`one` all but deletecollection, `c` create only, `-` nothing), in sections by group/version. `-` stands for none.
"""

from __future__ import annotations

from functools import cache

from lichen.model.kind import ALL_VERBS, Kind

POD_SUBRESOURCES = "status,log,exec,attach,portforward,binding,eviction,proxy,ephemeralcontainers"

TABLE = """
[v1]
bindings                    Binding                    ns      -      -                                      -    c
configmaps                  ConfigMap                  ns      cm     -                                      -    rw
endpoints                   Endpoints                  ns      ep     -                                      -    rw
events                      Event                      ns      ev     -                                      -    rw
limitranges                 LimitRange                 ns      limits -                                      -    rw
namespaces                  Namespace                  cluster ns     status,finalize                        -    one
nodes                       Node                       cluster no     status,proxy                           -    rw
persistentvolumeclaims      PersistentVolumeClaim      ns      pvc    status                                 -    rw
persistentvolumes           PersistentVolume           cluster pv     status                                 -    rw
pods                        Pod                        ns      po     $pod all rw
podtemplates                PodTemplate                ns      -      -                                      -    rw
replicationcontrollers      ReplicationController      ns      rc     status,scale                           all  rw
resourcequotas              ResourceQuota              ns      quota  status                                 -    rw
secrets                     Secret                     ns      -      -                                      -    rw
serviceaccounts             ServiceAccount             ns      sa     token                                  -    rw
services                    Service                    ns      svc    status,proxy                           all  rw

[admissionregistration.k8s.io/v1]
mutatingadmissionpolicies         MutatingAdmissionPolicy          cluster - -      api-extensions rw
mutatingadmissionpolicybindings   MutatingAdmissionPolicyBinding   cluster - -      api-extensions rw
mutatingwebhookconfigurations     MutatingWebhookConfiguration     cluster - -      api-extensions rw
validatingadmissionpolicies       ValidatingAdmissionPolicy        cluster - status api-extensions rw
validatingadmissionpolicybindings ValidatingAdmissionPolicyBinding cluster - -      api-extensions rw
validatingwebhookconfigurations   ValidatingWebhookConfiguration   cluster - -      api-extensions rw

[apiextensions.k8s.io/v1]
customresourcedefinitions   CustomResourceDefinition   cluster crd,crds status api-extensions rw

[apiregistration.k8s.io/v1]
apiservices                 APIService                 cluster -      status                  api-extensions rw

[apps/v1]
controllerrevisions         ControllerRevision         ns      -      -                                      -    rw
daemonsets                  DaemonSet                  ns      ds     status                                 all  rw
deployments                 Deployment                 ns      deploy status,scale                           all  rw
replicasets                 ReplicaSet                 ns      rs     status,scale                           all  rw
statefulsets                StatefulSet                ns      sts    status,scale                           all  rw

[authentication.k8s.io/v1]
selfsubjectreviews          SelfSubjectReview          cluster -      -                                      -    c
tokenreviews                TokenReview                cluster -      -                                      -    c

[authorization.k8s.io/v1]
localsubjectaccessreviews   LocalSubjectAccessReview   ns      -      -                                      -    c
selfsubjectaccessreviews    SelfSubjectAccessReview    cluster -      -                                      -    c
selfsubjectrulesreviews     SelfSubjectRulesReview     cluster -      -                                      -    c
subjectaccessreviews        SubjectAccessReview        cluster -      -                                      -    c

[autoscaling/v1]
horizontalpodautoscalers    HorizontalPodAutoscaler    ns      hpa    status                                 all  rw

[autoscaling/v2]
horizontalpodautoscalers    HorizontalPodAutoscaler    ns      hpa    status                                 all  rw

[batch/v1]
cronjobs                    CronJob                    ns      cj     status                                 all  rw
jobs                        Job                        ns      -      status                                 all  rw

[certificates.k8s.io/v1]
certificatesigningrequests  CertificateSigningRequest  cluster csr    status,approval                        -    rw

[coordination.k8s.io/v1]
leases                      Lease                      ns      -      -                                      -    rw

[discovery.k8s.io/v1]
endpointslices              EndpointSlice              ns      -      -                                      -    rw

[events.k8s.io/v1]
events                      Event                      ns      ev     -                                      -    rw

[flowcontrol.apiserver.k8s.io/v1]
flowschemas                 FlowSchema                 cluster -      status                                 -    rw
prioritylevelconfigurations PriorityLevelConfiguration cluster -      status                                 -    rw

[networking.k8s.io/v1]
ingressclasses              IngressClass               cluster -      -                                      -    rw
ingresses                   Ingress                    ns      ing    status                                 -    rw
ipaddresses                 IPAddress                  cluster ip     -                                      -    rw
networkpolicies             NetworkPolicy              ns      netpol -                                      -    rw
servicecidrs                ServiceCIDR                cluster -      status                                 -    rw

[node.k8s.io/v1]
runtimeclasses              RuntimeClass               cluster -      -                                      -    rw

[policy/v1]
poddisruptionbudgets        PodDisruptionBudget        ns      pdb    status                                 -    rw

[rbac.authorization.k8s.io/v1]
clusterrolebindings         ClusterRoleBinding         cluster -      -                                      -    rw
clusterroles                ClusterRole                cluster -      -                                      -    rw
rolebindings                RoleBinding                ns      -      -                                      -    rw
roles                       Role                       ns      -      -                                      -    rw

[resource.k8s.io/v1]
deviceclasses               DeviceClass                cluster -      -                                      -    rw
resourceclaims              ResourceClaim              ns      -      status                                 -    rw
resourceclaimtemplates      ResourceClaimTemplate      ns      -      -                                      -    rw
resourceslices              ResourceSlice              cluster -      -                                      -    rw

[scheduling.k8s.io/v1]
priorityclasses             PriorityClass              cluster pc     -                                      -    rw

[storage.k8s.io/v1]
csidrivers                  CSIDriver                  cluster -      -                                      -    rw
csinodes                    CSINode                    cluster -      -                                      -    rw
csistoragecapacities        CSIStorageCapacity         ns      -      -                                      -    rw
storageclasses              StorageClass               cluster sc     -                                      -    rw
volumeattachments           VolumeAttachment           cluster -      status                                 -    rw
volumeattributesclasses     VolumeAttributesClass      cluster vac    -                                      -    rw
"""

SHOWN = {
    ("events.k8s.io", "v1", "events"): ("", "v1"),
    ("autoscaling", "v1", "horizontalpodautoscalers"): ("autoscaling", "v2"),
}
"""Kinds (group, version, plural) that show what another one of the same plural stores, and its group and version."""


@cache
def builtin_kinds() -> tuple[Kind, ...]:
    """All of the table, in its order."""
    kinds = []
    group = version = ""
    for line in TABLE.split("\n"):
        if line.startswith("["):
            group, _, version = line[1:-1].rpartition("/")
        elif line:
            kinds.append(_parse(line, group, version))
    return tuple(kinds)


@cache
def _by_resource() -> dict[tuple[str, str], Kind]:
    stored = [kind for kind in builtin_kinds() if (kind.group, kind.version, kind.plural) not in SHOWN]
    shown = [kind for kind in builtin_kinds() if (kind.group, kind.version, kind.plural) in SHOWN]
    return {(kind.group, kind.plural): kind for kind in (*shown, *stored)}


def builtin(group: str, plural: str) -> Kind:
    """The built-in kind of that group and plural. KeyError: there is none."""
    return _by_resource()[group, plural]


_VERBS = {"rw": ALL_VERBS, "one": tuple(verb for verb in ALL_VERBS if verb != "deletecollection"), "c": ("create",)}


def _parse(line: str, group: str, version: str) -> Kind:
    plural, kind, scope, short, subresources, categories, verbs = line.split()
    return Kind(
        group=group,
        version=version,
        kind=kind,
        plural=plural,
        namespaced=scope == "ns",
        singular=kind.lower(),
        short=_words(short),
        categories=_words(categories),
        verbs=_VERBS[verbs],
        subresources=_words(subresources),
    )


def _words(cell: str) -> tuple[str, ...]:
    return () if cell == "-" else tuple(cell.replace("$pod", POD_SUBRESOURCES).split(","))
