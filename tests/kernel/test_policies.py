# SPDX-License-Identifier: Apache-2.0
"""ValidatingAdmissionPolicy and MutatingAdmissionPolicy: what administrators rule about writes, in CEL."""

from __future__ import annotations

import asyncio
import sys
import threading
import time
from typing import Any

import pytest
import pytest_asyncio

from lichen.kernel.cel.language import Pace, apart
from lichen.kernel.kernel import SYSTEM, Kernel
from lichen.kernel.policies.policies import MUTATING, MUTATING_BINDING, VALIDATING, VALIDATING_BINDING
from lichen.kernel.policies.webhooks import CONFIGURATIONS
from lichen.kernel.session import Session
from lichen.kinds.builtin import CONFIG_MAP, DEPLOYMENT, NAMESPACE, REPLICA_SET
from lichen.model.errors import ApiError, Forbidden, Invalid
from lichen.model.kind import Kind, new_object
from lichen.model.state import WriteOptions
from tests.kernel.helpers import AllowAll, a_kernel

Object = dict[str, Any]
DEPLOYMENTS = [
    {
        "apiGroups": ["apps"],
        "apiVersions": ["v1"],
        "operations": ["CREATE", "UPDATE"],
        "resources": ["deployments"],
    }
]
EVERYTHING = [{"apiGroups": ["*"], "apiVersions": ["*"], "operations": ["*"], "resources": ["*"]}]


@pytest_asyncio.fixture
async def session() -> Session:
    kernel = await a_kernel()
    session = kernel.acting(await kernel.authenticate(""))
    await session.create(NAMESPACE, new_object(NAMESPACE, "team", labels={"strict": "yes"}))
    return session


async def validating(session: Session, *rules: Object, binding: Object | None = None, **spec: Any) -> None:
    constraints = spec.pop("matchConstraints", {"resourceRules": DEPLOYMENTS})
    whole = {"matchConstraints": constraints, "validations": list(rules), **spec}
    await session.create(VALIDATING, new_object(VALIDATING, "policy", spec=whole))
    bound = {"policyName": "policy", "validationActions": ["Deny"], **(binding or {})}
    await session.create(VALIDATING_BINDING, new_object(VALIDATING_BINDING, "binding", spec=bound))


async def mutating(session: Session, *mutations: Object, **spec: Any) -> None:
    whole = {
        "matchConstraints": {"resourceRules": DEPLOYMENTS},
        "mutations": list(mutations),
        "reinvocationPolicy": "Never",
        **spec,
    }
    await session.create(MUTATING, new_object(MUTATING, "policy", spec=whole))
    await session.create(MUTATING_BINDING, new_object(MUTATING_BINDING, "binding", spec={"policyName": "policy"}))


def an_object(expression: str) -> Object:
    return {"patchType": "ApplyConfiguration", "applyConfiguration": {"expression": expression}}


def operations(expression: str) -> Object:
    return {"patchType": "JSONPatch", "jsonPatch": {"expression": expression}}


def a_deployment(replicas: int, name: str = "web", kind: Kind = DEPLOYMENT, namespace: str = "team") -> Object:
    template = {"metadata": {"labels": {"app": "x"}}, "spec": {"containers": [{"name": "c", "image": "i"}]}}
    spec = {"replicas": replicas, "selector": {"matchLabels": {"app": "x"}}, "template": template}
    return new_object(kind, name, namespace, spec)


async def refused(session: Session, obj: Object, kind: Kind = DEPLOYMENT) -> ApiError:
    with pytest.raises(ApiError) as caught:
        await session.create(kind, obj)
    return caught.value


async def test_a_policy_refuses_what_it_is_about_and_nothing_else(session: Session) -> None:
    await validating(session, {"expression": "object.spec.replicas > 1"})
    error = await refused(session, a_deployment(1))
    assert isinstance(error, Invalid)
    assert error.message == (
        "deployments.apps \"web\" is forbidden: ValidatingAdmissionPolicy 'policy' with binding 'binding' denied "
        "request: failed expression: object.spec.replicas > 1"
    )
    await session.create(DEPLOYMENT, a_deployment(2))
    await session.create(REPLICA_SET, a_deployment(1, "set", REPLICA_SET))


async def test_a_message_is_computed_or_falls_back_to_the_written_one(session: Session) -> None:
    said = "'wants more than ' + string(object.spec.replicas)"
    await validating(session, {"expression": "object.spec.replicas > 1", "messageExpression": said})
    assert (await refused(session, a_deployment(1))).message.endswith("denied request: wants more than 1")
    wrong = {"expression": "false", "message": "no", "messageExpression": "'x' + object.spec.replicas"}
    patch = {"spec": {"validations": [{**wrong, "reason": "Forbidden"}]}}
    await session.patch(VALIDATING, "policy", "", patch)
    error = await refused(session, a_deployment(5))
    assert isinstance(error, Forbidden)
    assert error.message.endswith("denied request: no")


