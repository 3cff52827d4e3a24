# SPDX-License-Identifier: Apache-2.0
"""What a guest reads at http://169.254.169.254: OpenStack's files and EC2's paths, as the drive does. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping

from lichen.kinds.compute.server import Server

VERSIONS = ("2012-08-10", "2013-04-04", "2013-10-17", "2015-10-15", "2016-06-30", "2016-10-06", "2017-02-22",
            "2018-08-27", "2020-10-14", "latest")  # fmt: skip
"""OpenStack's; they all say the same here."""
EC2_VERSIONS = ("1.0", "2007-01-19", "2007-03-01", "2007-08-29", "2007-10-10", "2007-12-15", "2008-02-01",
                "2008-09-01", "2009-04-04", "latest")  # fmt: skip

Tree = Mapping[str, bytes]
"""Content by path, without a slash at either end."""


def tree(server: Server, files: Mapping[str, bytes], fixed: str, floating: str) -> dict[str, bytes]:
    """Everything that one guest may read. files: its config drive's; fixed, floating: its addresses, "" for none."""
    found = {path.removeprefix("openstack/latest/"): content for path, content in files.items()}
    found.setdefault("vendor_data2.json", b"{}")
    meta = json.loads(found["meta_data.json"])
    if meta.pop("admin_pass", None) is not None:  # every process of the guest can ask here
        found["meta_data.json"] = json.dumps(meta).encode()
    result = {f"openstack/latest/{path}": content for path, content in found.items()}
    for path, text in _ec2(server, meta, fixed, floating).items():
        result[f"latest/meta-data/{path}"] = text.encode()
    if "user_data" in found:
        result["latest/user-data"] = found["user_data"]
    return result


def _ec2(server: Server, meta: Mapping[str, object], fixed: str, floating: str) -> dict[str, str]:
    id = server.spec.id.replace("-", "")
    hostname = str(meta["hostname"])
    paths = {
        "ami-id": f"ami-{server.spec.image_id.replace('-', '')[:8] or '00000000'}",
        "ami-launch-index": "0",
        "hostname": hostname,
        "instance-action": "none",
        "instance-id": f"i-{id[:8]}",
        "instance-type": server.spec.flavor,
        "local-hostname": hostname,
        "local-ipv4": fixed,
        "placement/availability-zone": str(meta["availability_zone"]),
        "public-hostname": hostname,
        "public-ipv4": floating,
        "reservation-id": f"r-{id[:8]}",
    }
    keys = meta.get("public_keys")
    for number, key in enumerate((keys if isinstance(keys, dict) else {}).values()):
        paths[f"public-keys/{number}/openssh-key"] = str(key)
    return paths


def answer(content: Tree, key_names: tuple[str, ...], path: str) -> bytes | None:
    """What GET of a path says: a file, or the names in a folder, one a line. None: nothing is there."""
    wanted = path.strip("/")
    first, _, rest = wanted.partition("/")
    if not wanted:
        return _lines([*EC2_VERSIONS])
    if wanted == "openstack":
        return _lines([*VERSIONS])
    if first == "openstack":
        version, _, rest = rest.partition("/")
        if version not in VERSIONS:
            return None
        wanted = f"openstack/latest/{rest}".rstrip("/")
    elif first in EC2_VERSIONS:
        wanted = f"latest/{rest}".rstrip("/")
    if wanted == "latest/meta-data/public-keys" and key_names:
        return _lines([f"{number}={name}" for number, name in enumerate(key_names)])
    if wanted in content:
        return content[wanted]
    below = [name.removeprefix(wanted + "/") for name in content if name.startswith(wanted + "/")]
    names = sorted({name.partition("/")[0] + ("/" if "/" in name else "") for name in below})
    return _lines(names) if names else None


def _lines(names: list[str]) -> bytes:
    return "\n".join(names).encode()
