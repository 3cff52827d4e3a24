# SPDX-License-Identifier: Apache-2.0
"""Pods by containerd: its own daemon, spoken to over CRI; its network comes from whoever is given as `plug`.

Here belongs whatever knows containerd: its configuration, CRI messages, its task service (exec), our CNI plugin, image
archives. Here does not belong: what a pod should be (planning), restart policies, addresses.
"""

from lichen.drivers.containerd.pods import ContainerdPods

__all__ = ["ContainerdPods"]
