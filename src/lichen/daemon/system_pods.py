# SPDX-License-Identifier: Apache-2.0
"""The OpenStack services as an ordinary Deployment of the cloud that they extend."""

from __future__ import annotations

import asyncio
import logging

from lichen import __version__
from lichen.daemon.interpreter import own_python
from lichen.daemon.settings import Settings
from lichen.kinds.builtin import DEPLOYMENT
from lichen.model.data import Object
from lichen.model.errors import AlreadyExists, ApiError
from lichen.model.names import LISTEN, SYSTEM_NAMESPACE
from lichen.model.state import State

log = logging.getLogger(__name__)

NAME = "openstack-api"
RETRY_SECONDS = 0.5


async def ensure_system_pods(state: State, settings: Settings) -> None:
    """Make the Deployment, or take it to this release; replicas are the operator's. Then rest."""
    while True:
        try:
            await _ensure(state, deployment(settings))
            break
        except (ApiError, OSError) as error:
            log.info("deployment %s is not there yet: %s", NAME, error)
            await asyncio.sleep(RETRY_SECONDS)
    await asyncio.Event().wait()


async def _ensure(state: State, wanted: Object) -> None:
    try:
        await state.create(DEPLOYMENT, wanted)
    except AlreadyExists:
        patch = {"spec": {"template": wanted["spec"]["template"]}}
        await state.patch(DEPLOYMENT, NAME, SYSTEM_NAMESPACE, patch)


def deployment(settings: Settings) -> Object:
    labels = {"app.kubernetes.io/name": NAME, "app.kubernetes.io/part-of": "lichen"}
    container = {
        "name": "api",
        "image": f"lichen:{__version__}",
        "command": [own_python(), "-m", "lichen.daemon", "openstack", "--data-dir", str(settings.data_dir)],
        "resources": {"requests": {"cpu": "50m", "memory": "64Mi"}, "limits": {"memory": "512Mi"}},
    }
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": NAME, "namespace": SYSTEM_NAMESPACE, "labels": labels},
        "spec": {
            "replicas": 1,
            "selector": {"matchLabels": {"app.kubernetes.io/name": NAME}},
            "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}},
            "template": {
                "metadata": {"labels": labels, "annotations": {LISTEN: "openstack"}},
                "spec": {
                    "runtimeClassName": "process",
                    "hostNetwork": True,
                    "priorityClassName": "system-cluster-critical",
                    "terminationGracePeriodSeconds": 10,
                    "tolerations": [{"operator": "Exists"}],
                    "containers": [container],
                },
            },
        },
    }
