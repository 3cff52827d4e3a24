# SPDX-License-Identifier: Apache-2.0
"""The list of extensions that clients of Nova's first days ask for: those whose calls are served."""

from __future__ import annotations

from lichen.apis.openstack.compute.server_views import Json
from lichen.apis.openstack.reply import Reply
from lichen.apis.openstack.request import Request
from lichen.model.errors import NotFound

EXTENSIONS = {
    "os-availability-zone": "AvailabilityZone",
    "os-config-drive": "ConfigDrive",
    "os-console-output": "ConsoleOutput",
    "os-extended-status": "ExtendedStatus",
    "os-flavor-access": "FlavorAccess",
    "os-flavor-extra-specs": "FlavorExtraSpecs",
    "os-flavor-manage": "FlavorManage",
    "os-hypervisors": "Hypervisors",
    "os-keypairs": "Keypairs",
    "os-multiple-create": "MultipleCreate",
    "os-quota-sets": "Quotas",
    "os-server-start-stop": "ServerStartStop",
    "os-services": "Services",
    "os-used-limits": "UsedLimits",
    "os-user-data": "UserData",
}


async def list_extensions(req: Request) -> Reply:
    return Reply({"extensions": [_view(alias) for alias in EXTENSIONS]})


async def show_extension(req: Request, alias: str) -> Reply:
    if alias not in EXTENSIONS:
        raise NotFound(f"The resource could not be found: there is no extension {alias}.")
    return Reply({"extension": _view(alias)})


def _view(alias: str) -> Json:
    name = EXTENSIONS[alias]
    return {
        "alias": alias,
        "name": name,
        "namespace": "",
        "description": name,
        "updated": "2014-12-03T00:00:00Z",
        "links": [],
    }
