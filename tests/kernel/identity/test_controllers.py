# SPDX-License-Identifier: Apache-2.0
"""What the cloud's own controllers may do."""

from __future__ import annotations

import pytest

from lichen.kernel.session import Session
from lichen.kinds.builtin import CLUSTER_ROLE, CRD, POD
from lichen.kinds.installed import stored_kind
from lichen.model.errors import Forbidden
from lichen.model.kind import new_object
from tests.kernel.identity.world import World


async def controllers(world: World) -> Session:
    token = world.identity.system_token("system:lichen-controllers", ("system:lichen-controllers",))
    return world.kernel.acting(await world.kernel.authenticate(token))


async def test_the_controllers_may_empty_a_namespace_of_kinds_that_were_installed(world: World):
    schema = {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}}
    version = {"name": "v1", "served": True, "storage": True, "schema": schema}
    names = {"plural": "widgets", "kind": "Widget", "singular": "widget", "listKind": "WidgetList"}
    spec = {"group": "example.org", "scope": "Namespaced", "names": names, "versions": [version]}
    definition = await world.state.create(CRD, new_object(CRD, "widgets.example.org", spec=spec))
    widget = stored_kind(definition)
    await world.state.create(widget, new_object(widget, "one", "default"))
    state = await controllers(world)
    assert len((await state.list(widget, "default")).items) == 1
    await state.delete(widget, "one", "default")
    assert (await state.list(widget, "default")).items == []


async def test_the_controllers_give_no_rights(world: World):
    state = await controllers(world)
    await state.list(POD)
    role = {**new_object(CLUSTER_ROLE, "mine"), "rules": [{"apiGroups": ["*"], "resources": ["*"], "verbs": ["*"]}]}
    with pytest.raises(Forbidden):
        await state.create(CLUSTER_ROLE, role)
