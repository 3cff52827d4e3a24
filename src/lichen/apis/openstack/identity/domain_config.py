# SPDX-License-Identifier: Apache-2.0
"""/v3/domains/{id}/config: what tools keep here for a domain's identity driver. It is not acted on, which every answer
to a write says in a Warning header; group security_compliance shows the domain's own rules for passwords."""

from __future__ import annotations

from typing import Any

import msgspec

from lichen.apis.openstack.identity.common import find
from lichen.apis.openstack.identity.ldap_options import DEFAULTS, SECRET, is_option
from lichen.apis.openstack.reply import Reply, created, no_content
from lichen.apis.openstack.request import Request
from lichen.kinds.identity.domain import Domain
from lichen.kinds.identity.domain_config import DomainConfig
from lichen.model.data import Object
from lichen.model.errors import AlreadyExists, BadRequest, Forbidden, NotFound
from lichen.model.kind import new_object
from lichen.model.meta import name_of

NOT_ACTED_ON = {
    "Warning": '299 - "This configuration is kept and not acted on: '
    "users come from Lichen's own directory, there is no LDAP driver.\""
}
RULES = "security_compliance"


async def show_defaults(req: Request) -> Reply:
    return Reply({"config": DEFAULTS})


async def show_default_group(req: Request, group: str) -> Reply:
    return Reply({"config": {group: _part(DEFAULTS, group)}})


async def show_default_option(req: Request, group: str, option: str) -> Reply:
    return Reply({"config": {option: _part(DEFAULTS, group, option)}})


async def show(req: Request, domain_id: str) -> Reply:
    return Reply({"config": await _config(req, domain_id)})


async def show_group(req: Request, domain_id: str, group: str) -> Reply:
    if group == RULES:
        return Reply({"config": {RULES: await _rules(req, domain_id)}})
    return Reply({"config": {group: _part(await _config(req, domain_id), group)}})


async def show_option(req: Request, domain_id: str, group: str, option: str) -> Reply:
    if group == RULES:
        return Reply({"config": {option: _part({RULES: await _rules(req, domain_id)}, RULES, option)}})
    return Reply({"config": {option: _part(await _config(req, domain_id), group, option)}})


async def replace(req: Request, domain_id: str) -> Reply:
    config = _checked(await _document(req))
    domain = await find(req, Domain.KIND, domain_id)
    options, secrets = _split(config)
    spec = {"domainId": domain_id, "options": options, "secrets": secrets}
    try:
        await req.state.create(DomainConfig.KIND, new_object(DomainConfig.KIND, name_of(domain), spec=spec))
    except AlreadyExists:
        held = (await _held(req, domain_id))["spec"]["options"]
        await _patch(req, domain, dict.fromkeys(held) | options, secrets)
        return Reply({"config": await _config(req, domain_id)}, headers=NOT_ACTED_ON)
    return created({"config": await _config(req, domain_id)}, **NOT_ACTED_ON)


async def update(req: Request, domain_id: str) -> Reply:
    return await _update(req, domain_id, _checked(await _document(req)))


async def update_group(req: Request, domain_id: str, group: str) -> Reply:
    config = await _document(req)
    if set(config) != {group}:
        raise BadRequest(f"The body names another group than {group}.")
    _part(await _config(req, domain_id), group)
    return await _update(req, domain_id, _checked(config))


async def update_option(req: Request, domain_id: str, group: str, option: str) -> Reply:
    config = await _document(req)
    if set(config) != {option}:
        raise BadRequest(f"The body names another option than {option}.")
    _part(await _config(req, domain_id), group, option)
    return await _update(req, domain_id, _checked({group: config}))


async def delete(req: Request, domain_id: str) -> Reply:
    await req.state.delete(DomainConfig.KIND, name_of(await _held(req, domain_id)))
    return no_content()


async def delete_group(req: Request, domain_id: str, group: str) -> Reply:
    return await _remove(req, domain_id, _part(await _config(req, domain_id), group), group)


async def delete_option(req: Request, domain_id: str, group: str, option: str) -> Reply:
    _part(await _config(req, domain_id), group, option)
    return await _remove(req, domain_id, (option,), group)


# --- parts ---


async def _document(req: Request) -> Object:
    config = (await req.document()).get("config")
    if not isinstance(config, dict) or not config:
        raise BadRequest("Invalid input: 'config' is a required property.")
    return config


def _checked(config: Object) -> Object:
    """What may be configured. Forbidden: a group or an option that may not."""
    for group, options in config.items():
        if group not in DEFAULTS:
            hint = f" kubectl edit domain sets spec.passwordRules, which {RULES} shows." if group == RULES else ""
            raise Forbidden(f"Group {group[:64]} is not supported for domain specific configurations.{hint}")
        if not isinstance(options, dict) or not options:
            raise BadRequest(f"Invalid input: group {group} holds options.")
        for option, value in options.items():
            if not is_option(group, option):
                raise Forbidden(f"Option {option[:64]} in group {group} is not supported for domain configurations.")
            if isinstance(value, dict) or len(str(value)) > 4096:
                raise BadRequest(f"Invalid input: option {option} is a text, a number, a switch or a list.")
    return config


def _split(config: Object) -> tuple[dict[str, str], dict[str, str]]:
    """As it is stored: what everyone with the right sees, and what nobody does."""
    flat = {f"{g}.{o}": msgspec.json.encode(v).decode() for g, options in config.items() for o, v in options.items()}
    return (
        {key: value for key, value in flat.items() if key not in SECRET},
        {key: value for key, value in flat.items() if key in SECRET},
    )


async def _update(req: Request, domain_id: str, config: Object) -> Reply:
    await _held(req, domain_id)
    await _patch(req, await find(req, Domain.KIND, domain_id), *_split(config))
    return Reply({"config": await _config(req, domain_id)}, headers=NOT_ACTED_ON)


async def _remove(req: Request, domain_id: str, options: Any, group: str) -> Reply:
    gone = {f"{group}.{option}": None for option in options}
    await _patch(req, await find(req, Domain.KIND, domain_id), gone, {})
    return no_content()


async def _patch(req: Request, domain: Object, options: Object, secrets: Object) -> None:
    spec = {"options": options, **({"secrets": secrets} if secrets else {})}
    await req.state.patch(DomainConfig.KIND, name_of(domain), "", {"spec": spec})


async def _held(req: Request, domain_id: str) -> Object:
    domain = await find(req, Domain.KIND, domain_id)
    try:
        held = await req.state.get(DomainConfig.KIND, name_of(domain))
    except NotFound:
        held = None
    if held is None or held["spec"]["domainId"] != domain_id:
        raise NotFound(f"Could not find domain configuration for domain {domain_id}.")
    return held


async def _config(req: Request, domain_id: str) -> Object:
    config: Object = {}
    for key, value in sorted((await _held(req, domain_id))["spec"].get("options", {}).items()):
        group, _, option = key.partition(".")
        config.setdefault(group, {})[option] = msgspec.json.decode(value)
    return config


async def _rules(req: Request, domain_id: str) -> Object:
    """As upstream: what a new password must look like, which everyone may ask of the own domain."""
    rules = (await find(req, Domain.KIND, domain_id))["spec"].get("passwordRules") or {}
    return {"password_regex": rules.get("regex") or None,
            "password_regex_description": rules.get("regexDescription") or None}  # fmt: skip


def _part(config: Object, *path: str) -> Any:
    """NotFound: there is none."""
    for key in path:
        if not isinstance(config, dict) or key not in config:
            raise NotFound(f"Could not find {' option '.join(path)} in the domain configuration.")
        config = config[key]
    return config
