# SPDX-License-Identifier: Apache-2.0
"""Every controller of the cloud, in no order that matters."""

from __future__ import annotations

from lichen.controllers.aggregate import AggregateController
from lichen.controllers.attachment import AttachmentController
from lichen.controllers.base import Reconciler
from lichen.controllers.claims import ClaimController, PersistentVolumeController
from lichen.controllers.cron_job import CronJobController
from lichen.controllers.daemon_set import DaemonSetController
from lichen.controllers.deployment import DeploymentController
from lichen.controllers.disruption import DisruptionController
from lichen.controllers.floating_ip import FloatingIPController
from lichen.controllers.job import JobController
from lichen.controllers.namespace import NamespaceController
from lichen.controllers.network import NetworkController
from lichen.controllers.node import NodeController
from lichen.controllers.operation import OperationController
from lichen.controllers.pod_port import PodPortController
from lichen.controllers.replica_set import ReplicaSetController, ReplicationControllerController
from lichen.controllers.router import RouterController
from lichen.controllers.server import ServerController
from lichen.controllers.service import ServiceController
from lichen.controllers.stateful_set import StatefulSetController
from lichen.controllers.volume import VolumeController
from lichen.controllers.zone import ZoneController

RECONCILERS: tuple[type[Reconciler], ...] = (
    NamespaceController,
    NetworkController,
    RouterController,
    FloatingIPController,
    PodPortController,
    ServerController,
    OperationController,
    AggregateController,
    ZoneController,
    ServiceController,
    DeploymentController,
    ReplicaSetController,
    ReplicationControllerController,
    StatefulSetController,
    DaemonSetController,
    JobController,
    CronJobController,
    DisruptionController,
    NodeController,
    VolumeController,
    AttachmentController,
    ClaimController,
    PersistentVolumeController,
)
