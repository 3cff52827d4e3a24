# SPDX-License-Identifier: Apache-2.0
"""One file per controller: gather, plan, apply. They see State and nothing else of the world."""
