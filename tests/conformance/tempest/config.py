# SPDX-License-Identifier: Apache-2.0
"""tempest.conf for a running cloud: what it has is read from its catalog and extension lists, nothing is assumed."""

from __future__ import annotations

import configparser
import io
import json
from pathlib import Path
from typing import Any

from tests.conformance.cloud import Here, a_qcow2

ALWAYS: dict[str, dict[str, Any]] = {
    "auth": {
        "use_dynamic_credentials": True,
        "admin_username": "admin",
        "admin_project_name": "admin",
        "admin_domain_name": "Default",
        "tempest_roles": "member",
    },
    "identity": {
        "auth_version": "v3",
        "region": "RegionOne",
        "default_domain_id": "default",
        "user_lockout_failure_attempts": 2,
        "user_lockout_duration": 5,
        "user_unique_last_password_count": 2,
    },
    "identity-feature-enabled": {
        "trust": True,
        "application_credentials": True,
        "access_rules": True,
        "project_tags": True,
        "security_compliance": True,
        "domain_specific_drivers": False,
    },
    "compute": {"build_interval": 1, "build_timeout": 90, "max_microversion": "2.100", "min_compute_nodes": 2},
    "compute-feature-enabled": {
        "resize": True,
        "pause": True,
        "suspend": True,
        "change_password": False,
        "rescue": True,
        "shelve": True,
        "snapshot": True,
        "live_migration": False,
        "cold_migration": False,
        "vnc_console": False,
        "console_output": True,
        "interface_attach": True,
        "personality": False,
        "enable_instance_password": False,
    },
    "image": {"build_timeout": 60},
    "image-feature-enabled": {"import_image": False},
    "network": {"build_timeout": 60, "build_interval": 1},
    "service_available": {"swift": False, "cinder": False, "neutron": True, "nova": True, "glance": True},
    "object-storage-feature-enabled": {"discoverability": False},
}


SIMULATED: dict[str, dict[str, Any]] = {"validation": {"run_validation": False}}
"""There is nobody to log in to in a simulated guest."""
REAL: dict[str, dict[str, Any]] = {
    "compute": {"build_timeout": 300, "min_compute_nodes": 1},
    "image": {"build_timeout": 120},
    "network": {"build_timeout": 120},
    "volume": {"build_timeout": 120},
    "validation": {
        "run_validation": True,
        "connect_method": "floating",
        "image_ssh_user": "root",
        "image_alt_ssh_user": "root",
    },
}
"""Guests boot, emulated if need be, and are logged in to through their floating IPs."""


def configuration(here: Here, workspace: Path) -> str:
    """The file's text. Makes the two images that servers boot from; gives the domain the rules that are tested."""
    rules = {"lockoutAttempts": 2, "lockoutSeconds": 5, "uniqueLast": 2}
    patch = json.dumps({"spec": {"passwordRules": rules}})
    done = here.run("kubectl", "patch", "domain", "default", "--type=merge", "-p", patch)
    assert done.code == 0, done.err
    admin = here.sdk("admin", "admin")
    more = SIMULATED if here.simulate else REAL
    sections = {name: ALWAYS.get(name, {}) | more.get(name, {}) for name in (*ALWAYS, *more)}
    url = f"{here.facts.openstack_url}/identity/v3"
    sections["identity"] |= {"uri_v3": url, "uri": url, "ca_certificates_file": str(here.facts.ca_file)}
    sections["auth"] |= {"admin_password": here.credentials.admin_password}
    images = [_image(admin, here, name) for name in ("first", "second")]
    flavors = {flavor.name: flavor.id for flavor in admin.compute.flavors()}
    sections["compute"] |= {
        "image_ref": images[0],
        "image_ref_alt": images[1],
        "flavor_ref": flavors["m1.tiny"],
        "flavor_ref_alt": flavors["m1.small"],
        "fixed_network_name": "cluster",
    }
    types = {service["type"] for service in admin.service_catalog}
    sections["service_available"] |= {
        "cinder": bool(types & {"block-storage", "volumev3", "volume"}),
        "swift": "object-store" in types,
    }
    sections["network-feature-enabled"] = _network(admin, sections)
    sections["oslo_concurrency"] = {"lock_path": str(workspace / "lock")}
    return _text(sections)


def _image(admin: Any, here: Here, name: str) -> str:
    """What boots: nothing in a simulated cloud, lichen-tiny in a real one."""
    real = here.data_dir / "base" / "lichen-tiny.qcow2"
    disk = a_qcow2(here.folder / f"{name}.qcow2") if here.simulate else real
    image = admin.create_image(
        name, filename=str(disk), disk_format="qcow2", container_format="bare", visibility="public", wait=True
    )
    return str(image.id)


def _network(admin: Any, sections: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """A network per test account if there are routers to make it with, else the one that all projects share."""
    extensions = sorted(extension.alias for extension in admin.network.extensions())
    has_routers = "router" in extensions
    external = next((n for n in admin.network.networks() if n.is_router_external), None) if has_routers else None
    sections["auth"]["create_isolated_networks"] = has_routers
    if external is not None:
        sections["network"] |= {"public_network_id": external.id, "floating_network_name": external.name}
    return {"api_extensions": ",".join(extensions), "floating_ips": external is not None, "ipv6": True}


def _text(sections: dict[str, dict[str, Any]]) -> str:
    parser = configparser.RawConfigParser()
    parser.read_dict(sections)
    out = io.StringIO()
    parser.write(out)
    return out.getvalue()
