# SPDX-License-Identifier: Apache-2.0
"""Who wrote which field: server-side apply and `metadata.managedFields`.

An object's managers are tracked from when one names itself: by an apply, or by `fieldManager` when it is created. What
is there before belongs to `before-first-apply`, as upstream says of objects older than tracking. So what controllers
write among themselves costs nothing.
"""
