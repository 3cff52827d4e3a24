# SPDX-License-Identifier: Apache-2.0
"""The network service, Neutron's v2.0: networks, subnets, ports, and what is asked about them.

Addresses, ids and MACs are given out by admission; here they are only said in Neutron's words.
"""