async def test_variables_are_known_to_all_expressions_and_to_later_variables(session: Session) -> None:
    variables = [
        {"name": "replicas", "expression": "object.spec.replicas"},
        {"name": "odd", "expression": "variables.replicas % 2 == 1"},
    ]
    await validating(session, {"expression": "!variables.odd && variables.replicas < 5"}, variables=variables)
    await refused(session, a_deployment(3))
    await refused(session, a_deployment(6))
    await session.create(DEPLOYMENT, a_deployment(4))


async def test_a_binding_narrows_its_policy_to_namespaces(session: Session) -> None:
    only = {"matchResources": {"namespaceSelector": {"matchLabels": {"strict": "yes"}}}}
    await validating(session, {"expression": "false"}, binding=only)
    await refused(session, a_deployment(1))
    await session.create(DEPLOYMENT, a_deployment(1, namespace="default"))


async def test_parameters_come_from_an_object_that_the_binding_names(session: Session) -> None:
    ref = {"name": "limits", "namespace": "default", "parameterNotFoundAction": "Deny"}
    kind = {"apiVersion": "v1", "kind": "ConfigMap"}
    rule = {"expression": "object.spec.replicas <= int(params.data.most)"}
    await validating(session, rule, binding={"paramRef": ref}, paramKind=kind)
    assert "no params found" in (await refused(session, a_deployment(1))).message
    await session.create(CONFIG_MAP, {**new_object(CONFIG_MAP, "limits", "default"), "data": {"most": "2"}})
    await session.create(DEPLOYMENT, a_deployment(2))
    await refused(session, a_deployment(3, "more"))


async def test_an_update_sees_what_was_and_who_asks(session: Session) -> None:
    rule = {"expression": "oldObject == null || object.spec.replicas >= oldObject.spec.replicas"}
    conditions = [{"name": "not-the-system", "expression": "request.userInfo.username != 'nobody'"}]
    await validating(session, rule, matchConditions=conditions)
    await session.create(DEPLOYMENT, a_deployment(2))
    with pytest.raises(Invalid):
        await session.patch(DEPLOYMENT, "web", "team", {"spec": {"replicas": 1}})
    await session.patch(DEPLOYMENT, "web", "team", {"spec": {"replicas": 3}})


async def test_a_failing_expression_refuses_or_is_ignored_as_the_policy_says(session: Session) -> None:
    await validating(session, {"expression": "object.spec.nothing == 1"})
    said = "expression 'object.spec.nothing == 1' resulted in error: no such key: nothing"
    assert (await refused(session, a_deployment(1))).message.endswith(said)
    await session.patch(VALIDATING, "policy", "", {"spec": {"failurePolicy": "Ignore"}})
    await session.create(DEPLOYMENT, a_deployment(1))


async def test_warnings_are_told_and_nothing_is_refused(session: Session) -> None:
    await validating(session, {"expression": "false"}, binding={"validationActions": ["Warn"]})
    options = WriteOptions()
    await session.create(DEPLOYMENT, a_deployment(1), options=options)
    assert options.warnings == [
        "Validation failed for ValidatingAdmissionPolicy 'policy' with binding 'binding': failed expression: false"
    ]


async def test_whoever_locked_all_out_can_take_the_policy_away(session: Session) -> None:
    await validating(session, {"expression": "false"}, matchConstraints={"resourceRules": EVERYTHING})
    await refused(session, new_object(CONFIG_MAP, "c", "team"), CONFIG_MAP)
    with pytest.raises(Invalid):
        await session.delete(NAMESPACE, "team")
    await session.delete(VALIDATING, "policy")
    await session.create(CONFIG_MAP, new_object(CONFIG_MAP, "c", "team"))


async def test_what_costs_too_much_fails(session: Session) -> None:
    many = "range.all(a, range.all(b, range.all(c, a + b + c >= 0)))"
    variables = [{"name": "range", "expression": "[" + ",".join(map(str, range(60))) + "]"}]
    await validating(session, {"expression": many.replace("range", "variables.range")}, variables=variables)
    assert "cost limit exceeded" in (await refused(session, a_deployment(1))).message


async def test_rules_that_take_their_time_leave_the_event_loop_to_others() -> None:
    pace, loop = Pace(), threading.get_ident()
    for _ in range(20):
        await apart(0, lambda: None, pace)
    assert await apart(0, threading.get_ident, pace) == loop, "what is quick is not sent away"
    await apart(0, lambda: time.sleep(0.02), pace)
    assert await apart(0, threading.get_ident, pace) != loop


