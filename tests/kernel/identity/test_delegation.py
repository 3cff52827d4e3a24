# SPDX-License-Identifier: Apache-2.0
"""Application credentials, trusts, credentials: what is handed on is held, and secrets are shown to nobody else."""

from __future__ import annotations

from typing import Any

import pytest

from lichen.kinds.builtin import SECRET
from lichen.kinds.identity.application_credential import AccessRule, ApplicationCredential
from lichen.kinds.identity.credential import Credential, CredentialDisclosure
from lichen.kinds.identity.role_assignment import RoleAssignment
from lichen.kinds.identity.trust import Trust
from lichen.kinds.identity.user import User
from lichen.model.data import Object
from lichen.model.errors import BadRequest, Forbidden, Unauthorized
from lichen.model.kind import new_object
from lichen.model.names import SYSTEM_NAMESPACE
from lichen.model.state import Caller

from .world import World

KEY = "a secret that is long"


async def a_credential(world: World, caller: Caller, name: str = "robot", **more: Any) -> Object:
    spec = {"secret": KEY, **more}
    return await world.kernel.acting(caller).create(
        ApplicationCredential.KIND, new_object(ApplicationCredential.KIND, name, spec=spec)
    )


async def bearer(world: World, credential: Object, secret: str = KEY) -> Caller:
    shown = {"id": credential["spec"]["id"], "secret": secret}
    answer = await world.issue({"methods": ["application_credential"], "applicationCredential": shown})
    return await world.kernel.authenticate(answer["status"]["token"])


async def test_an_application_credential_logs_its_user_in_to_its_project_with_its_roles(world: World):
    ann = await world.member("ann")
    made = await a_credential(world, ann, roles=[await world.role_id("reader")])
    robot = await bearer(world, made)
    assert (robot.name, robot.namespace, robot.roles) == ("ann", "ann", ("reader",))
    with pytest.raises(Unauthorized):
        await bearer(world, made, "another secret")


async def test_its_secret_is_hashed_and_shown_by_no_object(world: World):
    made = await a_credential(world, await world.member("ann"))
    assert "secret" not in made["spec"]
    held = await world.state.get(SECRET, f"application-credential-{made['metadata']['name']}", SYSTEM_NAMESPACE)
    assert KEY not in str(held)


async def test_it_cannot_have_a_role_that_its_user_lacks_nor_be_for_another_project_or_user(world: World):
    ann, bob = await world.member("ann"), await world.member("bob")
    with pytest.raises(BadRequest):
        await a_credential(world, ann, roles=[await world.role_id("admin")])
    with pytest.raises(Forbidden):
        await a_credential(world, ann, projectId=bob.project_id)
    with pytest.raises(Forbidden):
        await a_credential(world, ann, userId=bob.user_id)


async def test_its_tokens_end_with_it_with_its_time_and_with_its_users_roles(world: World):
    ann = await world.member("ann")
    made = await a_credential(world, ann)
    robot = await bearer(world, made)
    await world.kernel.acting(ann).delete(ApplicationCredential.KIND, "robot")
    with pytest.raises(Unauthorized):
        await world.kernel.authenticate(robot.token)
    brief = await bearer(world, await a_credential(world, ann, "brief", expiresAt="2027-01-15T08:10:00Z"))
    world.clock.time += 3000
    with pytest.raises(Unauthorized):
        await world.kernel.authenticate(brief.token)
    third = await bearer(world, await a_credential(world, ann, "third"))
    for assignment in (await world.state.list(RoleAssignment.KIND, fields=f"spec.userId={ann.user_id}")).items:
        await world.state.delete(RoleAssignment.KIND, assignment["metadata"]["name"])
    with pytest.raises(Unauthorized):
        await world.kernel.authenticate(third.token)


async def test_only_an_unrestricted_one_makes_others_and_none_wider_than_itself(world: World):
    ann = await world.member("ann")
    reader = await world.role_id("reader")
    restricted = await bearer(world, await a_credential(world, ann))
    with pytest.raises(Forbidden):
        await a_credential(world, restricted, "child")
    free = await bearer(world, await a_credential(world, ann, "free", unrestricted=True, roles=[reader]))
    assert (await a_credential(world, free, "child"))["spec"]["roles"] == [reader]
    with pytest.raises(BadRequest):
        await a_credential(world, free, "wide", roles=[await world.role_id("member")])


