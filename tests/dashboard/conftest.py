# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.conformance.cloud import Here, a_cloud
from tests.dashboard import stage
from tests.dashboard.browser import Page, a_browser


@pytest.fixture(scope="module")
def cloud() -> Iterator[Here]:
    """A simulated cloud of three hosts with an image; each test names its own things in it."""
    with a_cloud() as here:
        stage.add_image(here)
        yield here


@pytest.fixture(scope="module")
def browser(cloud: Here) -> Iterator[Page]:
    with a_browser(cloud) as page:
        yield page


@pytest.fixture
def page(browser: Page) -> Iterator[Page]:
    """The browser; at the end nothing has gone wrong in the page's own code, nor against its policy."""
    browser.complaints()
    yield browser
    assert browser.complaints() == []


@pytest.fixture
def demo(cloud: Here, page: Page) -> Page:
    """The page of the member of project demo."""
    page.log_in("demo", cloud.credentials.demo_password)
    return page


@pytest.fixture
def admin(cloud: Here, page: Page) -> Page:
    page.log_in("admin", cloud.credentials.admin_password)
    return page
