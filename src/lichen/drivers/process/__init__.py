# SPDX-License-Identifier: Apache-2.0
"""RuntimeClass `process`: containers of the control plane as unprivileged processes of the host.

Here belongs the driver and the small supervisor that each process has. Isolation beyond a user, a control group and
no new privileges does not belong here: that is what containers are for.
"""

from lichen.drivers.process.pods import ProcessPods

__all__ = ["ProcessPods"]
