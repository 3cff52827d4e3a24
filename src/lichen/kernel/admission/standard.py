# SPDX-License-Identifier: Apache-2.0
"""The plugins every kernel has, in the order they run."""

from __future__ import annotations

from lichen.kernel.admission import Plugin
from lichen.kernel.admission.addresses import Addresses
from lichen.kernel.admission.attachments import Attachments, ServerVolumes
from lichen.kernel.admission.claims import Claims
from lichen.kernel.admission.compute import Keypairs, Servers
from lichen.kernel.admission.floatingips import FloatingIPs
from lichen.kernel.admission.idle import Idle
from lichen.kernel.admission.ids import Ids
from lichen.kernel.admission.images import Captured
from lichen.kernel.admission.imageshares import ImageMembers, ImageShares
from lichen.kernel.admission.limits import LimitRanges
from lichen.kernel.admission.madeports import MadePorts
from lichen.kernel.admission.namespaces import Namespaces
from lichen.kernel.admission.network import Networks, Subnets
from lichen.kernel.admission.ownership import Chosen, Placement, Protected, Whose
from lichen.kernel.admission.pods import Pods
from lichen.kernel.admission.portnames import NetworkNames, PortWishes
from lichen.kernel.admission.ports import Ports
from lichen.kernel.admission.quota import Quotas
from lichen.kernel.admission.routers import RouterInterfaces, Routers
from lichen.kernel.admission.securitygroups import PortGroups, SecurityGroups
from lichen.kernel.admission.server_verbs import Groups, History, Locks, Shelves
from lichen.kernel.admission.services import Services
from lichen.kernel.admission.signing import SigningRequests
from lichen.kernel.admission.subnetpools import Cutting, SubnetPools
from lichen.kernel.admission.traced import Traced
from lichen.kernel.admission.volumes import Snapshots, Volumes


def standard_plugins() -> list[Plugin]:
    """Fresh ones: each kernel has its own, for some remember what is taken."""
    addresses = Addresses()
    made = MadePorts(addresses)
    return [
        Namespaces(),
        Ids(),
        Placement(),
        Chosen(),
        Whose(),
        Protected(),
        Locks(),
        Servers(),
        Groups(),
        Shelves(),
        History(),
        Keypairs(),
        Captured(),
        ImageMembers(),
        ImageShares(),
        Networks(),
        SubnetPools(),
        Cutting(),
        Subnets(addresses),
        SecurityGroups(),
        PortGroups(),
        Ports(addresses),
        PortWishes(),
        NetworkNames(),
        RouterInterfaces(),
        Routers(made),
        FloatingIPs(made),
        Services(),
        Volumes(),
        Snapshots(),
        Attachments(),
        ServerVolumes(),
        Claims(),
        SigningRequests(),
        Pods(),
        LimitRanges(),
        Quotas(),
        Idle(),
        Traced(),
    ]
