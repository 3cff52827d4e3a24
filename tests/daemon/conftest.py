# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.conformance.cloud import Here, a_cloud


@pytest.fixture(scope="module")
def cloud() -> Iterator[Here]:
    """One simulated cloud of three hosts for a module's tests: each names its own things in it."""
    with a_cloud() as here:
        yield here
