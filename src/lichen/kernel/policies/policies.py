# SPDX-License-Identifier: Apache-2.0
"""The admission plugins of policies: one knows what is installed, the other holds every write to it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

from lichen.kernel.admission import Request, refused
from lichen.kernel.cel import budget
from lichen.kernel.cel.language import Failure, Language, Mistake, Pace, apart, size_of
from lichen.kernel.managed.merging import merge
from lichen.kernel.managed.shapes import Shapes
from lichen.kernel.patching import patched
from lichen.kernel.policies.expressions import VARIABLES, Scene, seen
from lichen.kernel.policies.matching import OPERATIONS, Subject, is_about
from lichen.kernel.policies.soundness import check, fill
from lichen.kernel.policies.verdicts import Verdict, change, refusal, tolerates, verdicts
from lichen.kinds.builtin import NAMESPACE
from lichen.kinds.resources import builtin
from lichen.kinds.ruleset import rules_of
from lichen.model.caller import from_user_info
from lichen.model.data import Object
from lichen.model.errors import ApiError, NotFound
from lichen.model.kind import Kind
from lichen.model.meta import name_of
from lichen.model.selectors import label_selector
from lichen.model.state import PatchType, State

if TYPE_CHECKING:
    from lichen.kernel.kernel import Kernel

GROUP = "admissionregistration.k8s.io"
VALIDATING = builtin(GROUP, "validatingadmissionpolicies")
VALIDATING_BINDING = builtin(GROUP, "validatingadmissionpolicybindings")
MUTATING = builtin(GROUP, "mutatingadmissionpolicies")
MUTATING_BINDING = builtin(GROUP, "mutatingadmissionpolicybindings")
VERBS = ("create", "update", "delete")


class Rule(NamedTuple):
    """A policy that is bound. No policy rules about policies, so that a wrong one can be taken away."""

    name: str
    spec: Object
    bindings: tuple[Object, ...]
    pace: Pace


class Policies:
    """Holds writes to what is installed. kinds: () while nothing is, so that writes do not even ask."""

    kinds: tuple[Kind, ...] | None = ()
    verbs: tuple[str, ...] = VERBS

    def __init__(self, kernel: Kernel) -> None:
        self._kernel = kernel
        self._shapes = Shapes(kernel.catalog)
        self.language = Language(VARIABLES, self._refusal)
        self._validating: list[Rule] = []
        self._mutating: list[Rule] = []

    async def resume(self, state: State) -> None:
        """Learn what is installed."""
        self._validating = await _rules(state, VALIDATING, VALIDATING_BINDING)
        self._mutating = await _rules(state, MUTATING, MUTATING_BINDING)
        self.kinds = None if self._validating or self._mutating else ()
        self._kernel.admission.forget()

    async def admit(self, request: Request) -> None:
        if request.kind.group == GROUP:
            return
        namespace = await self._namespace(request)
        if request.verb != "delete":
            await self._mutate(request, namespace)
        subject = _subject(request, namespace)
        for rule in self._validating:
            for binding in _bound(rule, subject):
                await self._judge(request, subject, namespace, rule, binding)

    async def _judge(
        self, request: Request, subject: Subject, namespace: Object | None, rule: Rule, binding: Object
    ) -> None:
        async for scene in self._scenes(request, subject, namespace, rule, binding):
            found = await apart(size_of(subject.object, subject.old), partial(_found, rule.spec, scene), rule.pace)
            for verdict in found:
                actions = binding["spec"].get("validationActions") or ()
                if "Deny" in actions:
                    raise refusal(request.kind, request.name, rule.name, name_of(binding), verdict)
                if "Warn" in actions:
                    request.warnings.append(
                        f"Validation failed for ValidatingAdmissionPolicy '{rule.name}' with binding "
                        f"'{name_of(binding)}': {verdict.message}"
                    )

    async def _mutate(self, request: Request, namespace: Object | None) -> None:
        before: dict[str, Object] = {}
        for again in (False, True):
            for rule in self._mutating:
                if again and (rule.spec.get("reinvocationPolicy") != "IfNeeded" or before[rule.name] == request.object):
                    continue
                subject = _subject(request, namespace)
                for binding in _bound(rule, subject):
                    await self._change(request, subject, namespace, rule, binding)
                before[rule.name] = request.object

    async def _change(
        self, request: Request, subject: Subject, namespace: Object | None, rule: Rule, binding: Object
    ) -> None:
        async for scene in self._scenes(request, subject, namespace, rule, binding):
            try:
                size = size_of(subject.object, subject.old)
                await apart(size, partial(self._mutated, request, rule, scene), rule.pace)
            except (Failure, Mistake, ApiError) as error:
                if not tolerates(rule.spec):
                    said = error.message if isinstance(error, ApiError) else str(error)
                    which = f"MutatingAdmissionPolicy '{rule.name}' with binding '{name_of(binding)}'"
                    raise refused(request, f"{which} denied request: {said}") from None

    def _mutated(self, request: Request, rule: Rule, scene: Scene) -> None:
        with budget.altogether():
            self._mutate_within(request, rule, scene)

    def _mutate_within(self, request: Request, rule: Rule, scene: Scene) -> None:
        if not scene.applies():
            return
        kind, new = request.kind, request.object
        for mutation in rule.spec.get("mutations") or ():
            type_, said = change(mutation, scene)
            if type_ == "JSONPatch":
                new = patched(self._kernel.catalog, kind, request.subresource, new, said, PatchType.JSON)
            else:
                config = {**said, "apiVersion": new["apiVersion"], "kind": new["kind"]}
                new = merge(self._shapes.of(kind), new, config)
            scene.changed(new)
        if request.subresource == "status":
            new = {**request.object, "status": new.get("status") or {}}
        if new != request.object:
            kept = new["metadata"]
            new = self._kernel.schemas.of(kind).decode(new)
            new["metadata"].update((k, kept[k]) for k in ("managedFields",) if k in kept)
            rules_of(kind).default(new)
            request.object = new

    async def _scenes(
        self, request: Request, subject: Subject, namespace: Object | None, rule: Rule, binding: Object
    ) -> AsyncIterator[Scene]:
        """One for each parameter object."""
        values = seen(request, subject, namespace)
        try:
            params = await self._params(request, rule, binding)
        except Failure as error:
            if tolerates(rule.spec):
                return
            raise refused(
                request, f"policy '{rule.name}' with binding '{name_of(binding)}' denied request: {error}"
            ) from None
        for param in params:
            yield Scene(self.language, rule.spec, {**values, "params": param})

    async def _params(self, request: Request, rule: Rule, binding: Object) -> list[Object | None]:
        wanted, ref = rule.spec.get("paramKind"), binding["spec"].get("paramRef")
        if not wanted or not ref:
            return [None]
        kind = self._kernel.catalog.by_kind(wanted["apiVersion"], wanted["kind"])
        if kind is None:
            raise Failure(
                f"failed to find resource referenced by paramKind: '{wanted['apiVersion']}, {wanted['kind']}'"
            )
        namespace = (ref.get("namespace") or request.namespace) if kind.namespaced else ""
        if kind.namespaced and not namespace:
            raise Failure("cannot use namespaced paramRef in policy binding that matches cluster-scoped resources")
        found = await _referred(request.state, kind, ref, namespace)
        if not found and ref.get("parameterNotFoundAction") == "Deny":
            raise Failure("no params found for policy binding with `Deny` parameterNotFoundAction")
        return list(found)

    async def _namespace(self, request: Request) -> Object | None:
        if not request.namespace:
            return None
        try:
            return await request.state.get(NAMESPACE, request.namespace)
        except NotFound:
            return None

    def _refusal(self, asked: dict[str, Any]) -> str | None:
        """What `authorizer` answers."""
        caller = from_user_info(asked.get("caller") or {})
        if "path" in asked:
            return None if caller.is_admin else "only administrators are told of paths"
        kind = Kind(asked.get("group", ""), "", "", asked.get("resource", ""))
        place = asked.get("namespace", ""), asked.get("name", "")
        return self._kernel.access.refusal(caller, asked["verb"], kind, *place, asked.get("subresource", ""))


class Installed:
    """Learns of every change of policies and bindings before its answer leaves."""

    kinds: tuple[Kind, ...] | None = (VALIDATING, VALIDATING_BINDING, MUTATING, MUTATING_BINDING)
    verbs: tuple[str, ...] = VERBS

    def __init__(self, policies: Policies) -> None:
        self._policies = policies

    async def admit(self, request: Request) -> None:
        if request.verb != "delete" and not request.subresource:
            fill(request)
            await check(request, self._policies.language)
        request.done.append(lambda: self._policies.resume(request.state))


async def _rules(state: State, kind: Kind, binding_kind: Kind) -> list[Rule]:
    """What is bound, by name."""
    bindings = (await state.list(binding_kind)).items
    rules = []
    for policy in (await state.list(kind)).items if bindings else ():
        bound = tuple(b for b in bindings if b["spec"].get("policyName") == name_of(policy))
        if bound:
            rules.append(Rule(name_of(policy), policy["spec"], bound, Pace()))
    return rules


async def _referred(state: State, kind: Kind, ref: Object, namespace: str) -> list[Object]:
    if ref.get("name"):
        try:
            return [await state.get(kind, ref["name"], namespace)]
        except NotFound:
            return []
    matcher = label_selector(ref.get("selector"))
    return [obj for obj in (await state.list(kind, namespace if kind.namespaced else None)).items if matcher(obj)]


def _subject(request: Request, namespace: Object | None) -> Subject:
    new = None if request.verb == "delete" else request.object
    labels = (namespace or {}).get("metadata", {}).get("labels") or {}
    operation = OPERATIONS[request.verb]
    return Subject(operation, request.kind, request.subresource, request.name, new, request.old, labels)


def _bound(rule: Rule, subject: Subject) -> list[Object]:
    if not is_about(rule.spec.get("matchConstraints"), subject):
        return []
    return [b for b in rule.bindings if is_about(b["spec"].get("matchResources"), subject)]


def _found(spec: Object, scene: Scene) -> list[Verdict]:
    with budget.altogether():
        try:
            if not scene.applies():
                return []
        except (Failure, Mistake) as error:
            return [] if tolerates(spec) else [Verdict(f"failed to evaluate match conditions: {error}")]
        return verdicts(spec, scene)
