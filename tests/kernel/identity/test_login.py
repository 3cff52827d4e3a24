# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from lichen.kernel.identity.keys import Keys
from lichen.kernel.identity.tokens import ISSUER
from lichen.kinds.builtin import NAMESPACE, SECRET
from lichen.kinds.identity.domain import Domain
from lichen.kinds.identity.group import Group
from lichen.kinds.identity.role_assignment import RoleAssignment
from lichen.kinds.identity.token import PasswordChange, RevokedToken, TokenInspection, TokenRevocation
from lichen.kinds.identity.user import User
from lichen.model.errors import ApiError, BadRequest, Forbidden, NotFound, Unauthorized
from lichen.model.kind import new_object
from lichen.model.names import ENABLED, SYSTEM_NAMESPACE

from .world import PASSWORD, World

ADMIN = {"projectName": "admin", "domainId": "default"}


async def test_the_admin_of_a_new_cloud_logs_in_to_its_project_and_to_the_system(world: World):
    caller = await world.kernel.authenticate(await world.login("admin", ADMIN))
    assert (caller.name, caller.user_name, caller.namespace, caller.scope) == ("admin", "admin", "admin", "project")
    assert caller.roles == ("admin", "manager", "member", "reader")
    assert caller.is_admin
    system = await world.kernel.authenticate(await world.login("admin", {"system": True}))
    assert (system.scope, system.namespace) == ("system", "")


async def test_bootstrap_again_changes_nothing_and_tells_no_password(world: World):
    before = (await world.state.list(RoleAssignment.KIND)).items
    assert await world.identity.bootstrap(world.state) is None
    assert (await world.state.list(RoleAssignment.KIND)).items == before


@pytest.mark.parametrize(
    "login",
    [
        {"userName": "admin", "userDomainId": "default", "password": "wrong"},
        {"userName": "admin", "userDomainId": "default", "password": ""},
        {"userName": "nobody", "userDomainId": "default", "password": PASSWORD},
        {"userName": "admin", "userDomainId": "elsewhere", "password": PASSWORD},
        {"userName": "admin", "userDomainName": "Elsewhere", "password": PASSWORD},
        {"userId": "0" * 32, "password": PASSWORD},
    ],
)
async def test_a_wrong_login_is_refused_and_does_not_tell_why(world: World, login):
    with pytest.raises(Unauthorized, match=r"^The request you have made requires authentication\.$"):
        await world.issue({"methods": ["password"], "password": login})


@pytest.mark.parametrize(
    "scope",
    [
        {"projectId": "0" * 32},
        {"projectName": "nowhere", "domainId": "default"},
        {"projectName": "default", "domainId": "default"},
        {"domainId": "default"},
        {"domainName": "Nowhere"},
    ],
)
async def test_a_scope_without_a_role_is_refused(world: World, scope):
    with pytest.raises(Unauthorized):
        await world.login("admin", scope)


@pytest.mark.parametrize(
    "spec",
    [
        {"methods": []},
        {"methods": ["password"]},
        {"methods": ["password"], "password": {"password": "x"}},
        {"methods": ["password"], "password": {"userName": "admin", "password": "x"}},
        {"methods": ["token"]},
        {"methods": ["token"], "token": "x"},
        {"methods": ["external"]},
    ],
)
async def test_a_login_that_makes_no_sense_is_refused_with_words(world: World, spec):
    with pytest.raises((BadRequest, NotFound, Unauthorized)):
        await world.issue(spec)


async def test_a_token_is_exchanged_without_gaining_time(world: World):
    first = await world.issue(
        {"methods": ["password"], "password": {"userName": "admin", "userDomainId": "default", "password": PASSWORD}}
    )
    second = (await world.issue({"methods": ["token"], "token": first["status"]["token"], "scope": ADMIN}))["status"]
    assert second["expiresAt"] == first["status"]["expiresAt"]
    assert second["methods"] == ["password", "token"]
    assert second["auditIds"][1] == first["status"]["auditIds"][0]


async def test_an_answer_never_carries_the_password(world: World):
    login = {"userName": "admin", "userDomainId": "default", "password": PASSWORD}
    assert PASSWORD not in str(await world.issue({"methods": ["password"], "password": login}))


# --- liveness ---


async def test_a_token_ends_with_its_time(world: World):
    token = await world.login("admin", ADMIN)
    world.clock.time += 3601
    with pytest.raises(Unauthorized):
        await world.kernel.authenticate(token)


