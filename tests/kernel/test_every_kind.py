# SPDX-License-Identifier: Apache-2.0
"""Every built-in kind that needs no others: made, changed in every way, found, and deleted with others of its like."""

from __future__ import annotations

from typing import Any

import pytest

from lichen.kernel.session import Session
from lichen.kinds.catalog import by_resource
from lichen.model.kind import Kind
from lichen.model.state import PatchType, WriteOptions
from tests.kernel.test_signing import a_request

Object = dict[str, Any]

NAMED: Object = {"namespace": "default"}
TEMPLATE: Object = {"metadata": {"labels": {"a": "b"}}, "spec": {"containers": [{"name": "c", "image": "i"}]}}
OBJECTS: dict[tuple[str, str, str], Object] = {
    ("flowcontrol.apiserver.k8s.io", "v1", "flowschemas"): {
        "spec": {
            "matchingPrecedence": 9999,
            "priorityLevelConfiguration": {"name": "global-default"},
            "distinguisherMethod": {"type": "ByUser"},
            "rules": [
                {
                    "subjects": [{"kind": "User", "user": {"name": "x"}}],
                    "nonResourceRules": [{"verbs": ["*"], "nonResourceURLs": ["*"]}],
                }
            ],
        }
    },
    ("flowcontrol.apiserver.k8s.io", "v1", "prioritylevelconfigurations"): {
        "spec": {"type": "Limited", "limited": {"nominalConcurrencyShares": 2, "limitResponse": {"type": "Reject"}}}
    },
    ("admissionregistration.k8s.io", "v1", "validatingadmissionpolicies"): {
        "spec": {
            "failurePolicy": "Fail",
            "validations": [{"expression": "true"}],
            "matchConstraints": {
                "resourceRules": [
                    {
                        "apiGroups": ["apps"],
                        "apiVersions": ["v1"],
                        "operations": ["CREATE"],
                        "resources": ["deployments"],
                    }
                ]
            },
        }
    },
    ("admissionregistration.k8s.io", "v1", "validatingadmissionpolicybindings"): {
        "spec": {"policyName": "x", "validationActions": ["Deny"]}
    },
    ("admissionregistration.k8s.io", "v1", "mutatingadmissionpolicies"): {
        "spec": {
            "reinvocationPolicy": "Never",
            "failurePolicy": "Fail",
            "mutations": [{"patchType": "ApplyConfiguration", "applyConfiguration": {"expression": "Object{}"}}],
            "matchConstraints": {
                "resourceRules": [
                    {
                        "apiGroups": ["apps"],
                        "apiVersions": ["v1"],
                        "operations": ["CREATE"],
                        "resources": ["deployments"],
                    }
                ]
            },
        }
    },
    ("admissionregistration.k8s.io", "v1", "mutatingadmissionpolicybindings"): {"spec": {"policyName": "x"}},
    ("policy", "v1", "poddisruptionbudgets"): {
        "metadata": NAMED,
        "spec": {"minAvailable": 1, "selector": {"matchLabels": {"a": "b"}}},
    },
    ("", "v1", "replicationcontrollers"): {
        "metadata": NAMED,
        "spec": {"replicas": 1, "selector": {"a": "b"}, "template": TEMPLATE},
    },
    ("", "v1", "podtemplates"): {"metadata": NAMED, "template": TEMPLATE},
    ("", "v1", "endpoints"): {
        "metadata": NAMED,
        "subsets": [{"addresses": [{"ip": "10.0.0.1"}], "ports": [{"port": 80, "name": "h"}]}],
    },
    ("", "v1", "nodes"): {"spec": {}},
    ("", "v1", "persistentvolumes"): {
        "spec": {"capacity": {"storage": "1Gi"}, "accessModes": ["ReadWriteOnce"], "hostPath": {"path": "/tmp/x"}}
    },
    ("", "v1", "persistentvolumeclaims"): {
        "metadata": NAMED,
        "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}},
    },
    ("", "v1", "serviceaccounts"): {"metadata": NAMED},
    ("", "v1", "limitranges"): {"metadata": NAMED, "spec": {"limits": [{"type": "Pod", "max": {"cpu": "9"}}]}},
    ("", "v1", "resourcequotas"): {"metadata": NAMED, "spec": {"hard": {"pods": "9"}}},
    ("certificates.k8s.io", "v1", "certificatesigningrequests"): {"spec": a_request()["spec"]},
    ("discovery.k8s.io", "v1", "endpointslices"): {
        "metadata": NAMED,
        "addressType": "IPv4",
        "endpoints": [{"addresses": ["10.0.0.1"]}],
        "ports": [],
    },
    ("networking.k8s.io", "v1", "ingresses"): {
        "metadata": NAMED,
        "spec": {"defaultBackend": {"service": {"name": "x", "port": {"number": 80}}}},
    },
    ("networking.k8s.io", "v1", "ingressclasses"): {"spec": {"controller": "example.com/x"}},
    ("networking.k8s.io", "v1", "ipaddresses"): {
        "metadata": {"name": "10.9.9.9"},
        "spec": {"parentRef": {"group": "", "resource": "services", "name": "x", "namespace": "default"}},
    },
    ("networking.k8s.io", "v1", "servicecidrs"): {"spec": {"cidrs": ["10.99.0.0/24"]}},
    ("networking.k8s.io", "v1", "networkpolicies"): {"metadata": NAMED, "spec": {"podSelector": {}}},
    ("coordination.k8s.io", "v1", "leases"): {
        "metadata": NAMED,
        "spec": {
            "holderIdentity": "x",
            "leaseDurationSeconds": 30,
            "acquireTime": "2026-01-01T00:00:00.000000Z",
            "renewTime": "2026-01-01T00:00:00.000000Z",
            "leaseTransitions": 0,
        },
    },
    ("node.k8s.io", "v1", "runtimeclasses"): {"handler": "runc"},
    ("resource.k8s.io", "v1", "deviceclasses"): {"spec": {}},
    ("resource.k8s.io", "v1", "resourceclaims"): {
        "metadata": NAMED,
        "spec": {"devices": {"requests": [{"name": "r", "exactly": {"deviceClassName": "x"}}]}},
    },
    ("resource.k8s.io", "v1", "resourceclaimtemplates"): {
        "metadata": NAMED,
        "spec": {"spec": {"devices": {"requests": [{"name": "r", "exactly": {"deviceClassName": "x"}}]}}},
    },
    ("resource.k8s.io", "v1", "resourceslices"): {
        "spec": {
            "driver": "d.example.com",
            "nodeName": "n",
            "pool": {"name": "p", "generation": 1, "resourceSliceCount": 1},
            "devices": [{"name": "d"}],
        }
    },
    ("storage.k8s.io", "v1", "csidrivers"): {"spec": {"attachRequired": False, "podInfoOnMount": True}},
    ("storage.k8s.io", "v1", "csinodes"): {"spec": {"drivers": [{"name": "d", "nodeID": "n"}]}},
    ("storage.k8s.io", "v1", "csistoragecapacities"): {"metadata": NAMED, "storageClassName": "x", "capacity": "1Gi"},
    ("storage.k8s.io", "v1", "storageclasses"): {"provisioner": "p"},
    ("storage.k8s.io", "v1", "volumeattachments"): {
        "spec": {"attacher": "a", "nodeName": "n", "source": {"persistentVolumeName": "x"}}
    },
    ("storage.k8s.io", "v1", "volumeattributesclasses"): {"driverName": "d", "parameters": {"a": "b"}},
    ("scheduling.k8s.io", "v1", "priorityclasses"): {"value": 5},
    ("apiregistration.k8s.io", "v1", "apiservices"): {
        "metadata": {"name": "v1.x.example.com"},
        "spec": {
            "group": "x.example.com",
            "version": "v1",
            "groupPriorityMinimum": 1,
            "versionPriority": 1,
            "service": {"name": "x", "namespace": "default"},
        },
    },
    ("batch", "v1", "jobs"): {
        "metadata": NAMED,
        "spec": {"template": {**TEMPLATE, "spec": {**TEMPLATE["spec"], "restartPolicy": "Never"}}},
    },
    ("batch", "v1", "cronjobs"): {
        "metadata": NAMED,
        "spec": {
            "schedule": "* * * * *",
            "jobTemplate": {"spec": {"template": {**TEMPLATE, "spec": {**TEMPLATE["spec"], "restartPolicy": "Never"}}}},
        },
    },
    ("apps", "v1", "daemonsets"): {
        "metadata": NAMED,
        "spec": {"selector": {"matchLabels": {"a": "b"}}, "template": TEMPLATE},
    },
    ("apps", "v1", "statefulsets"): {
        "metadata": NAMED,
        "spec": {"serviceName": "x", "selector": {"matchLabels": {"a": "b"}}, "template": TEMPLATE},
    },
    ("apps", "v1", "controllerrevisions"): {"metadata": NAMED, "revision": 1, "data": {"a": 1}},
}


