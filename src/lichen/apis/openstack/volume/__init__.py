# SPDX-License-Identifier: Apache-2.0
"""The block storage dialect (Cinder, v3): volumes, snapshots, types, limits, pools."""
