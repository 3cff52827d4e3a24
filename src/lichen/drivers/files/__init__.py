# SPDX-License-Identifier: Apache-2.0
"""Bytes in plain files: the images' store. Knows no State and no kind."""