def kind_of(key: tuple[str, str, str]) -> Kind:
    kind = by_resource(*key)
    assert kind is not None
    return kind


def named(kind: Kind, obj: Object) -> Object:
    metadata = {"name": "probe", **obj.get("metadata", {}), "labels": {"t": "1"}}
    return {"apiVersion": kind.api_version, "kind": kind.kind, **obj, "metadata": metadata}


PROTECTED = ("persistentvolumeclaims",)
"""Kinds whose admission holds each object until a controller lets go of it."""


@pytest.mark.parametrize("key", OBJECTS, ids=lambda key: f"{key[2]}.{key[0]}")
async def test_a_kind_is_made_changed_found_and_deleted(session: Session, key: tuple[str, str, str]) -> None:
    kind, obj = kind_of(key), named(kind_of(key), OBJECTS[key])
    name, namespace = obj["metadata"]["name"], "default" if kind.namespaced else ""
    await session.create(kind, obj, WriteOptions(field_validation="Strict"))
    change = {"metadata": {"annotations": {"a": "1"}}}
    patched = await session.patch(kind, name, namespace, change, type=PatchType.STRATEGIC)
    patched["metadata"]["annotations"]["b"] = "1"
    updated = await session.update(kind, patched)
    assert updated["metadata"]["annotations"] == {**updated["metadata"]["annotations"], "a": "1", "b": "1"}
    config = {**obj, "metadata": {"name": name, "labels": {"t": "1", "applied": "1"}}}
    applied = [
        await session.patch(
            kind, name, namespace, config, type=PatchType.APPLY, options=WriteOptions(field_manager="x", force=force)
        )
        for force in (True, False)
    ]
    assert applied[0] == applied[1]
    listed = await session.list(kind, namespace or None, labels="t=1")
    assert [item["metadata"]["labels"]["applied"] for item in listed.items] == ["1"]
    await session.delete_collection(kind, namespace or None, labels="t=1")
    left = (await session.list(kind, namespace or None, labels="t=1")).items  # a claim waits for who mounts it
    assert [item for item in left if not (item["metadata"].get("deletionTimestamp") and key[2] in PROTECTED)] == []


@pytest.mark.parametrize(
    "key", [k for k in OBJECTS if "status" in kind_of(k).subresources], ids=lambda key: f"{key[2]}.{key[0]}"
)
async def test_its_status_is_written_apart(session: Session, key: tuple[str, str, str]) -> None:
    kind, obj = kind_of(key), named(kind_of(key), OBJECTS[key])
    name, namespace = obj["metadata"]["name"], "default" if kind.namespaced else ""
    made = await session.create(kind, obj)
    patch = {"metadata": {"annotations": {"noted": "1"}}, "spec": {"strange": 1}, "status": {}}
    written = await session.patch(kind, name, namespace, patch, subresource="status")
    assert written.get("spec") == made.get("spec")
    assert (written["metadata"].get("annotations") or {}).get("noted") == (None if key[2] == "nodes" else "1")
