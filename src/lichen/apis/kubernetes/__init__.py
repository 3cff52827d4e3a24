# SPDX-License-Identifier: Apache-2.0
"""The Kubernetes dialect over a kernel: discovery, OpenAPI, tables, streams. No code for any one kind."""
