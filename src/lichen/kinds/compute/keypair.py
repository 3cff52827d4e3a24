# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from lichen.model.data import Data, field
from lichen.model.kind import Resource, kind


@kind("keypairs", group="compute", subresources=())
class Keypair(Resource):
    """A public key that is put into guests. The private key is never kept."""

    class Spec(Data):
        display_name: str = field("Name as the user wrote it.", default="", openstack="name", selectable=True)
        user_id: str = field("User it belongs to.", default="", immutable=True, openstack="user_id", selectable=True)
        type: str = field("Format.", default="ssh", enum=("ssh", "x509"), column="Type", openstack="type")
        public_key: str = field("Key as in authorized_keys.", immutable=True, openstack="public_key", max_length=16384)
        fingerprint: str = field("Filled at admission.", default="", column="Fingerprint", openstack="fingerprint")

    spec: Spec = field("The key.")
