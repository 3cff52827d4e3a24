# SPDX-License-Identifier: Apache-2.0
"""Identity v3 (keystone): tokens, projects, users, groups, roles, assignments, domains, and the catalog."""
