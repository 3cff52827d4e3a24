# SPDX-License-Identifier: Apache-2.0
"""Kubernetes' own kinds that Lichen's code refers to by name. The catalog knows all of them."""

from __future__ import annotations

from lichen.model.kind import Kind

APPS, BATCH, RBAC = "apps", "batch", "rbac.authorization.k8s.io"

POD = Kind("", "v1", "Pod", "pods")
NODE = Kind("", "v1", "Node", "nodes", namespaced=False)
NAMESPACE = Kind("", "v1", "Namespace", "namespaces", namespaced=False)
SERVICE = Kind("", "v1", "Service", "services")
SERVICE_ACCOUNT = Kind("", "v1", "ServiceAccount", "serviceaccounts")
SECRET = Kind("", "v1", "Secret", "secrets")
CONFIG_MAP = Kind("", "v1", "ConfigMap", "configmaps")
EVENT = Kind("", "v1", "Event", "events")
ENDPOINTS = Kind("", "v1", "Endpoints", "endpoints")
RESOURCE_QUOTA = Kind("", "v1", "ResourceQuota", "resourcequotas")
PERSISTENT_VOLUME = Kind("", "v1", "PersistentVolume", "persistentvolumes", namespaced=False)
PERSISTENT_VOLUME_CLAIM = Kind("", "v1", "PersistentVolumeClaim", "persistentvolumeclaims")
ENDPOINT_SLICE = Kind("discovery.k8s.io", "v1", "EndpointSlice", "endpointslices")
DEPLOYMENT = Kind(APPS, "v1", "Deployment", "deployments")
REPLICA_SET = Kind(APPS, "v1", "ReplicaSet", "replicasets")
STATEFUL_SET = Kind(APPS, "v1", "StatefulSet", "statefulsets")
DAEMON_SET = Kind(APPS, "v1", "DaemonSet", "daemonsets")
JOB = Kind(BATCH, "v1", "Job", "jobs")
CRON_JOB = Kind(BATCH, "v1", "CronJob", "cronjobs")
LEASE = Kind("coordination.k8s.io", "v1", "Lease", "leases")
RUNTIME_CLASS = Kind("node.k8s.io", "v1", "RuntimeClass", "runtimeclasses", namespaced=False)
STORAGE_CLASS = Kind("storage.k8s.io", "v1", "StorageClass", "storageclasses", namespaced=False)
PRIORITY_CLASS = Kind("scheduling.k8s.io", "v1", "PriorityClass", "priorityclasses", namespaced=False)
ROLE = Kind(RBAC, "v1", "Role", "roles")
ROLE_BINDING = Kind(RBAC, "v1", "RoleBinding", "rolebindings")
CLUSTER_ROLE = Kind(RBAC, "v1", "ClusterRole", "clusterroles", namespaced=False)
CLUSTER_ROLE_BINDING = Kind(RBAC, "v1", "ClusterRoleBinding", "clusterrolebindings", namespaced=False)
