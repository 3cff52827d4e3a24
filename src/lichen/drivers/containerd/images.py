# SPDX-License-Identifier: Apache-2.0
"""Images of our containerd: listed, imported from archives, pulled."""

from __future__ import annotations

import asyncio
import contextlib
import tarfile
import tempfile
from pathlib import Path
from typing import Any

import msgspec

from lichen.drivers.containerd import cri_pb2 as pb
from lichen.drivers.containerd import rpc
from lichen.drivers.containerd.config import PAUSE_IMAGE
from lichen.drivers.containerd.pause import build_pause
from lichen.drivers.containerd.spec import reference
from lichen.model.errors import Permanent, Temporary

_PULL_TIMEOUT = 15 * 60.0
_IMPORT_TIMEOUT = 5.0


class Images:
    """Images by name, over CRI."""

    def __init__(self, client: rpc.Client, socket: Path, archives: Path | None = None) -> None:
        """archives: a directory of archives to import from before anything is pulled."""
        self._client = client
        self._socket = socket
        self._archives = archives

    async def find(self, image: str) -> str:
        """The id of an image that is here, or ""."""
        request = pb.ImageRequest(image=pb.ImageSpec(image=reference(image)))
        return (await self._client.call(rpc.IMAGE_STATUS, request)).image.id

    async def ensure(self, image: str) -> str:
        """The id of an image, imported or pulled if it is not here. Temporary (ErrImagePull): it cannot be had."""
        return await self.find(image) or await self._import(image) or await self._pull(reference(image))

    async def _import(self, image: str) -> str:
        """The id of an image that one of the archives holds, or ""."""
        name = reference(image)
        for archive in sorted(self._archives.glob("*.tar")) if self._archives else []:
            if name in await asyncio.to_thread(names_in, archive):
                await self.load(archive)
                return await self.find(image)
        return ""

    async def _pull(self, name: str) -> str:
        request = pb.ImageRequest(image=pb.ImageSpec(image=name))
        try:
            answer = await self._client.call(rpc.PULL_IMAGE, request, timeout=_PULL_TIMEOUT)
        except (rpc.Refused, rpc.Gone) as error:
            raise Temporary(f"{name} is not on this node and cannot be pulled: {error.message}") from None
        return answer.image_ref

    async def list(self) -> list[tuple[tuple[str, ...], int]]:
        """(names, bytes) of each."""
        images = (await self._client.call(rpc.LIST_IMAGES, pb.Empty())).images
        return [((*image.repo_tags, *image.repo_digests), image.size) for image in images]

    async def load(self, archive: Path) -> None:
        """Import an OCI or docker archive; its images are usable when this returns."""
        command = ("ctr", "-a", str(self._socket), "-n", rpc.NAMESPACE, "images", "import", str(archive))
        process = await asyncio.create_subprocess_exec(
            *command,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        output, fault = await process.communicate()
        if process.returncode:
            raise Permanent("InvalidImage", f"{archive} is no image archive: {fault.decode(errors='replace').strip()}")
        for line in output.decode().splitlines():
            with contextlib.suppress(Permanent):
                await self._known(line.split()[1])

    async def _known(self, name: str) -> None:
        """CRI learns of an import by an event, some milliseconds later."""
        until = asyncio.get_running_loop().time() + _IMPORT_TIMEOUT
        while not await self.find(name):
            if asyncio.get_running_loop().time() > until:
                raise Temporary(f"{name} was imported, but containerd does not show it")
            await asyncio.sleep(0.01)

    async def ensure_pause(self) -> None:
        """Make and import the pause image, once."""
        if await self.find(PAUSE_IMAGE):
            return
        with tempfile.TemporaryDirectory() as scratch:
            archive = Path(scratch) / "pause.tar"
            build_pause(archive)
            await self.load(archive)


def names_in(archive: Path) -> frozenset[str]:
    """The full names of the images in a docker or OCI archive; none if it is no such archive."""
    names: list[str] = []
    try:
        with tarfile.open(archive) as tar:
            for member, read in (("manifest.json", _docker_names), ("index.json", _oci_names)):
                with contextlib.suppress(KeyError):
                    content = tar.extractfile(member)
                    names += read(msgspec.json.decode(content.read())) if content else []
    except (OSError, tarfile.TarError, msgspec.DecodeError, TypeError, AttributeError):
        return frozenset()
    return frozenset(reference(name) for name in names)


def _docker_names(manifest: Any) -> list[str]:
    return [tag for image in manifest for tag in image.get("RepoTags") or []]


def _oci_names(index: Any) -> list[str]:
    annotations = [entry.get("annotations") or {} for entry in index["manifests"]]
    return [held["io.containerd.image.name"] for held in annotations if "io.containerd.image.name" in held]
