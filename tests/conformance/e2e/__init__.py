# SPDX-License-Identifier: Apache-2.0
"""Kubernetes' own conformance tests against a simulated cloud: `scripts/conformance kubernetes PATH-TO-e2e.test`."""