@pytest.mark.parametrize(
    ("rule", "field"),
    [
        ({"expression": "object.spec.replicas >"}, "spec.validations[0].expression"),
        ({"expression": "nobody == 1"}, "spec.validations[0].expression"),
        ({"expression": "1 > 'a'"}, "spec.validations[0].expression"),
        ({"expression": "'text'"}, "spec.validations[0].expression"),
        ({"expression": "true", "messageExpression": "1"}, "spec.validations[0].messageExpression"),
    ],
)
async def test_what_does_not_compile_is_not_kept(session: Session, rule: Object, field: str) -> None:
    with pytest.raises(Invalid) as caught:
        await validating(session, rule)
    assert [cause.field for cause in caught.value.causes] == [field]
    assert (await session.list(VALIDATING)).items == []


async def test_a_mutation_is_merged_into_the_object(session: Session) -> None:
    annotated = 'Object{metadata: Object.metadata{annotations: {"mutated-by": "policy"}}}'
    image = 'Object{spec: Object.spec{template: Object.spec.template{spec: Object.spec.template.spec{containers: [' \
        'Object.spec.template.spec.containers{name: "c", imagePullPolicy: "Never"}]}}}}'  # fmt: skip
    await mutating(session, an_object(annotated), an_object(image))
    made = await session.create(DEPLOYMENT, a_deployment(1))
    assert made["metadata"]["annotations"] == {"mutated-by": "policy"}
    (container,) = made["spec"]["template"]["spec"]["containers"]
    assert (container["image"], container["imagePullPolicy"]) == ("i", "Never")


async def test_a_mutation_may_be_a_patch_and_sees_what_came_before(session: Session) -> None:
    first = operations('[JSONPatch{op: "add", path: "/metadata/labels", value: {"a": "1"}}]')
    key = 'jsonpatch.escapeKey("example.com/of")'
    then = operations(
        f'[JSONPatch{{op: "add", path: "/metadata/labels/" + {key}, value: object.metadata.labels.a + "2"}}]'
    )
    await mutating(session, first, then, variables=[{"name": "unused", "expression": "object.nothing"}])
    made = await session.create(DEPLOYMENT, a_deployment(1))
    assert made["metadata"]["labels"] == {"a": "1", "example.com/of": "12"}


async def test_a_mutation_cannot_make_what_the_schema_forbids(session: Session) -> None:
    await mutating(session, an_object('Object{spec: Object.spec{replicas: "three"}}'))
    error = await refused(session, a_deployment(1))
    assert "MutatingAdmissionPolicy 'policy' with binding 'binding' denied request" in error.message
    await session.patch(MUTATING, "policy", "", {"spec": {"failurePolicy": "Ignore"}})
    assert (await session.create(DEPLOYMENT, a_deployment(1)))["spec"]["replicas"] == 1


async def test_policies_hold_again_after_a_restart(session: Session) -> None:
    await validating(session, {"expression": "object.spec.replicas > 1"})
    kernel = Kernel(session._kernel.store, AllowAll())
    await kernel.start()
    await refused(kernel.acting(SYSTEM), a_deployment(1))


async def test_writes_that_no_policy_is_about_do_not_even_ask_and_load_nothing(session: Session) -> None:
    plugins = session._kernel.admission.of(CONFIG_MAP, "create")
    assert not [p for p in plugins if type(p).__module__.startswith(("lichen.kernel.policies", "lichen.kernel.custom"))]
    code = "import sys, lichen.daemon.simulated; sys.exit('cel_expr_python' in sys.modules)"
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", code)
    assert await process.wait() == 0


async def test_webhooks_are_kept_and_their_writer_is_told_that_they_are_not_called(session: Session) -> None:
    kind = CONFIGURATIONS[0]
    client = {"url": "https://example.com/check"}
    webhook = {
        "name": "a.example.com",
        "clientConfig": client,
        "sideEffects": "None",
        "admissionReviewVersions": ["v1"],
    }
    options = WriteOptions()
    await session.create(kind, {**new_object(kind, "hook"), "webhooks": [webhook]}, options=options)
    assert options.warnings == [
        "admission webhooks are kept but not called here: a policy in CEL (ValidatingAdmissionPolicy) is"
    ]
    wrong = {**webhook, "matchConditions": [{"name": "wrong", "expression": "... [] bad"}]}
    with pytest.raises(Invalid) as caught:
        await session.create(kind, {**new_object(kind, "wrong"), "webhooks": [wrong]})
    assert [cause.field for cause in caught.value.causes] == ["webhooks[0].matchConditions[0].expression"]
