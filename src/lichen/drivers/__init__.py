# SPDX-License-Identifier: Apache-2.0
"""Engines behind the protocols of `base`; one folder each. A driver knows no State and no other driver."""
