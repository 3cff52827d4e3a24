# SPDX-License-Identifier: Apache-2.0
"""Who a caller is and what it may do: keys, tokens, passwords, the directory of users and rights, the authorizer.

`identity.Identity` ties it together for a kernel. Nothing here knows HTTP or a dialect.
"""
