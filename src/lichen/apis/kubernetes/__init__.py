# SPDX-License-Identifier: Apache-2.0
"""The Kubernetes API, spoken over the kernel: paths, verbs, discovery, OpenAPI, tables, watches and streams.

Nothing here knows a kind by name: what differs from kind to kind comes from the catalog and from the kernel. Rules
about objects do not belong here (kernel), nor does the wiring of sockets and certificates (daemon).
"""
