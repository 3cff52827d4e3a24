# SPDX-License-Identifier: Apache-2.0
"""The part of the catalog that a project was given (OS-EP-FILTER), as pure functions."""

from __future__ import annotations

from lichen.model.data import Object


def matches(filters: Object, endpoint: Object) -> bool:
    """Whether an endpoint has what an endpoint group asks for."""
    return all(endpoint.get(key) == value for key, value in filters.items())


def filtered(entries: list[Object], shown: Object | None) -> list[Object]:
    """A catalog's services with the endpoints that are shown; shown: endpointIds and filters, None: all. Identity is
    always among them: a project without it could not be helped by any client."""
    if shown is None:
        return entries
    ids, groups = set(shown.get("endpointIds") or ()), shown.get("filters") or ()
    found = []
    for entry in entries:
        held = [(e, {**e, "service_id": entry["id"]}) for e in entry["endpoints"]]
        always = entry["type"] == "identity"
        kept = [e for e, whole in held if always or e["id"] in ids or any(matches(f, whole) for f in groups)]
        if kept:
            found.append({**entry, "endpoints": kept})
    return found
