# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import pytest

from lichen.model.data import Object
from lichen.planning.volume_files import is_outdated, made_of, mounted_references

VOLUMES: list[Object] = [
    {"name": "conf", "configMap": {"name": "settings"}},
    {"name": "hidden", "secret": {"secretName": "words"}},
    {"name": "all", "projected": {"sources": [{"secret": {"name": "keys"}}, {"configMap": {"name": "root-ca"}}]}},
    {"name": "own", "downwardAPI": {"items": [{"path": "l", "fieldRef": {"fieldPath": "metadata.labels"}}]}},
    {"name": "empty", "emptyDir": {}},
]
CONTAINER: Object = {
    "name": "main",
    "envFrom": [{"configMapRef": {"name": "environment"}}],
    "volumeMounts": [{"name": name, "mountPath": f"/{name}"} for name in ("conf", "all", "own", "empty")],
}


def a_pod(**metadata: object) -> Object:
    return {"metadata": {"name": "p", **metadata}, "spec": {"containers": [CONTAINER], "volumes": VOLUMES}}


def at(revision: int) -> Object:
    return {"metadata": {"resourceVersion": str(revision)}}


READ = {("ConfigMap", "settings"): at(5), ("Secret", "keys"): at(6)}
"""root-ca is not there."""
MADE = made_of(a_pod(), CONTAINER, lambda kind, name: READ.get((kind, name)))


def test_what_is_mounted_is_followed_and_what_is_in_the_environment_is_not():
    assert mounted_references(a_pod(), CONTAINER) == {
        ("ConfigMap", "settings"),
        ("Secret", "keys"),
        ("ConfigMap", "root-ca"),
    }


@pytest.mark.parametrize(
    ("settings", "keys", "root_ca", "moved"),
    [
        (5, 6, 0, False),
        (None, None, None, False),  # not known yet
        (7, 6, 0, True),
        (0, 6, 0, True),  # gone
        (5, 6, 9, True),  # there now
    ],
)
def test_files_are_outdated_when_what_they_are_made_of_has_moved(
    settings: int | None, keys: int | None, root_ca: int | None, moved: bool
):
    known = {("ConfigMap", "settings"): settings, ("Secret", "keys"): keys, ("ConfigMap", "root-ca"): root_ca}
    assert is_outdated(a_pod(), MADE, known.get) is moved


@pytest.mark.parametrize("said", ["labels", "annotations"])
def test_files_are_outdated_when_the_pod_says_something_else_of_itself(said: str):
    assert is_outdated(a_pod(**{said: {"a": "b"}}), MADE, lambda _: None)


def test_files_of_which_nobody_knows_what_they_are_made_of_are_outdated():
    assert is_outdated(a_pod(), None, lambda _: None)
