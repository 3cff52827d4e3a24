# SPDX-License-Identifier: Apache-2.0
"""Prompts, pipes and attached clients on the simulated cloud."""

from __future__ import annotations

from tests.conformance.streams import StreamConformance


class TestStreamsOfSimulatedPods(StreamConformance):
    """The suite as it is."""
