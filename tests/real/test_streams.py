# SPDX-License-Identifier: Apache-2.0
"""Prompts, pipes, files and attached clients on real containers."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.conformance.cloud import Here, a_cloud
from tests.conformance.streams import FileConformance, StreamConformance
from tests.real.machine import tiny_image

pytestmark = [pytest.mark.real, pytest.mark.timeout(300), pytest.mark.xdist_group("first-light")]


@pytest.fixture(scope="module")
def cloud() -> Iterator[Here]:
    with a_cloud(simulate=False, tiny=tiny_image()) as here:
        yield here


class TestStreamsOfContainers(StreamConformance, FileConformance):
    """The suite as it is."""