async def test_a_token_ends_with_its_user(world: World):
    ann = await world.member("ann")
    await world.state.patch(User.KIND, "ann", "", {"spec": {"enabled": False}})
    with pytest.raises(Unauthorized):
        await world.kernel.authenticate(ann.token)
    await world.state.patch(User.KIND, "ann", "", {"spec": {"enabled": True}})
    assert (await world.kernel.authenticate(ann.token)).name == "ann"
    await world.state.delete(User.KIND, "ann")
    with pytest.raises(Unauthorized):
        await world.kernel.authenticate(ann.token)


async def test_a_token_ends_with_its_project(world: World):
    ann = await world.member("ann")
    await world.state.patch(NAMESPACE, "ann", "", {"metadata": {"annotations": {ENABLED: "false"}}})
    with pytest.raises(Unauthorized):
        await world.kernel.authenticate(ann.token)


async def test_a_token_ends_with_its_domain(world: World):
    ann = await world.member("ann")
    await world.state.patch(Domain.KIND, "default", "", {"spec": {"enabled": False}})
    with pytest.raises(Unauthorized):
        await world.kernel.authenticate(ann.token)


async def test_a_token_ends_with_its_last_role(world: World):
    ann = await world.member("ann")
    (assignment,) = (await world.state.list(RoleAssignment.KIND, fields=f"spec.userId={ann.user_id}")).items
    await world.state.delete(RoleAssignment.KIND, assignment["metadata"]["name"])
    with pytest.raises(Unauthorized):
        await world.kernel.authenticate(ann.token)


async def test_a_new_password_ends_the_old_one_and_the_tokens_made_with_it(world: World):
    ann = await world.member("ann")
    change = {"userId": ann.user_id, "password": "second", "originalPassword": PASSWORD}
    await world.ask(ann, PasswordChange.KIND, change)
    with pytest.raises(Unauthorized):
        await world.kernel.authenticate(ann.token)
    with pytest.raises(Unauthorized):
        await world.login("ann", {"projectId": ann.project_id})
    token = await world.login("ann", {"projectId": ann.project_id}, "second")
    assert (await world.kernel.authenticate(token)).name == "ann"


async def test_a_user_changes_no_password_without_the_old_one_nor_another_users(world: World):
    ann, bob = await world.member("ann"), await world.member("bob")
    with pytest.raises(Unauthorized):
        await world.ask(ann, PasswordChange.KIND, {"userId": ann.user_id, "password": "x"})
    with pytest.raises(Forbidden):
        await world.ask(
            ann, PasswordChange.KIND, {"userId": bob.user_id, "password": "x", "originalPassword": PASSWORD}
        )
    await world.ask(await world.admin(), PasswordChange.KIND, {"userId": bob.user_id, "password": "x"})
    await world.login("bob", {"projectId": bob.project_id}, "x")


async def test_a_new_user_of_an_old_name_does_not_inherit_its_password(world: World):
    await world.user("ann")
    secret = await world.store.get(SECRET, "user-ann", SYSTEM_NAMESPACE)
    await world.state.delete(User.KIND, "ann")
    with pytest.raises(NotFound):
        await world.store.get(SECRET, "user-ann", SYSTEM_NAMESPACE)
    await world.store.create(SECRET, {**secret, "metadata": {"name": "user-ann", "namespace": SYSTEM_NAMESPACE}})
    await world.state.create(User.KIND, new_object(User.KIND, "ann"))
    with pytest.raises(Unauthorized):
        await world.login("ann")


async def test_a_revoked_token_is_refused_and_others_are_not(world: World):
    ann = await world.member("ann")
    other = await world.login("ann", {"projectId": ann.project_id})
    await world.ask(ann, TokenRevocation.KIND, {"token": ann.token})
    with pytest.raises(Unauthorized):
        await world.kernel.authenticate(ann.token)
    assert (await world.kernel.authenticate(other)).name == "ann"


async def test_a_revocation_is_forgotten_once_the_token_would_have_ended(world: World):
    ann = await world.member("ann")
    await world.ask(ann, TokenRevocation.KIND, {"token": ann.token})
    world.clock.time += 4000
    token = await world.login("ann", {"projectId": ann.project_id})
    await world.ask(await world.kernel.authenticate(token), TokenRevocation.KIND, {"token": token})
    assert len((await world.state.list(RevokedToken.KIND)).items) == 1


