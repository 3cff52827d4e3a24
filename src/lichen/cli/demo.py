# SPDX-License-Identifier: Apache-2.0
"""`lichen demo`: the first light. A VM made with one API and two pods made with the other, on one network; each
fetches a page from the other; then both are killed and come back."""

from __future__ import annotations

import argparse
import asyncio
import os
import signal
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from lichen.cli.access import require_local
from lichen.cli.image import base_image
from lichen.cli.openstack import OpenStack, connect
from lichen.cli.output import CommandError, Steps
from lichen.client.local import LocalCloud, read_credentials
from lichen.client.remote import RemoteCloud
from lichen.kinds.builtin import DEPLOYMENT, POD, SERVICE
from lichen.kinds.compute.server import Server
from lichen.model.data import Object
from lichen.model.errors import AlreadyExists, NotFound
from lichen.model.kind import Kind
from lichen.model.meta import is_deleting, name_of
from lichen.model.state import Caller, State

PROJECT, SERVER, PODS, IMAGE, FLAVOR = "demo", "web", "hello", "lichen-tiny", "m1.tiny"
PATIENCE = 180.0
PAUSE = 0.2


def demo(arguments: argparse.Namespace) -> int:
    cloud = require_local(arguments)
    if cloud.simulate:
        raise CommandError("the demo wants real machines: `sudo lichen up`, then `lichen demo`.")
    if os.geteuid() != 0:
        raise CommandError("the demo kills processes of the cloud to show that they come back: use sudo.")
    play(cloud, Steps())
    return 0


def play(cloud: LocalCloud, steps: Steps) -> None:
    """The whole demo, each scene a step."""
    asyncio.run(_play(cloud, steps))


async def _play(cloud: LocalCloud, steps: Steps) -> None:
    credentials = read_credentials(cloud)
    remote = RemoteCloud(cloud.kubernetes_url, token=credentials.admin_token, ca_file=cloud.ca_file)
    admin = Caller(name="admin", token=credentials.admin_token)
    async with (
        remote,
        connect(cloud, "admin", credentials.admin_password, "admin") as openstack_admin,
        connect(cloud, "demo", credentials.demo_password, PROJECT) as openstack,
    ):
        await Stage(cloud, remote, remote.acting(admin), openstack, openstack_admin, admin, steps).play()


