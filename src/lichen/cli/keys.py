# SPDX-License-Identifier: Apache-2.0
"""`lichen keys` and `lichen keys rotate`: the keys that sign the cloud's tokens."""

from __future__ import annotations

import argparse
import asyncio
import secrets
from collections.abc import Awaitable, Callable

from lichen.cli.access import require_local
from lichen.cli.output import CommandError
from lichen.cli.owner import as_owner
from lichen.client.local import LocalCloud
from lichen.kinds.identity.signing_key import SigningKey
from lichen.model.errors import ApiError
from lichen.model.kind import new_object
from lichen.model.meta import name_of
from lichen.model.state import State


def keys(arguments: argparse.Namespace) -> int:
    return _run(arguments, _list)


def rotate(arguments: argparse.Namespace) -> int:
    async def make(state: State) -> str:
        spec = SigningKey.Spec(ends_older=arguments.end_older)
        made = await state.create(
            SigningKey.KIND, new_object(SigningKey.KIND, f"key-{secrets.token_hex(4)}", spec=spec)
        )
        older = (
            "All tokens of older keys have ended: log in again; `lichen up` renews the kubeconfig."
            if arguments.end_older
            else "Tokens of older keys hold until they end."
        )
        return f"Key {made['spec']['keyId']} signs from now on, no restart needed. {older}"

    return _run(arguments, make)


async def _list(state: State) -> str:
    found = sorted((await state.list(SigningKey.KIND)).items, key=lambda key: str(key["spec"]["signsFrom"]))
    rows = [("NAME", "KEY", "SIGNS FROM")]
    rows += [(name_of(key), key["spec"]["keyId"], key["spec"]["signsFrom"]) for key in found]
    if not found:
        return "The first key of this cloud signs; `lichen keys rotate` makes another."
    return "\n".join(f"{name:<20} {id:<18} {since}" for name, id, since in rows)


def _run(arguments: argparse.Namespace, act: Callable[[State], Awaitable[str]]) -> int:
    cloud = require_local(arguments)
    try:
        print(asyncio.run(_acting(cloud, act)))
    except PermissionError:
        raise CommandError("only the user who started the cloud may do that: use sudo.") from None
    except (ApiError, OSError) as error:
        raise CommandError(f"the cloud refuses: {error}") from None
    return 0


async def _acting(cloud: LocalCloud, act: Callable[[State], Awaitable[str]]) -> str:
    async with as_owner(cloud) as remote:
        return await act(remote.state)
