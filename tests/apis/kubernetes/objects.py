# SPDX-License-Identifier: Apache-2.0
"""Objects that the tests make."""

from __future__ import annotations

from typing import Any

Object = dict[str, Any]


def a_pod(name: str, namespace: str = "default", *, node: str = "", containers: int = 1, **labels: str) -> Object:
    spec: Object = {"containers": [{"name": f"c{n}", "image": "busybox"} for n in range(containers)]}
    if node:
        spec["nodeName"] = node
    metadata = {"name": name, "namespace": namespace, "labels": labels}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}


def a_config_map(name: str, namespace: str = "default", **data: str) -> Object:
    metadata = {"name": name, "namespace": namespace}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data}


def a_deployment(name: str, replicas: int = 1) -> Object:
    labels = {"app": name}
    template = {"metadata": {"labels": labels}, "spec": {"containers": [{"name": "c", "image": "busybox"}]}}
    spec = {"replicas": replicas, "selector": {"matchLabels": labels}, "template": template}
    metadata = {"name": name, "namespace": "default"}
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": metadata, "spec": spec}


def a_flavor(name: str = "small") -> Object:
    spec = {"vcpus": 1, "memory": 256}
    return {"apiVersion": "compute.lichen.dev/v1", "kind": "Flavor", "metadata": {"name": name}, "spec": spec}


def a_server(name: str, namespace: str = "default", **spec: Any) -> Object:
    metadata = {"name": name, "namespace": namespace}
    spec = {"flavor": "small", "networks": [], **spec}
    return {"apiVersion": "compute.lichen.dev/v1", "kind": "Server", "metadata": metadata, "spec": spec}
