# SPDX-License-Identifier: Apache-2.0
"""What of a server nobody but its guest may read: user data and its first password, in a Secret that belongs to it."""

from __future__ import annotations

import base64
import binascii

from lichen.apis.openstack.request import Request
from lichen.kinds.builtin import SECRET
from lichen.model.data import Object
from lichen.model.errors import BadRequest
from lichen.model.kind import new_object
from lichen.model.meta import name_of, namespace_of, owner_reference
from lichen.model.names import handle, with_suffix

MOST_USER_DATA = 65535
USER_DATA, PASSWORD = "userdata", "adminpass"
Values = dict[str, bytes | None]


def checked_user_data(text: str | None) -> bytes | None:
    """The bytes of a text in base64. BadRequest."""
    if text is None:
        return None
    if len(text) > MOST_USER_DATA:
        raise BadRequest(f"Invalid input for field/attribute user_data: it is over {MOST_USER_DATA} characters.")
    try:
        return base64.b64decode("".join(text.split()), validate=True)
    except (binascii.Error, ValueError):
        raise BadRequest("Invalid input for field/attribute user_data: it is not 'base64'.") from None


async def keep(req: Request, display_name: str, namespace: str, values: Values) -> Object:
    """A new Secret, which is nobody's yet."""
    secret = new_object(SECRET, f"{with_suffix(handle(display_name))}-userdata", namespace)
    return await req.state.create(SECRET, {**secret, "type": "Opaque", "data": _encoded(values)})


async def give(req: Request, secret: Object, server: Object) -> None:
    """From now on it goes with the server."""
    owned = {"metadata": {"ownerReferences": [owner_reference(server)]}}
    await req.state.patch(SECRET, name_of(secret), namespace_of(secret), owned)


async def change(req: Request, server: Object, values: Values) -> Object:
    """Other values for a server that is there (None takes one away); what its spec says of its Secret then."""
    name, namespace = server["spec"].get("userDataSecret"), namespace_of(server)
    if name:
        await req.state.patch(SECRET, name, namespace, {"data": _encoded(values)})
        return {}
    if not any(value is not None for value in values.values()):
        return {}
    secret = await keep(req, server["spec"].get("displayName") or name_of(server), namespace, values)
    await give(req, secret, server)
    return {"userDataSecret": name_of(secret)}


def _encoded(values: Values) -> Object:
    return {key: None if value is None else base64.b64encode(value).decode() for key, value in values.items()}
