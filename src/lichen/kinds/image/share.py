# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from lichen.model.data import Data, field
from lichen.model.kind import Resource, kind


@kind("imageshares", group="image", subresources=())
class ImageShare(Resource):
    """An image of another project that is shared with this one: named as the image's id. Made by admission when the
    image names this project as a member, and gone when it does no more; whether it is listed is this project's to
    say."""

    class Spec(Data):
        image: str = field("The image, as namespace/name.", immutable=True, column="Image")
        image_id: str = field("Its id.", immutable=True, selectable=True)
        decision: str = field(
            "Accepted images are listed among the project's own; all can be used.",
            default="pending",
            enum=("pending", "accepted", "rejected"),
            column="Decision",
            openstack="status",
            selectable=True,
        )

    spec: Spec = field("What is shared, and what this project thinks of it.")
