# SPDX-License-Identifier: Apache-2.0
import pytest

from lichen.apis.kubernetes.routing import Target, target_of
from lichen.kinds.catalog import default_catalog
from lichen.model.errors import NotFound


def route(path: str) -> tuple[str, str | None, str, str]:
    target: Target = target_of(default_catalog(), path)
    return target.kind.plural, target.namespace, target.name, target.subresource


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/api/v1/pods", ("pods", None, "", "")),
        ("/api/v1/namespaces/a/pods", ("pods", "a", "", "")),
        ("/api/v1/namespaces/a/pods/", ("pods", "a", "", "")),
        ("/api/v1/namespaces/a/pods/b", ("pods", "a", "b", "")),
        ("/api/v1/namespaces/a/pods/b/log", ("pods", "a", "b", "log")),
        ("/api/v1/namespaces", ("namespaces", "", "", "")),
        ("/api/v1/namespaces/a", ("namespaces", "", "a", "")),
        ("/api/v1/namespaces/a/status", ("namespaces", "", "a", "status")),
        ("/api/v1/nodes/n", ("nodes", "", "n", "")),
        ("/api/v1/nodes/n/status", ("nodes", "", "n", "status")),
        ("/apis/apps/v1/deployments", ("deployments", None, "", "")),
        ("/apis/apps/v1/namespaces/a/deployments/d/scale", ("deployments", "a", "d", "scale")),
        ("/apis/compute.lichen.dev/v1/namespaces/a/servers/s", ("servers", "a", "s", "")),
        ("/apis/compute.lichen.dev/v1/flavors/f", ("flavors", "", "f", "")),
    ],
)
def test_a_path_names_its_target(path: str, expected: tuple[str, str | None, str, str]) -> None:
    assert route(path) == expected


@pytest.mark.parametrize(
    "path",
    [
        "/api/v1/nothing",
        "/api/v2/pods",
        "/api/v1/pods/b",
        "/api/v1/namespaces/a/nodes",
        "/api/v1/namespaces/a/pods/b/log/more",
        "/api/v1/nodes/n/status/more",
        "/apis/none/v1/pods",
        "/apis/apps/v1/",
        "/apis//v1/pods",
    ],
)
def test_what_names_nothing_is_not_found(path: str) -> None:
    with pytest.raises(NotFound):
        route(path)
