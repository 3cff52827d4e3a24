# SPDX-License-Identifier: Apache-2.0
"""Secret values in Secrets of the system's namespace, each bound to the object it belongs to by the object's id."""

from __future__ import annotations

import base64

from lichen.kinds.builtin import SECRET
from lichen.model.errors import AlreadyExists, NotFound
from lichen.model.kind import new_object
from lichen.model.names import SYSTEM_NAMESPACE
from lichen.model.state import State

SECRET_TYPE = "identity.lichen.dev/credential"  # noqa: S105


class Kept:
    """Puts, gets and removes one value by the name of its Secret."""

    def __init__(self, store: State) -> None:
        self._store = store

    async def put(self, name: str, owner_id: str, value: str) -> None:
        secret = new_object(SECRET, name, SYSTEM_NAMESPACE)
        secret["type"] = SECRET_TYPE
        data = {"id": owner_id, "value": value}
        secret["data"] = {key: base64.b64encode(text.encode()).decode() for key, text in data.items()}
        try:
            await self._store.create(SECRET, secret)
        except AlreadyExists:
            await self._store.update(SECRET, secret)

    async def get(self, name: str, owner_id: str) -> str | None:
        """None: there is none, or it is another's of the same name."""
        try:
            data = (await self._store.get(SECRET, name, SYSTEM_NAMESPACE)).get("data") or {}
        except NotFound:
            return None
        values = {key: base64.b64decode(text).decode() for key, text in data.items()}
        return values.get("value") if values.get("id") == owner_id else None

    async def remove(self, name: str) -> None:
        try:
            await self._store.delete(SECRET, name, SYSTEM_NAMESPACE)
        except NotFound:
            return
