# SPDX-License-Identifier: Apache-2.0
"""The OpenStack dialect: translates requests into verbs on State, with the caller's own rights. No state, no cache.

Framework: `app` (ASGI), `routing` (Route, Service), `request`, `reply`, `faults`, `versions`, `paging`, `objects`.
One module per service holds a ROUTES table and small handlers; errors rise and `faults` maps them once.
"""
