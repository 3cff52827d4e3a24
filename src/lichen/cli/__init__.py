# SPDX-License-Identifier: Apache-2.0
"""The lichen command. Reaches the cloud through client/ only."""
