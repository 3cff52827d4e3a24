# SPDX-License-Identifier: Apache-2.0
"""Members of images: each has an ImageShare in its own project from the moment that the image names it."""

from __future__ import annotations

from lichen.kernel.admission import Request, faulty, missing, refused
from lichen.kinds.builtin import NAMESPACE
from lichen.kinds.image.image import Image
from lichen.kinds.image.share import ImageShare
from lichen.model.data import Object
from lichen.model.errors import AlreadyExists, Cause, NotFound
from lichen.model.kind import Kind, new_object
from lichen.model.meta import name_of, namespace_of
from lichen.model.names import PROJECT_ID
from lichen.model.state import State

MOST = 128
"""Members of one image, as in Glance."""


class ImageMembers:
    """Makes and removes shares as an image's members change."""

    kinds: tuple[Kind, ...] | None = (Image.KIND,)
    verbs: tuple[str, ...] = ("create", "update")

    async def admit(self, request: Request) -> None:
        if request.subresource:
            return
        members = request.object["spec"].get("members") or []
        before = ((request.old or {}).get("spec") or {}).get("members") or []
        if members == before:
            return
        if len(members) > MOST:
            raise faulty(request, Cause("spec.members", f"Too many: {len(members)}: at most {MOST}"))
        places = {project: await self._place(request, project) for project in set(members) - set(before)}
        request.done += [lambda p=place: _share(request, p) for place in places.values()]  # type: ignore[misc]
        for project in set(before) - set(members):
            request.done.append(lambda p=project: _unshare(request.state, request.object, p))  # type: ignore[misc]

    async def removed(self, kind: Kind, obj: Object, state: State) -> None:
        for project in obj["spec"].get("members") or ():
            await _unshare(state, obj, project)

    async def _place(self, request: Request, project: str) -> str:
        """The namespace of a new member."""
        place = await namespace_of_project(request.state, project)
        if place is None:
            raise faulty(request, missing("spec.members", project, "no project of that id"))
        if place == request.namespace:
            raise faulty(
                request, Cause("spec.members", f'Invalid value: "{project}": the image is this project\'s own')
            )
        return place


class ImageShares:
    """Only what an image says makes and removes shares; and the image shows what its members decided."""

    kinds: tuple[Kind, ...] | None = (ImageShare.KIND,)
    verbs: tuple[str, ...] = ("create", "update")

    async def admit(self, request: Request) -> None:
        if request.verb == "create" and not request.caller.is_admin:
            raise refused(request, "shares are made by the image's owner: it names this project as a member")
        if request.verb == "update":
            request.done.append(lambda: _tell(request))


async def namespace_of_project(state: State, project: str) -> str | None:
    if not project.isalnum():
        return None
    found = (await state.list(NAMESPACE, labels=f"{PROJECT_ID}={project}", limit=1)).items
    return name_of(found[0]) if found else None


async def project_of_namespace(state: State, namespace: str) -> str:
    try:
        labels = (await state.get(NAMESPACE, namespace))["metadata"].get("labels") or {}
    except NotFound:
        return ""
    return str(labels.get(PROJECT_ID, ""))


async def _share(request: Request, place: str) -> None:
    image = request.object
    spec = {"image": f"{request.namespace}/{request.name}", "imageId": image["spec"]["id"], "decision": "pending"}
    try:
        await request.state.create(ImageShare.KIND, new_object(ImageShare.KIND, image["spec"]["id"], place, spec))
    except AlreadyExists:
        return


async def _unshare(state: State, image: Object, project: str) -> None:
    place = await namespace_of_project(state, project)
    try:
        if place is not None:
            await state.delete(ImageShare.KIND, image["spec"]["id"], place)
    except NotFound:
        pass
    await _write(state, name_of(image), namespace_of(image), project, None)


async def _tell(request: Request) -> None:
    project = await project_of_namespace(request.state, request.namespace)
    namespace, _, name = request.object["spec"]["image"].partition("/")
    await _write(request.state, name, namespace, project, request.object["spec"].get("decision", "pending"))


async def _write(state: State, name: str, namespace: str, project: str, decision: str | None) -> None:
    patch = {"status": {"decisions": {project: decision}}}
    try:
        await state.patch(Image.KIND, name, namespace, patch, subresource="status")
    except NotFound:
        return
