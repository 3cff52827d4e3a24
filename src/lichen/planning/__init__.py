# SPDX-License-Identifier: Apache-2.0
"""Pure functions from what is wanted and what is there to steps, as data. No I/O, no clock, time is an argument."""