async def test_its_token_is_for_no_other_scope(world: World):
    ann = await world.member("ann")
    await world.assign("member", user_id=ann.user_id, project_id=await world.project("other"))
    robot = await bearer(world, await a_credential(world, ann))
    other = {"projectId": await world.project_id("other")}
    with pytest.raises(Unauthorized):
        await world.issue({"methods": ["token"], "token": robot.token, "scope": other})


async def test_others_see_and_delete_none_of_it(world: World):
    ann, bob = await world.member("ann"), await world.member("bob")
    await a_credential(world, ann, accessRules=[{"service": "compute", "method": "GET", "path": "/v2.1/servers"}])
    state = world.kernel.acting(bob)
    for kind in (ApplicationCredential.KIND, AccessRule.KIND):
        with pytest.raises(Forbidden):
            await state.list(kind)
        with pytest.raises(Forbidden):
            await state.list(kind, fields=f"spec.userId={ann.user_id}")
        name = (await world.state.list(kind)).items[0]["metadata"]["name"]
        with pytest.raises(Forbidden):
            await state.get(kind, name)
        with pytest.raises(Forbidden):
            await state.delete(kind, name)
    mine = await world.kernel.acting(ann).list(AccessRule.KIND, fields=f"spec.userId={ann.user_id}")
    assert [rule["spec"]["path"] for rule in mine.items] == ["/v2.1/servers"]


async def test_an_access_rule_in_use_stays(world: World):
    ann = await world.member("ann")
    await a_credential(world, ann, accessRules=[{"service": "compute", "method": "GET", "path": "/v2.1/servers"}])
    name = (await world.state.list(AccessRule.KIND)).items[0]["metadata"]["name"]
    with pytest.raises(Forbidden):
        await world.kernel.acting(ann).delete(AccessRule.KIND, name)


async def test_a_credentials_blob_is_disclosed_to_its_user_only(world: World):
    ann, bob = await world.member("ann"), await world.member("bob")
    made = await world.kernel.acting(ann).create(
        Credential.KIND, new_object(Credential.KIND, "pair", spec={"type": "totp", "blob": KEY})
    )
    assert "blob" not in made["spec"]
    assert (await world.ask(ann, CredentialDisclosure.KIND, {"names": ["pair"]}))["status"]["blobs"] == {"pair": KEY}
    assert not (await world.ask(bob, CredentialDisclosure.KIND, {"names": ["pair"]}))["status"].get("blobs")


async def test_a_trustee_acts_as_its_trustor_with_the_delegated_role_only(world: World):
    ann, bob, eve = [await world.member(name) for name in ("ann", "bob", "eve")]
    spec = {
        "trusteeUserId": bob.user_id, "projectId": ann.project_id, "roles": [await world.role_id("reader")],
        "impersonation": True,
    }  # fmt: skip
    trust = await world.kernel.acting(ann).create(Trust.KIND, new_object(Trust.KIND, "help", spec=spec))
    through = {"methods": ["token"], "token": bob.token, "scope": {"trustId": trust["spec"]["id"]}}
    answer = await world.issue(through)
    acting = await world.kernel.authenticate(answer["status"]["token"])
    assert (acting.name, acting.namespace, acting.roles) == ("ann", "ann", ("reader",))
    with pytest.raises(Forbidden):
        await world.issue({**through, "token": eve.token})
    await world.kernel.acting(ann).delete(Trust.KIND, "help")
    with pytest.raises(Unauthorized):
        await world.kernel.authenticate(acting.token)


async def test_what_a_user_handed_on_goes_with_the_user(world: World):
    ann = await world.member("ann")
    made = await a_credential(world, ann)
    await world.state.delete(User.KIND, "ann")
    assert (await world.state.list(ApplicationCredential.KIND)).items == []
    names = [s["metadata"]["name"] for s in (await world.state.list(SECRET, SYSTEM_NAMESPACE)).items]
    assert f"application-credential-{made['metadata']['name']}" not in names
