# SPDX-License-Identifier: Apache-2.0
"""What a caller wants to read: from the Accept header to one of a few forms."""

from __future__ import annotations

from enum import Enum
from functools import lru_cache

from lichen.model.errors import NotAcceptable


class Form(Enum):
    """How an answer is written."""

    JSON = "json"
    YAML = "yaml"
    TABLE = "table"
    META = "meta"
    META_LIST = "metalist"
    DISCOVERY = "discovery"


_BY_KIND = {
    ("Table", "meta.k8s.io", "v1"): Form.TABLE,
    ("PartialObjectMetadata", "meta.k8s.io", "v1"): Form.META,
    ("PartialObjectMetadataList", "meta.k8s.io", "v1"): Form.META_LIST,
    ("APIGroupDiscoveryList", "apidiscovery.k8s.io", "v2"): Form.DISCOVERY,
}
_PLAIN = {
    "application/json": Form.JSON,
    "application/*": Form.JSON,
    "*/*": Form.JSON,
    "application/yaml": Form.YAML,
}


@lru_cache(maxsize=256)
def form_of(accept: str) -> Form:
    """The first form in the header that is served. NotAcceptable: none of them is."""
    if not accept:
        return Form.JSON
    for clause in accept.split(","):
        form = _form_of_clause(clause)
        if form is not None:
            return form
    raise NotAcceptable(
        "only the following media types are accepted: application/json, application/yaml, "
        "application/json;as=Table;v=v1;g=meta.k8s.io, application/json;as=PartialObjectMetadata;v=v1;g=meta.k8s.io"
    )


def _form_of_clause(clause: str) -> Form | None:
    media, *params = (part.strip() for part in clause.split(";"))
    values = dict(p.split("=", 1) for p in params if "=" in p)
    if "as" not in values:
        return _PLAIN.get(media.lower())
    if media.lower() != "application/json":
        return None
    return _BY_KIND.get((values["as"], values.get("g", ""), values.get("v", "")))