async def test_nobody_looks_at_or_ends_another_users_token(world: World):
    ann, bob = await world.member("ann"), await world.member("bob")
    for kind in (TokenInspection.KIND, TokenRevocation.KIND):
        with pytest.raises(Forbidden):
            await world.ask(ann, kind, {"token": bob.token})
        with pytest.raises(NotFound):
            await world.ask(ann, kind, {"token": bob.token + "x"})
    seen = await world.ask(await world.admin(), TokenInspection.KIND, {"token": bob.token})
    assert seen["status"]["user"]["name"] == "bob"
    assert seen["status"].get("token", "") == ""


# --- roles ---


async def test_roles_come_by_group_and_by_inheritance_and_by_implication(world: World):
    project = await world.project("shop")
    user = await world.user("ann")
    await world.state.create(Group.KIND, new_object(Group.KIND, "devs", spec={"id": "g" * 32, "users": [user]}))
    await world.assign("member", group_id="g" * 32, project_id=project)
    caller = await world.kernel.authenticate(await world.login("ann", {"projectId": project}))
    assert caller.roles == ("member", "reader")
    assert caller.groups == ("devs", "system:authenticated")
    await world.assign("manager", user_id=user, domain_id="default", inherited=True)
    assert (await world.kernel.authenticate(caller.token)).roles == ("manager", "member", "reader")


async def test_a_role_on_a_domain_is_not_one_on_its_projects(world: World):
    project = await world.project("shop")
    await world.assign("member", user_id=await world.user("ann"), domain_id="default")
    with pytest.raises(Unauthorized):
        await world.login("ann", {"projectId": project})
    caller = await world.kernel.authenticate(await world.login("ann", {"domainId": "default"}))
    assert (caller.scope, caller.scope_domain_id, caller.namespace) == ("domain", "default", "")


async def test_a_default_project_scopes_a_token_that_asks_for_nothing(world: World):
    ann = await world.member("ann")
    assert (await world.kernel.authenticate(await world.login("ann"))).scope == ""
    await world.state.patch(User.KIND, "ann", "", {"spec": {"defaultProjectId": ann.project_id}})
    assert (await world.kernel.authenticate(await world.login("ann"))).project_id == ann.project_id
    assert (await world.kernel.authenticate(await world.login("ann", {"unscoped": True}))).scope == ""


# --- forgeries ---


def forged(token: str, **changes: object) -> dict[str, object]:
    return {**jwt.decode(token, options={"verify_signature": False}), **changes}


async def test_a_forged_token_is_refused(world: World):
    token = await world.login("admin", ADMIN)
    head, body, signature = token.split(".")
    other_key = ec.generate_private_key(ec.SECP256R1())
    public = world.identity.keys.signing.public_key()
    jwk = str(world.identity.jwks()["keys"][0])
    named = {"kid": world.identity.keys.key_id}
    attempts = [
        "",
        "x",
        "a.b.c",
        token + "A",
        f"{head}.{body}.",
        f"{head}.{body}.{signature[:-4]}AAAA",
        jwt.encode(forged(token), None, algorithm="none", headers=named),
        jwt.encode(forged(token), world.identity.keys.signing, algorithm="ES256"),
        jwt.encode(forged(token), other_key, algorithm="ES256", headers=named),
        jwt.encode(forged(token), jwk, algorithm="HS256", headers=named),
        jwt.encode(forged(token, sub="system:admin"), other_key, algorithm="ES256", headers=named),
        "é\udcff." * 3,
        "x" * 100_000,
    ]
    assert public
    for attempt in attempts:
        with pytest.raises(Unauthorized):
            await world.kernel.authenticate(attempt)


async def test_what_our_key_signed_for_another_purpose_is_no_token(world: World):
    token = await world.login("admin", ADMIN)
    key = world.identity.keys.signing
    for changes in ({"lichen": "other"}, {"iss": "elsewhere"}, {"exp": 1.0}, {"sub": 7}):
        with pytest.raises(Unauthorized):
            named = {"kid": world.identity.keys.key_id}
            await world.kernel.authenticate(jwt.encode(forged(token, **changes), key, algorithm="ES256", headers=named))
    assert forged(token)["iss"] == ISSUER


async def test_another_clouds_token_is_refused(world: World):
    token = await world.login("admin", ADMIN)
    other = Keys.fresh()
    elsewhere = jwt.encode(forged(token), other.signing, algorithm="ES256", headers={"kid": other.key_id})
    with pytest.raises(ApiError):
        await world.kernel.authenticate(elsewhere)
