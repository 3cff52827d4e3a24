# SPDX-License-Identifier: Apache-2.0
"""What each role may do, and attacks: what nobody may do to another's project."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from lichen.agent.sources import Sources
from lichen.kernel.identity import builtin_roles
from lichen.kinds import builtin
from lichen.kinds.builtin import CONFIG_MAP, NAMESPACE, NODE, POD, SECRET, SERVICE_ACCOUNT
from lichen.kinds.compute.flavor import Flavor
from lichen.kinds.compute.operation import Operation
from lichen.kinds.compute.server import Server
from lichen.kinds.identity.role_assignment import RoleAssignment
from lichen.kinds.identity.token import TokenRevocation
from lichen.kinds.identity.user import User
from lichen.kinds.image.image import Image
from lichen.kinds.network.network import Network
from lichen.kinds.network.port import Port
from lichen.kinds.network.subnet import Subnet
from lichen.kinds.volume.volume import Volume
from lichen.kinds.volume.volume_type import VolumeType
from lichen.model.caller import from_user_info, to_user_info
from lichen.model.errors import ApiError, BadRequest, Conflict, Forbidden, NotFound, Unauthorized
from lichen.model.kind import Kind, new_object
from lichen.model.meta import name_of
from lichen.model.names import DIALECT, NODE_FINALIZER, SYSTEM_NAMESPACE, VENDOR_DATA
from lichen.model.state import Caller

from .world import NOBODY, World

TOKEN_REQUEST = Kind("authentication.k8s.io", "v1", "TokenRequest", "tokenrequests")


def may(
    world: World, caller: Caller, verb: str, kind: Kind, namespace: str = "", name: str = "", sub: str = ""
) -> bool:
    return world.identity.refusal(caller, verb, kind, namespace, name, sub) is None


# --- roles in their own project ---


async def test_roles_are_view_edit_and_admin_of_their_project(world: World):
    reader, member, manager = [await world.member(n, n) for n in ("reader", "member", "manager")]
    for caller in (reader, member, manager):
        home = caller.namespace
        assert may(world, caller, "list", POD, home)
        assert may(world, caller, "get", Server.KIND, home, "web")
        assert may(world, caller, "get", NAMESPACE, "", home)
        assert not may(world, caller, "delete", NAMESPACE, "", home)
        assert not may(world, caller, "patch", NAMESPACE, "", home)
        assert not may(world, caller, "patch", Server.KIND, home, "web", "status")
        assert not may(world, caller, "patch", Port.KIND, home, "web", "status")
        assert not may(world, caller, "create", POD, home, "web", "binding")
        assert not may(world, caller, "create", builtin.RESOURCE_QUOTA, home)
        is_editor = caller is not reader
        assert may(world, caller, "get", Server.KIND, home, "web", "log") is is_editor
        assert may(world, caller, "create", Server.KIND, home) is is_editor
        assert may(world, caller, "delete", POD, home, "web") is is_editor
        assert may(world, caller, "get", SECRET, home, "s") is is_editor
        assert may(world, caller, "create", POD, home, "web", "exec") is is_editor
        assert may(world, caller, "create", builtin.ROLE_BINDING, home) is (caller is manager)


async def test_every_user_sees_what_is_on_offer_and_no_more(world: World):
    ann = await world.member("ann", "reader")
    for kind in (Flavor.KIND, builtin.RUNTIME_CLASS, builtin.STORAGE_CLASS):
        assert may(world, ann, "list", kind)
        assert not may(world, ann, "create", kind)
    for kind in (NODE, NAMESPACE, User.KIND, RoleAssignment.KIND, builtin.CLUSTER_ROLE, POD, SECRET, Server.KIND):
        assert not may(world, ann, "list", kind)
    assert may(world, ann, "get", User.KIND, "", "ann")
    assert not may(world, ann, "get", User.KIND, "", "admin")


async def a_flavor(world: World, name: str, *projects: str) -> None:
    spec = {"vcpus": 1, "memory": 64, "public": False, "projects": list(projects)}
    await world.state.create(Flavor.KIND, new_object(Flavor.KIND, name, spec=spec))


async def flavors_of(world: World, caller: Caller) -> list[str]:
    return [name_of(f) for f in (await world.kernel.acting(caller).list(Flavor.KIND)).items]


async def test_a_private_flavor_is_seen_by_the_projects_that_have_it_and_by_admins(world: World):
    has, lacks = await world.member("has", "reader"), await world.member("lacks", "manager")
    await a_flavor(world, "few", has.project_id)
    session = world.kernel.acting(lacks)
    assert (await flavors_of(world, has), await flavors_of(world, lacks)) == (["few"], [])
    assert await flavors_of(world, await world.admin()) == ["few"]
    assert (await session.list_raw(Flavor.KIND))[0] == []
    for read in (session.get, session.get_raw):
        with pytest.raises(NotFound, match='"few" not found'):
            await read(Flavor.KIND, "few")
    assert name_of(await world.kernel.acting(has).get(Flavor.KIND, "few")) == "few"


async def test_a_watch_tells_of_a_flavor_while_the_project_has_it(world: World):
    caller = await world.member("theirs")
    await a_flavor(world, "few")
    watch = world.kernel.acting(caller).watch(Flavor.KIND, bookmarks=True)
    assert (await anext(watch)).type == "BOOKMARK"
    for projects, told in (([caller.project_id], "ADDED"), ([caller.project_id, "x"], "MODIFIED"), (["x"], "DELETED")):
        await world.state.patch(Flavor.KIND, "few", "", {"spec": {"projects": projects}})
        event = await anext(watch)
        assert (event.type, name_of(event.object)) == (told, "few")
    await watch.aclose()


async def test_a_service_account_sees_the_flavors_of_its_project_and_the_unscoped_the_public_ones(world: World):
    caller = await world.member("theirs")
    await a_flavor(world, "few", caller.project_id)
    groups = ("system:authenticated", "system:serviceaccounts", "system:serviceaccounts:theirs")
    account = Caller(name="system:serviceaccount:theirs:default", groups=groups)
    elsewhere = replace(account, name="system:serviceaccount:default:default")
    assert (await flavors_of(world, account), await flavors_of(world, elsewhere)) == (["few"], [])
    assert await flavors_of(world, replace(caller, project_id="", namespace="", roles=(), scope="")) == []


async def test_who_is_given_the_right_by_a_rule_sees_all_flavors(world: World):
    caller = await world.member("auditor")
    await a_flavor(world, "few")
    role = {"rules": [{"apiGroups": ["compute.lichen.dev"], "resources": ["flavors"], "verbs": ["list"]}]}
    await world.state.create(builtin.CLUSTER_ROLE, {**new_object(builtin.CLUSTER_ROLE, "audit"), **role})
    binding = {
        "roleRef": {"apiGroup": builtin.RBAC, "kind": "ClusterRole", "name": "audit"},
        "subjects": [{"apiGroup": builtin.RBAC, "kind": "User", "name": caller.name}],
    }
    await world.state.create(builtin.CLUSTER_ROLE_BINDING, {**new_object(builtin.CLUSTER_ROLE_BINDING, "a"), **binding})
    assert await flavors_of(world, caller) == ["few"]
    with pytest.raises(NotFound):
        await world.kernel.acting(caller).get(Flavor.KIND, "few")


async def test_a_private_volume_type_is_seen_by_admins(world: World):
    caller = await world.member("theirs")
    await world.state.create(VolumeType.KIND, new_object(VolumeType.KIND, "fast", spec={"public": False}))
    for who, names in ((caller, ["standard"]), (await world.admin(), ["fast", "standard"])):
        assert [name_of(t) for t in (await world.kernel.acting(who).list(VolumeType.KIND)).items] == names


async def test_what_a_built_in_role_gives_no_more_is_taken_from_it_in_a_cloud_of_an_earlier_release(world: World):
    earlier = {
        "system:basic-user": [
            {"apiGroups": ["compute.lichen.dev"], "resources": ["flavors", "zones"], "verbs": builtin_roles.READ},
            {"apiGroups": ["volume.lichen.dev"], "resources": ["volumetypes"], "verbs": builtin_roles.READ},
        ],
        "system:aggregate-to-edit": [
            {"apiGroups": ["compute.lichen.dev"], "resources": ["operations"], "verbs": builtin_roles.WRITE},
        ],
    }
    now = {name: (await world.state.get(builtin.CLUSTER_ROLE, name))["rules"] for name in earlier}
    for name, rules in earlier.items():
        of_operators_own = [{"apiGroups": [""], "resources": ["nodes"], "verbs": ["get"]}]
        await world.state.patch(builtin.CLUSTER_ROLE, name, "", {"rules": [*now[name], *rules, *of_operators_own]})
    await world.identity.bootstrap(world.state, "")
    caller = await world.member("theirs")
    await a_flavor(world, "few")
    assert await flavors_of(world, caller) == []
    assert not may(world, caller, "delete", Operation.KIND, caller.namespace, "one")
    assert may(world, caller, "get", NODE, "", "n1")


async def test_the_unscoped_and_the_anonymous_have_no_project(world: World):
    ann = await world.member("ann")
    unscoped = await world.kernel.authenticate(await world.login("ann", {"unscoped": True}))
    for caller in (unscoped, NOBODY):
        assert not may(world, caller, "list", POD, "ann")
    assert not may(world, NOBODY, "list", Flavor.KIND)
    assert world.identity.refusal_of_path(NOBODY, "get", "/version") is None
    assert world.identity.refusal_of_path(NOBODY, "get", "/healthz") is None
    assert world.identity.refusal_of_path(NOBODY, "get", "/api") == ""
    assert world.identity.refusal_of_path(ann, "get", "/api/v1") is None
    assert world.identity.refusal_of_path(ann, "get", "/metrics") == ""


async def test_a_reader_on_the_system_reads_everything_but_secrets(world: World):
    await world.assign("reader", user_id=await world.user("eye"), system=True)
    eye = await world.kernel.authenticate(await world.login("eye", {"system": True}))
    assert may(world, eye, "list", Server.KIND)
    assert may(world, eye, "list", User.KIND)
    assert not may(world, eye, "list", SECRET)
    assert not may(world, eye, "delete", Server.KIND, "demo", "web")


# --- attacks: another tenant's things ---


@pytest.mark.parametrize("role", ["reader", "member", "manager"])
async def test_a_tenant_reaches_nothing_of_another(world: World, role: str):
    ann, bob = await world.member("ann", role), await world.member("bob")
    theirs = world.kernel.acting(bob)
    await theirs.create(CONFIG_MAP, {**new_object(CONFIG_MAP, "plan", "bob"), "data": {"a": "b"}})
    mine = world.kernel.acting(ann)
    for namespace in ("bob", SYSTEM_NAMESPACE, None):
        for kind in (CONFIG_MAP, SECRET, POD, Server.KIND, Network.KIND, Image.KIND, Port.KIND, Subnet.KIND):
            with pytest.raises(Forbidden):
                await mine.list(kind, namespace)
            with pytest.raises(Forbidden):
                mine.watch(kind, namespace)
            with pytest.raises(Forbidden):
                await mine.delete_collection(kind, namespace)
    with pytest.raises(Forbidden):
        await mine.get(CONFIG_MAP, "plan", "bob")
    with pytest.raises(Forbidden):
        await mine.get(CONFIG_MAP, "no-such", "bob")
    with pytest.raises(Forbidden):
        await mine.patch(CONFIG_MAP, "plan", "bob", {"data": {"a": "c"}})
    with pytest.raises(Forbidden):
        await mine.delete(CONFIG_MAP, "plan", "bob")
    with pytest.raises(Forbidden):
        await mine.create(CONFIG_MAP, new_object(CONFIG_MAP, "mine", "bob"))


async def test_of_two_who_take_a_name_at_once_one_gets_it(world: World):
    spec = {"displayName": "Ann Bell", "domainId": "default"}
    tries = [world.state.create(User.KIND, new_object(User.KIND, f"ann-{i}", spec=dict(spec))) for i in range(20)]
    answers = await asyncio.gather(*tries, return_exceptions=True)
    assert sum(isinstance(a, dict) for a in answers) == 1
    assert {type(a) for a in answers if not isinstance(a, dict)} == {Conflict}


async def test_a_tenant_cannot_take_rights(world: World):
    ann = await world.member("ann", "manager")
    mine = world.kernel.acting(ann)
    admin_role = await world.role_id("admin")
    for spec in ({"project_id": ann.project_id}, {"system": True}):
        wanted = RoleAssignment.Spec(role_id=admin_role, user_id=ann.user_id, **spec)
        with pytest.raises(Forbidden):
            await mine.create(RoleAssignment.KIND, new_object(RoleAssignment.KIND, wanted.handle(), spec=wanted))
    with pytest.raises(Forbidden):
        await mine.patch(User.KIND, "ann", "", {"spec": {"options": {"x": True}}})
    with pytest.raises(Forbidden):
        await mine.patch(NAMESPACE, "ann", "", {"metadata": {"labels": {"a": "b"}}})


def a_binding(role: str, user: str, kind: str = "ClusterRole") -> dict[str, object]:
    return {
        **new_object(builtin.ROLE_BINDING, f"{role}-{user}", "ann"),
        "roleRef": {"apiGroup": builtin.RBAC, "kind": kind, "name": role},
        "subjects": [{"apiGroup": builtin.RBAC, "kind": "User", "name": user}],
    }


async def test_a_manager_hands_on_what_it_has_and_no_more(world: World):
    ann, bob = await world.member("ann", "manager"), await world.member("bob")
    mine = world.kernel.acting(ann)
    assert not may(world, bob, "list", POD, "ann")
    await mine.create(builtin.ROLE_BINDING, a_binding("view", "bob"))
    assert may(world, bob, "list", POD, "ann")
    assert not may(world, bob, "delete", POD, "ann", "web")
    for role in ("cluster-admin", "system:node", "system:lichen-controllers"):
        with pytest.raises(Forbidden, match="attempting to grant"):
            await mine.create(builtin.ROLE_BINDING, a_binding(role, "bob"))
    rules = [{"apiGroups": [""], "resources": ["pods"], "verbs": ["get"]}]
    await mine.create(builtin.ROLE, {**new_object(builtin.ROLE, "pods", "ann"), "rules": rules})
    for rule in (
        {"apiGroups": ["*"], "resources": ["*"], "verbs": ["*"]},
        {"apiGroups": [""], "resources": ["resourcequotas"], "verbs": ["create"]},
        {"apiGroups": [""], "resources": ["*"], "verbs": ["get"]},
        {"apiGroups": ["compute.lichen.dev"], "resources": ["servers/status"], "verbs": ["patch"]},
    ):
        with pytest.raises(Forbidden, match="attempting to grant"):
            await mine.create(builtin.ROLE, {**new_object(builtin.ROLE, "more", "ann"), "rules": [rule]})
        with pytest.raises(Forbidden, match="attempting to grant"):
            await mine.patch(builtin.ROLE, "pods", "ann", {"rules": [rule]})


async def test_a_name_like_the_systems_gives_no_rights(world: World):
    for name in ("system:masters", "system:node:a", "system:serviceaccount:kube-system:default"):
        with pytest.raises(ApiError, match=r"metadata\.name"):
            await world.state.create(User.KIND, new_object(User.KIND, name))


# --- what is shared ---


async def test_a_shared_network_is_read_by_all_and_a_private_one_by_its_own(world: World):
    ann, bob = await world.member("ann"), await world.member("bob")
    await world.kernel.acting(bob).create(Network.KIND, new_object(Network.KIND, "own", "bob", {}))
    await world.state.create(Network.KIND, new_object(Network.KIND, "open", "bob", {"shared": True}))
    mine = world.kernel.acting(ann)
    shared = (await mine.list(Network.KIND, None, fields="spec.shared=true")).items
    assert {n["metadata"]["name"] for n in shared} == {"open", "cluster"}
    assert (await mine.get(Network.KIND, "open", "bob"))["spec"]["shared"] is True
    with pytest.raises(Forbidden):
        await mine.get(Network.KIND, "own", "bob")
    with pytest.raises(Forbidden):
        await mine.patch(Network.KIND, "open", "bob", {"spec": {"description": "mine"}})
    id = (await world.state.get(Network.KIND, "open", "bob"))["spec"]["id"]
    own = (await world.state.get(Network.KIND, "own", "bob"))["spec"]["id"]
    await mine.list(Subnet.KIND, None, fields=f"spec.networkId={id}")
    with pytest.raises(Forbidden):
        await mine.list(Subnet.KIND, None, fields=f"spec.networkId={own}")


@pytest.mark.parametrize(
    "fields",
    [
        "",
        "spec.shared!=false",
        "spec.shared=false",
        "metadata.name!=x\\,spec.shared=true",
        "spec.id=\\,spec.shared=true",
        "spec.shared=true\\",
        "spec.shared=true\\,",
        "spec.shared==truely",
        "!spec.shared=true",
    ],
)
async def test_a_selector_that_only_looks_as_if_it_picked_the_shared_is_refused(world: World, fields: str):
    ann = await world.member("ann")
    with pytest.raises((Forbidden, BadRequest)):
        await world.kernel.acting(ann).list(Network.KIND, None, fields=fields)


async def test_only_the_clouds_admin_shares_with_everyone(world: World):
    mine = world.kernel.acting(await world.member("ann", "manager"))
    with pytest.raises(Forbidden):
        await mine.create(Network.KIND, new_object(Network.KIND, "open", "ann", {"shared": True}))
    with pytest.raises(Forbidden):
        await mine.create(Image.KIND, new_object(Image.KIND, "open", "ann", {"visibility": "public"}))
    await mine.create(Network.KIND, new_object(Network.KIND, "net", "ann", {}))
    with pytest.raises(Forbidden):
        await mine.patch(Network.KIND, "net", "ann", {"spec": {"shared": True}})
    with pytest.raises(Forbidden):
        await mine.patch(Network.KIND, "net", "ann", {"spec": {"external": True}})


async def test_a_tenant_points_its_image_at_no_other_bytes(world: World):
    """Not even where the image service takes its word for what they are."""
    mine = world.kernel.acting(replace(await world.member("ann"), through=DIALECT))
    image = await mine.create(Image.KIND, new_object(Image.KIND, "disk", "ann", {"diskFormat": "raw"}))
    for location in ("../../etc/shadow", "another-id"):
        with pytest.raises(Forbidden):
            await mine.patch(Image.KIND, "disk", "ann", {"status": {"location": location}}, subresource="status")
    done = {"phase": "active", "location": image["spec"]["id"], "size": 1}
    await mine.patch(Image.KIND, "disk", "ann", {"status": done}, subresource="status")
    with pytest.raises(Forbidden):
        await mine.patch(Image.KIND, "disk", "ann", {"status": {"hashValue": "0"}}, subresource="status")


# --- RBAC, service accounts, nodes ---


async def test_a_cluster_role_aggregates_live(world: World):
    ann = await world.member("ann", "reader")
    assert not may(world, ann, "get", SECRET, "ann", "s")
    labels = {"rbac.authorization.k8s.io/aggregate-to-view": "true"}
    role = new_object(builtin.CLUSTER_ROLE, "more", labels=labels)
    rules = [{"apiGroups": [""], "resources": ["secrets"], "verbs": ["get"], "resourceNames": ["s"]}]
    await world.state.create(builtin.CLUSTER_ROLE, {**role, "rules": rules})
    assert may(world, ann, "get", SECRET, "ann", "s")
    assert not may(world, ann, "get", SECRET, "ann", "t")


async def test_a_service_account_acts_by_its_bindings_until_it_is_gone(world: World):
    ann = await world.member("ann", "manager")
    mine = world.kernel.acting(ann)
    await mine.create(SERVICE_ACCOUNT, new_object(SERVICE_ACCOUNT, "robot", "ann"))
    body = {
        "apiVersion": "authentication.k8s.io/v1",
        "kind": "TokenRequest",
        "metadata": {"name": "robot", "namespace": "ann"},
    }
    answer = await mine.create(SERVICE_ACCOUNT, {**body, "spec": {}}, subresource="token")
    robot = await world.kernel.authenticate(answer["status"]["token"])
    assert robot.name == "system:serviceaccount:ann:robot"
    assert not may(world, robot, "list", POD, "ann")
    binding = a_binding("view", "x")
    binding["subjects"] = [{"kind": "ServiceAccount", "name": "robot", "namespace": "ann"}]
    await mine.create(builtin.ROLE_BINDING, binding)
    assert may(world, robot, "list", POD, "ann")
    assert not may(world, robot, "list", POD, "bob")
    other = await mine.create(SERVICE_ACCOUNT, {**body, "spec": {"audiences": ["vault"]}}, subresource="token")
    with pytest.raises(Exception, match="authentication"):
        await world.kernel.authenticate(other["status"]["token"])
    await world.state.delete(SERVICE_ACCOUNT, "robot", "ann")
    with pytest.raises(Exception, match="authentication"):
        await world.kernel.authenticate(robot.token)


async def test_a_node_writes_the_status_of_its_own_and_nothing_else(world: World):
    token = world.identity.system_token("system:node:n1", ("system:nodes",))
    node = world.kernel.acting(await world.kernel.authenticate(token))
    for name in ("n1", "n2"):
        await world.state.create(NODE, new_object(NODE, name))
        spec = {"nodeName": name, "containers": [{"name": "c", "image": "busybox"}]}
        await world.state.create(POD, new_object(POD, f"on-{name}", "default", spec))
    await node.patch(NODE, "n1", "", {"status": {"phase": "x"}}, subresource="status")
    await node.patch(POD, "on-n1", "default", {"status": {"phase": "Running"}}, subresource="status")
    assert len((await node.list(POD, fields="spec.nodeName=n1")).items) == 1
    for attempt in (
        node.patch(NODE, "n2", "", {"metadata": {"labels": {"a": "b"}}}),
        node.patch(POD, "on-n2", "default", {"status": {"phase": "Failed"}}, subresource="status"),
        node.patch(POD, "on-n1", "default", {"metadata": {"labels": {"a": "b"}}}),
        node.delete(POD, "on-n2", "default"),
        node.create(POD, new_object(POD, "mine", "default", {})),
        node.create(NODE, new_object(NODE, "n3")),
        node.list(User.KIND),
        node.list(POD),
        node.list(POD, fields="spec.nodeName=n2"),
        node.list(POD, fields="spec.nodeName!=n1"),
        node.list(Server.KIND, fields="spec.node=n2"),
        node.list(SECRET),
        node.patch(SECRET, "s", "default", {}),
    ):
        with pytest.raises(Forbidden):
            await attempt


async def test_the_controllers_give_no_rights_and_become_nobody_else(world: World):
    token = world.identity.system_token("system:lichen-controllers")
    caller = await world.kernel.authenticate(token)
    users, groups = (
        Kind("", "v1", kind, plural, namespaced=False) for kind, plural in (("User", "users"), ("Group", "groups"))
    )
    assert may(world, caller, "patch", Server.KIND, "any", "web", "status")
    assert may(world, caller, "create", POD, "any", "web", "binding")
    for kind in (User.KIND, RoleAssignment.KIND, builtin.CLUSTER_ROLE_BINDING, builtin.ROLE_BINDING):
        assert not may(world, caller, "create", kind, "any")
    assert not may(world, caller, "impersonate", groups, "", "system:masters")
    assert not may(world, caller, "impersonate", users, "", "admin")


async def test_admin_ends_the_token_of_a_process_of_ours(world: World):
    token = world.identity.system_token("system:admin", ("system:masters",), 86400 * 365)
    assert (await world.kernel.authenticate(token)).is_admin
    await world.ask(await world.admin(), TokenRevocation.KIND, {"token": token})
    with pytest.raises(Unauthorized):
        await world.kernel.authenticate(token)


async def test_a_caller_survives_the_way_through_a_token_review(world: World):
    ann = await world.member("ann", "manager")
    answer = await world.ask(await world.admin(), builtin.TOKEN_REVIEW, {"token": ann.token})
    assert from_user_info(answer["status"]["user"], ann.token) == ann
    assert ann.token not in str(to_user_info(ann))
    with pytest.raises(Forbidden):
        await world.ask(ann, builtin.TOKEN_REVIEW, {"token": ann.token})
    bad = await world.ask(await world.admin(), builtin.TOKEN_REVIEW, {"token": "x"})
    assert bad["status"]["authenticated"] is False


async def test_reviews_answer_as_the_authorizer_would(world: World):
    ann = await world.member("ann")
    for verb, namespace, allowed in (("create", "ann", True), ("create", "bob", False), ("list", "", False)):
        wanted = {"verb": verb, "resource": "servers", "group": "compute.lichen.dev", "namespace": namespace}
        answer = await world.ask(ann, builtin.SELF_SUBJECT_ACCESS_REVIEW, {"resourceAttributes": wanted})
        assert answer["status"]["allowed"] is allowed
    rules = await world.ask(ann, builtin.SELF_SUBJECT_RULES_REVIEW, {"namespace": "ann"})
    assert any("servers" in r["resources"] for r in rules["status"]["resourceRules"])
    node = {"user": "system:node:a", "groups": ["system:nodes"]}
    wanted = {"verb": "list", "resource": "services"}
    answer = await world.ask(await world.admin(), builtin.SUBJECT_ACCESS_REVIEW, {**node, "resourceAttributes": wanted})
    assert answer["status"]["allowed"] is True


async def test_a_nodes_agent_watches_only_what_its_credential_lets_it_watch(world: World):
    token = world.identity.system_token("system:node:n1", ("system:nodes",))
    sources = Sources(world.kernel.acting(await world.kernel.authenticate(token)), "n1")
    try:
        async with asyncio.timeout(10):
            await sources.start()
    finally:
        await sources.close()


async def test_a_node_reads_by_name_what_its_pods_name_what_the_cloud_tells_all_guests_and_nothing_else(world: World):
    token = world.identity.system_token("system:node:n1", ("system:nodes",))
    node = world.kernel.acting(await world.kernel.authenticate(token))
    for name, namespace in ((VENDOR_DATA, SYSTEM_NAMESPACE), (VENDOR_DATA, "default"), ("settings", "default")):
        await world.state.create(CONFIG_MAP, new_object(CONFIG_MAP, name, namespace))
    containers = [{"name": "c", "image": "busybox", "envFrom": [{"configMapRef": {"name": "settings"}}]}]
    await world.state.create(POD, new_object(POD, "p", "default", {"nodeName": "n1", "containers": containers}))
    assert name_of(await node.get(CONFIG_MAP, "settings", "default")) == "settings"
    assert name_of(await node.get(CONFIG_MAP, VENDOR_DATA, SYSTEM_NAMESPACE)) == VENDOR_DATA
    with pytest.raises(Forbidden):
        await node.get(CONFIG_MAP, VENDOR_DATA, "default")
    await world.state.delete(CONFIG_MAP, VENDOR_DATA, SYSTEM_NAMESPACE)
    with pytest.raises(NotFound):
        await node.get(CONFIG_MAP, VENDOR_DATA, SYSTEM_NAMESPACE)


async def test_a_node_watches_one_by_one_what_its_pods_name_for_as_long_as_they_are_there(world: World):
    token = world.identity.system_token("system:node:n1", ("system:nodes",))
    node = world.kernel.acting(await world.kernel.authenticate(token))
    for name in ("settings", "others"):
        await world.state.create(CONFIG_MAP, new_object(CONFIG_MAP, name, "default"))
    containers = [{"name": "c", "image": "busybox", "envFrom": [{"configMapRef": {"name": "settings"}}]}]
    await world.state.create(POD, new_object(POD, "p", "default", {"nodeName": "n1", "containers": containers}))
    ours, others = "metadata.name=settings", "metadata.name=others"
    assert [name_of(each) for each in (await node.list(CONFIG_MAP, "default", fields=ours)).items] == ["settings"]
    for refused in (
        node.list(CONFIG_MAP, "default", fields=others),
        node.list(CONFIG_MAP, "default", fields="metadata.name!=settings"),
        node.list(CONFIG_MAP, "default"),
        node.list(CONFIG_MAP, fields=ours),
        anext(node.watch(CONFIG_MAP, "default", fields=others)),
        anext(node.watch_raw(CONFIG_MAP, "default", fields=others)),
    ):
        with pytest.raises(Forbidden):
            await refused
    for all_of_them in (None, "default"):
        with pytest.raises(Forbidden):
            node.watch(CONFIG_MAP, all_of_them)
    told, raw = (watch(CONFIG_MAP, "default", fields=ours) for watch in (node.watch, node.watch_raw))
    assert ((await anext(told)).object["metadata"]["name"], (await anext(raw))[0]) == ("settings", "ADDED")
    await world.state.delete(POD, "p", "default", grace_seconds=0)
    await world.state.patch(CONFIG_MAP, "settings", "default", {"data": {"a": "b"}})
    for watch in (told, raw):
        with pytest.raises(Forbidden):
            await anext(watch)


@pytest.mark.parametrize("maker", ["admin", "member"])
async def test_a_node_holds_what_is_bound_to_it_whoever_made_it(world: World, maker: str):
    owner = await (world.admin() if maker == "admin" else world.member("ann"))
    home, mine = owner.namespace, world.kernel.acting(owner)
    await world.state.create(Flavor.KIND, new_object(Flavor.KIND, "f", spec={"vcpus": 1, "memory": 1, "disk": 1}))
    await mine.create(Volume.KIND, new_object(Volume.KIND, "v", home, {"size": 1}))
    await mine.create(Server.KIND, new_object(Server.KIND, "s", home, {"flavor": "f", "networks": []}))
    token = world.identity.system_token("system:node:n1", ("system:nodes",))
    node = world.kernel.acting(await world.kernel.authenticate(token))
    for kind, name in ((Volume.KIND, "v"), (Server.KIND, "s")):
        await world.state.patch(kind, name, home, {"spec": {"node": "n1"}})
        held = await node.patch(kind, name, home, {"metadata": {"finalizers": [NODE_FINALIZER]}})
        assert held["metadata"]["finalizers"] == [NODE_FINALIZER]


async def test_a_node_gets_tokens_for_its_own_pods_only(world: World):
    token = world.identity.system_token("system:node:n1", ("system:nodes",))
    node = world.kernel.acting(await world.kernel.authenticate(token))
    await world.state.create(SERVICE_ACCOUNT, new_object(SERVICE_ACCOUNT, "robot", "default"))
    await world.state.create(SERVICE_ACCOUNT, new_object(SERVICE_ACCOUNT, "other", "default"))
    for name in ("n1", "n2"):
        containers = [{"name": "c", "image": "busybox"}]
        spec = {"nodeName": name, "serviceAccountName": "robot", "containers": containers}
        await world.state.create(POD, new_object(POD, f"of-{name}", "default", spec))

    async def ask(account: str, **bound: str) -> str:
        metadata = {"name": account, "namespace": "default"}
        body = {"metadata": metadata, "spec": {"boundObjectRef": {"kind": "Pod", **bound} if bound else {}}}
        return str((await node.create(SERVICE_ACCOUNT, body, subresource="token"))["status"]["token"])

    robot = await world.kernel.authenticate(await ask("robot", name="of-n1"))
    assert robot.name == "system:serviceaccount:default:robot"
    for account, bound in (("robot", {"name": "of-n2"}), ("other", {"name": "of-n1"}), ("robot", {})):
        with pytest.raises(Forbidden):
            await ask(account, **bound)
    with pytest.raises(Conflict):
        await ask("robot", name="of-n1", uid="another")
