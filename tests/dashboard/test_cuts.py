# SPDX-License-Identifier: Apache-2.0
"""The page while the connection to the cloud is cut, and while the cloud restarts."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest

from tests.conformance.cloud import Here, until
from tests.dashboard.browser import Page, a_browser
from tests.dashboard.link import Link, a_link
from tests.dashboard.stage import a_server


def port_of(cloud: Here) -> int:
    return urlsplit(cloud.facts.kubernetes_url).port or 0


@pytest.fixture(scope="module")
def link(cloud: Here) -> Iterator[Link]:
    with a_link(port_of(cloud)) as link:
        yield link


@pytest.fixture(scope="module")
def far(cloud: Here, link: Link) -> Iterator[Page]:
    """The page of project demo, reached over the link."""
    with a_browser(cloud, url=f"https://127.0.0.1:{link.port}") as page:
        page.log_in("demo", cloud.credentials.demo_password)
        page.run("window.mark = 'the same page'")
        yield page


def has_server(page: Page, name: str) -> None:
    until(f"the page has {name}", lambda: f"server {name}, Running" in page.labels("server"), 60)
    assert page.run("return window.mark") == "the same page"


def make(cloud: Here, name: str) -> None:
    cloud.kubectl_ok("apply", "-f", "-", input=a_server(name, "cluster"))


def test_a_cut_connection_is_told_and_what_happened_meanwhile_is_shown_after_it(cloud: Here, link: Link, far: Page):
    make(cloud, "before")
    has_server(far, "before")
    link.cut()
    far.find(".connection.lost")
    make(cloud, "meanwhile")
    cloud.kubectl_ok("-n", "demo", "delete", "server", "before")
    link.mend(port_of(cloud))
    far.until_live(40)
    has_server(far, "meanwhile")
    assert not any("before" in label for label in far.labels("server"))


def test_a_cloud_that_restarts_is_followed_further_without_a_reload(cloud: Here, link: Link, far: Page):
    cloud.down()
    far.find(".connection.lost", 40)
    assert cloud.up("--nodes", "3").code == 0
    link.mend(port_of(cloud))
    far.until_live(40)
    make(cloud, "afterwards")
    has_server(far, "afterwards")


def test_a_session_that_is_over_leads_back_to_the_door(cloud: Here, link: Link, far: Page):
    token = far.run("return JSON.parse(sessionStorage.getItem('lichen.session')).token")
    url = f"{cloud.facts.openstack_url}/identity/v3/auth/tokens"
    assert cloud.request("DELETE", url, X_Auth_Token=token, X_Subject_Token=token).status == 204
    link.cut()
    link.mend(port_of(cloud))
    far.until_says("Your session has ended", ".login", 40)
