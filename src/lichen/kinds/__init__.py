# SPDX-License-Identifier: Apache-2.0
"""Every kind: Kubernetes' own from its published definitions, Lichen's declared here once, one file each.

Data and pure rules, no I/O but the reading of what the package ships."""
