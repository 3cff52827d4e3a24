# SPDX-License-Identifier: Apache-2.0
"""Kubernetes' own kinds that Lichen's code refers to by name. The catalog knows all of them."""

from __future__ import annotations

from lichen.kinds.resources import builtin

APPS, BATCH, RBAC = "apps", "batch", "rbac.authorization.k8s.io"

POD = builtin("", "pods")
NODE = builtin("", "nodes")
NAMESPACE = builtin("", "namespaces")
SERVICE = builtin("", "services")
SERVICE_ACCOUNT = builtin("", "serviceaccounts")
SECRET = builtin("", "secrets")
CONFIG_MAP = builtin("", "configmaps")
EVENT = builtin("", "events")
ENDPOINTS = builtin("", "endpoints")
RESOURCE_QUOTA = builtin("", "resourcequotas")
PERSISTENT_VOLUME = builtin("", "persistentvolumes")
PERSISTENT_VOLUME_CLAIM = builtin("", "persistentvolumeclaims")
ENDPOINT_SLICE = builtin("discovery.k8s.io", "endpointslices")
DEPLOYMENT = builtin(APPS, "deployments")
REPLICA_SET = builtin(APPS, "replicasets")
STATEFUL_SET = builtin(APPS, "statefulsets")
DAEMON_SET = builtin(APPS, "daemonsets")
JOB = builtin(BATCH, "jobs")
CRON_JOB = builtin(BATCH, "cronjobs")
LEASE = builtin("coordination.k8s.io", "leases")
RUNTIME_CLASS = builtin("node.k8s.io", "runtimeclasses")
STORAGE_CLASS = builtin("storage.k8s.io", "storageclasses")
PRIORITY_CLASS = builtin("scheduling.k8s.io", "priorityclasses")
ROLE = builtin(RBAC, "roles")
ROLE_BINDING = builtin(RBAC, "rolebindings")
CLUSTER_ROLE = builtin(RBAC, "clusterroles")
CLUSTER_ROLE_BINDING = builtin(RBAC, "clusterrolebindings")
CSR = builtin("certificates.k8s.io", "certificatesigningrequests")
NETWORK_POLICY = builtin("networking.k8s.io", "networkpolicies")
INGRESS = builtin("networking.k8s.io", "ingresses")
LIMIT_RANGE = builtin("", "limitranges")
PDB = builtin("policy", "poddisruptionbudgets")
CRD = builtin("apiextensions.k8s.io", "customresourcedefinitions")
BINDING = builtin("", "bindings")
TOKEN_REVIEW = builtin("authentication.k8s.io", "tokenreviews")
SELF_SUBJECT_REVIEW = builtin("authentication.k8s.io", "selfsubjectreviews")
SUBJECT_ACCESS_REVIEW = builtin("authorization.k8s.io", "subjectaccessreviews")
LOCAL_SUBJECT_ACCESS_REVIEW = builtin("authorization.k8s.io", "localsubjectaccessreviews")
SELF_SUBJECT_ACCESS_REVIEW = builtin("authorization.k8s.io", "selfsubjectaccessreviews")
SELF_SUBJECT_RULES_REVIEW = builtin("authorization.k8s.io", "selfsubjectrulesreviews")
