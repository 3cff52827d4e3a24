# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from lichen.model.data import Data, field
from lichen.model.kind import Resource, kind


@kind("signingkeys", group="identity", namespaced=False, subresources=())
class SigningKey(Resource):
    """A key that signs tokens. Creating one rotates: it signs from then on, in every replica; tokens of older keys hold
    until they end. Deleting one ends its tokens at once. The private half is in Secret `signing-key-<name>` of
    `lichen-system`; the first key of a cloud is a file, and no object."""

    class Spec(Data):
        ends_older: bool = field(
            "All tokens of older keys end at once: for a key that may be known to others.", default=False
        )
        key_id: str = field("Names it in a token's header.", default="", immutable=True, column="Key")
        public_key: str = field("Public half, PEM.", default="", immutable=True)
        signs_from: str = field("Since when it signs, RFC 3339.", default="", immutable=True, column="Signs from")

    spec: Spec = field("The key. All but endsOlder is filled in.", default_factory=Spec)
