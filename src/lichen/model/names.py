# SPDX-License-Identifier: Apache-2.0
"""Names: DNS-safe handles made from what users write, and the labels and annotations Lichen reserves."""

from __future__ import annotations

import hashlib
import re
import secrets

PROJECT_ID = "identity.lichen.dev/project-id"
"""Label of a Namespace: the project's OpenStack id, 32 hex digits."""
DOMAIN_ID = "identity.lichen.dev/domain-id"
"""Label of a Namespace: the domain's id."""
PARENT_ID = "identity.lichen.dev/parent-id"
"""Label of a Namespace: the id of the project that it lies below, if that is not its domain."""
ENABLED = "identity.lichen.dev/enabled"
"""Annotation of a Namespace: "false" if the project is disabled."""
DISPLAY_NAME = "lichen.dev/name"
"""Annotation: the name as the user wrote it, of kinds that have no spec.displayName."""
DESCRIPTION = "lichen.dev/description"
"""Annotation: a free text, of kinds that have no spec.description."""
TAGS = "lichen.dev/tags"
"""Annotation: OpenStack tags as a JSON list, of kinds that have no spec.tags."""
SERVER_GROUP = "compute.lichen.dev/server-group"
"""Label of a Server: the id of its server group."""
MADE_BY = "openstack.lichen.dev/made-by"
"""Annotation of a Server: the OpenStack request that made it."""
ASKED_BY = "lichen.dev/request"
"""Annotation of servers, pods, volumes, ports, images, workloads: the request that last changed what is wanted of one,
as logs name it. The kernel writes it."""
AGGREGATE = "aggregate.lichen.dev/"
"""Prefix of labels of a Node: what the metadata of its host aggregates says."""
NETWORK = "network.lichen.dev/network"
"""Annotation of a Pod or a Namespace: the network that pods join."""
SECURITY_GROUPS = "network.lichen.dev/security-groups"
"""Annotation of a Pod or a Namespace: the security groups that filter pods, with commas between; absent: no filter."""
LISTEN = "lichen.dev/listen"
"""Annotation of a Pod of class `process`: the listening socket that it inherits."""
NODE_FINALIZER = "lichen.dev/node"
"""Finalizer: the node has still to let go of what it runs for the object."""
OFFERED = "lichen.dev/offered"
"""Annotation of the cluster's network: what every cloud is given once, and its admin may delete for good (an external
network, a router that leads there), separated by commas."""
STALLED = "Stalled"
"""Condition: what the node does about the object fails again and again; gone when it goes well. Of a Node: what fails
there and could be said nowhere else."""

CONTROLLERS = "system:lichen-controllers"
"""User and group of the cloud's controllers."""
DIALECT = "system:lichen-openstack"
"""The processes that answer OpenStack's calls. They act by their callers' tokens, and say with this one that it is they
who ask: that the call is one that the caller's access rules allow, that an image's bytes are what they say."""
DIALECT_HEADER = "Lichen-Dialect"
"""The header that bears that token."""
NODE_USER = "system:node:"
"""How the name of a node's credential begins."""
NODES = "system:nodes"
"""The group of the nodes' credentials."""

SYSTEM_NAMESPACE = "lichen-system"
ROOT_CA = "kube-root-ca.crt"
"""The ConfigMap in every namespace that holds the authority of the API's certificate."""
CLUSTER_NETWORK = "cluster"
VENDOR_DATA = "vendor-data"
"""The ConfigMap in the system's namespace whose keys vendor_data.json and vendor_data2.json all guests can read."""

_LABEL = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
_SUBDOMAIN = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")


def is_dns_label(name: str) -> bool:
    """RFC 1123 label: up to 63 of a-z, 0-9 and `-`, alphanumeric at both ends."""
    return _LABEL.fullmatch(name) is not None


def is_dns_subdomain(name: str) -> bool:
    """RFC 1123 subdomain: labels joined by dots, up to 253."""
    return len(name) <= 253 and _SUBDOMAIN.fullmatch(name) is not None


def slug(text: str, limit: int = 48) -> str:
    """The nearest DNS label to any text; `x` where nothing is left of it."""
    kept = re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")[:limit].rstrip("-")
    return kept or "x"


def handle(display_name: str) -> str:
    """The handle of a thing whose names may repeat: its name if that is a DNS label, else its slug."""
    return display_name if is_dns_label(display_name) else slug(display_name)


def with_suffix(base: str) -> str:
    """`base` with five random letters, for when the handle is taken."""
    return f"{base[:57].rstrip('-')}-{random_suffix()}"


def random_suffix(length: int = 5) -> str:
    """Letters and digits that make no words, as Kubernetes' generateName uses."""
    return "".join(secrets.choice("bcdfghjklmnpqrstvwxz2456789") for _ in range(length))


def unique_handle(domain_id: str, name: str) -> str:
    """The handle of a thing whose name is unique in its domain: the same pair always gives the same handle and no
    other pair does, so that `create` is the lock on the name."""
    folded = name.casefold()
    if domain_id == "default" and is_dns_label(name) and not _looks_hashed(name):
        return name
    digest = hashlib.sha256(f"{domain_id}\0{folded}".encode()).hexdigest()[:8]
    return f"{slug(name, 40)}-{digest}"


def _looks_hashed(name: str) -> bool:
    return re.search(r"-[0-9a-f]{8}$", name) is not None


POOL = "topology.volume.lichen.dev/pool"
"""Label of a node: the pool of volumes that it reaches. Nodes with their own disks are each a pool of their own."""