class Stage:
    """The demo's scenes, in order. Each can be played again on what an earlier run left."""

    def __init__(
        self,
        cloud: LocalCloud,
        remote: RemoteCloud,
        state: State,
        openstack: OpenStack,
        openstack_admin: OpenStack,
        caller: Caller,
        steps: Steps,
    ) -> None:
        self.cloud, self.remote, self.state, self.caller = cloud, remote, state, caller
        self.openstack, self.openstack_admin = openstack, openstack_admin
        self.steps = steps

    async def play(self) -> None:
        with self.steps.step("image lichen-tiny, uploaded with the OpenStack API"):
            await self.ensure_image()
        with self.steps.step("Server, made with the OpenStack API"):
            await self.ensure(SERVICE, _service())
            await self.ensure_server()
            address = (await self.until("the server has an address", self.addressed_server))["status"]["addresses"][0][
                "ip"
            ]
        with self.steps.step("Deployment of two pods, made with the Kubernetes API"):
            await self.ensure(DEPLOYMENT, _deployment(address))
            pods = await self.until("two pods are ready", self.ready_pods)
        with self.steps.step("the VM boots and fetches the pods' page at their service"):
            await self.until("the server runs", self.running_server)
            await self.until("a pod answers the VM", lambda: self.server_saw_a_pod(0))
        with self.steps.step(f"each pod fetches the VM's page at {address}"):
            await self.until("the VM answers both pods", lambda: self.pods_see_the_server(pods))
        await self.kill_and_heal(pods[0])
        ips = ", ".join(pod["status"]["podIP"] for pod in await self.ready_pods() or [])
        print(f"\n  server {SERVER}: {address}   pods: {ips}\n")

    async def kill_and_heal(self, pod: Object) -> None:
        before = await self.state.get(Server.KIND, SERVER, PROJECT)
        greetings = (await self.console()).count(GREETING)
        with self.steps.step("kill -9 of the VM's process: it comes back"):
            _kill_process_of(before["spec"]["id"])
            await self.until("the VM runs again", lambda: self.restarted_server(before))
            await self.until("the VM fetches a page again", lambda: self.server_saw_a_pod(greetings))
        with self.steps.step(f"kill -9 of pod {name_of(pod)}'s process: it comes back"):
            restarts = pod["status"]["containerStatuses"][0]["restartCount"]
            _kill_process_of(pod["metadata"]["uid"], b"httpd")
            await self.until("the pod is ready again", lambda: self.restarted_pod(pod, restarts))

    # --- what is there ------------------------------------------------------------------------------------------------

    async def ensure_image(self) -> None:
        listed = await self.openstack_admin.get("image", f"/v2/images?name={IMAGE}&status=active")
        if listed["images"]:
            return
        record = {"name": IMAGE, "disk_format": "qcow2", "container_format": "bare", "visibility": "public"}
        made = await self.openstack_admin.post("image", "/v2/images", record)
        path = base_image(Path(self.cloud.data_dir), "tiny")
        await self.openstack_admin.upload(f"/v2/images/{made['id']}/file", path)

    async def ensure(self, kind: Kind, obj: Object) -> None:
        with suppress(AlreadyExists):
            await self.state.create(kind, obj)

    async def ensure_server(self) -> None:
        try:
            await self.state.get(Server.KIND, SERVER, PROJECT)
        except NotFound:
            service = await self.state.get(SERVICE, PODS, PROJECT)
            await self.create_server(_user_data(service["spec"]["clusterIP"]))

    async def create_server(self, user_data: str) -> None:
        flavors = (await self.openstack.get("compute", "/v2.1/flavors"))["flavors"]
        images = (await self.openstack.get("image", f"/v2/images?name={IMAGE}"))["images"]
        flavor = next((f["id"] for f in flavors if f["name"] == FLAVOR), None)
        if flavor is None:
            size = {"name": FLAVOR, "vcpus": 1, "ram": 128, "disk": 0}
            flavor = (await self.openstack_admin.post("compute", "/v2.1/flavors", {"flavor": size}))["flavor"]["id"]
        server = {"name": SERVER, "flavorRef": flavor, "imageRef": images[0]["id"], "user_data": user_data}
        await self.openstack.post("compute", "/v2.1/servers", {"server": server | {"config_drive": True}})

    # --- what must come true ------------------------------------------------------------------------------------------

    async def until(self, what: str, found: Callable[[], Awaitable[Any]]) -> Any:
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            result = await found()
            if result:
                return result
            await asyncio.sleep(PAUSE)
        where = f"see `lichen status` and {self.cloud.data_dir}/log"
        raise CommandError(f"after {PATIENCE:.0f} s it is not yet so that {what}; {where}")

    async def ready_pods(self) -> list[Object] | None:
        page = await self.state.list(POD, PROJECT, labels=f"app={PODS}")
        ready = [pod for pod in page.items if _is_ready(pod) and not is_deleting(pod)]
        return ready if len(ready) == 2 else None

    async def addressed_server(self) -> Object | None:
        server = await self.state.get(Server.KIND, SERVER, PROJECT)
        return server if (server.get("status") or {}).get("addresses") else None

    async def running_server(self) -> Object | None:
        server = await self.state.get(Server.KIND, SERVER, PROJECT)
        status = server.get("status") or {}
        if status.get("phase") == "Error":
            raise CommandError(f"the server failed: {status.get('fault')}")
        return server if status.get("phase") == "Running" and status.get("addresses") else None

    async def restarted_server(self, before: Object) -> bool:
        server = await self.running_server()
        old = (before.get("status") or {}).get("restarts", 0)
        return server is not None and server["status"].get("restarts", 0) > old

    async def restarted_pod(self, pod: Object, restarts: int) -> bool:
        now = await self.state.get(POD, name_of(pod), PROJECT)
        return _is_ready(now) and bool(now["status"]["containerStatuses"][0]["restartCount"] > restarts)

    async def pods_see_the_server(self, pods: list[Object]) -> bool:
        """The pods write into their logs what the VM's page says."""
        logs = [await self.log(f"/api/v1/namespaces/{PROJECT}/pods/{name_of(pod)}/log") for pod in pods]
        return all(f"Hello from {SERVER}" in log for log in logs)

    async def server_saw_a_pod(self, before: int) -> bool:
        return (await self.console()).count(GREETING) > before

    async def console(self) -> str:
        return await self.log(f"/apis/{Server.KIND.api_version}/namespaces/{PROJECT}/servers/{SERVER}/log")

    async def log(self, path: str) -> str:
        try:
            return (await self.remote.read(self.caller, path)).decode(errors="replace")
        except NotFound:
            return ""


GREETING = "hello from pod"


def _is_ready(pod: Object) -> bool:
    conditions = (pod.get("status") or {}).get("conditions") or []
    return any(c["type"] == "Ready" and c["status"] == "True" for c in conditions)


def _deployment(server_address: str) -> Object:
    # Each pod serves a greeting, and logs the VM's page once it answers.
    script = (
        f'mkdir -p /www && echo "{GREETING} $(hostname)" > /www/index.html; '
        f"(until wget -q -O - http://{server_address}/; do sleep 1; done) & "
        "exec httpd -f -p 80 -h /www"
    )
    container = {
        "name": "hello",
        "image": "busybox",
        "imagePullPolicy": "IfNotPresent",
        "command": ["sh", "-c", script],
        "ports": [{"name": "http", "containerPort": 80}],
    }
    labels = {"app": PODS}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": PODS, "namespace": PROJECT, "labels": labels},
        "spec": {
            "replicas": 2,
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": {"containers": [container]}},
        },
    }


def _service() -> Object:
    spec = {"selector": {"app": PODS}, "ports": [{"name": "http", "port": 80, "targetPort": "http"}]}
    return {"apiVersion": "v1", "kind": "Service", "metadata": {"name": PODS, "namespace": PROJECT}, "spec": spec}


def _user_data(address: str) -> str:
    """Run by the guest at each start: fetch the pods' page until it comes, and say so on the console."""
    import base64

    script = f"#!/bin/sh\nuntil fetch http://{address}/; do sleep 1; done\n"
    return base64.b64encode(script.encode()).decode()


def _kill_process_of(identity: str, command: bytes = b"") -> None:
    """kill -9 of the process whose cgroup or command line bears an id of the cloud."""
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit() or entry.name == str(os.getpid()):
            continue
        try:
            line = (entry / "cmdline").read_bytes()
            bears = identity in (entry / "cgroup").read_text() or identity.encode() in line
        except OSError:
            continue
        if bears and (command in line if command else b"qemu-system" in line.split(b"\0")[0]):
            os.kill(int(entry.name), signal.SIGKILL)
            return
    raise CommandError(f"no process of {identity} was found")
