# SPDX-License-Identifier: Apache-2.0
"""The node: discover what runs, plan, run steps; report in status. Also serves logs, exec and consoles."""
