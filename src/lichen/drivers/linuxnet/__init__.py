# SPDX-License-Identifier: Apache-2.0
"""Networks by the Linux kernel: a bridge and a network namespace for each network, veths and taps for ports, dnsmasq
for DHCP and names, nftables for anti-spoofing and cluster services.

Belongs here: netlink, nft and dnsmasq. Does not belong here: which addresses a port gets (admission), routers.
"""

from lichen.drivers.linuxnet.networks import LinuxNetworks

__all__ = ["LinuxNetworks"]
