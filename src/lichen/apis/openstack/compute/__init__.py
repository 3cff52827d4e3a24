# SPDX-License-Identifier: Apache-2.0
"""The compute service, Nova's v2.1 with microversions: servers, flavors, keypairs, and what is asked about hosts.

Verbs become intent on the Server; flavors are copied, ids pinned and ports made by admission and controllers.
"""
