# SPDX-License-Identifier: Apache-2.0
"""Tempest, OpenStack's own suite, against a simulated cloud: `scripts/conformance openstack`."""
