# SPDX-License-Identifier: Apache-2.0
"""The image service, Glance's v2: records are Image objects, bytes are files in the image store."""
