# SPDX-License-Identifier: Apache-2.0
"""What an object is: metadata, kinds, fields, selectors, errors, the State protocol. No I/O."""
