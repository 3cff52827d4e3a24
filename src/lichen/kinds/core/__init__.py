# SPDX-License-Identifier: Apache-2.0
"""Rules of Kubernetes' core kinds and of the small groups around them."""
