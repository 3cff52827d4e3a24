# SPDX-License-Identifier: Apache-2.0
"""The OpenStack dialect over a Cloud: a ROUTES table and small handlers for each service."""
