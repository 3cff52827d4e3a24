# SPDX-License-Identifier: Apache-2.0
"""RuntimeClass `process`: containers of the control plane as unprivileged processes of the host.

Here belongs the driver and the host that keeps the processes. Isolation beyond a user, a control group and no new
privileges does not belong here: that is what containers are for. Nothing is imported here: the host is to stay small.
"""
