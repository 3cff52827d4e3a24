# SPDX-License-Identifier: Apache-2.0
"""Why a namespace that is to go is still there: what blocks is named."""

from __future__ import annotations

from lichen.planning.namespaces import remaining_conditions


def held(name: str, *finalizers: str) -> dict:
    return {"metadata": {"name": name, "finalizers": list(finalizers)}}


def test_what_is_left_is_named_and_who_holds_it():
    left = {"configmaps": [held("settings", "example.com/never")], "pods": [held(f"web-{n}") for n in range(5)]}
    assert remaining_conditions(left, ["volumes data: it is in use"]) == [
        {
            "type": "NamespaceContentRemaining",
            "status": "True",
            "reason": "SomeResourcesRemain",
            "message": "Some resources are remaining: configmaps has 1 resource instances (settings), "
            "pods has 5 resource instances (web-0, web-1, web-2 and 2 more)",
        },
        {
            "type": "NamespaceFinalizersRemaining",
            "status": "True",
            "reason": "SomeFinalizersRemain",
            "message": "Some content in the namespace has finalizers remaining: "
            "example.com/never in 1 resource instances (configmaps/settings)",
        },
        {
            "type": "NamespaceDeletionContentFailure",
            "status": "True",
            "reason": "ContentDeletionFailed",
            "message": "Failed to delete all resource types: volumes data: it is in use",
        },
    ]


def test_what_holds_nothing_is_said_too():
    said = remaining_conditions({"pods": [held("web")]}, [])
    assert [(c["type"], c["status"], c["reason"]) for c in said] == [
        ("NamespaceContentRemaining", "True", "SomeResourcesRemain"),
        ("NamespaceFinalizersRemaining", "False", "ContentHasNoFinalizers"),
        ("NamespaceDeletionContentFailure", "False", "ContentDeleted"),
    ]
