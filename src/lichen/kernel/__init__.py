# SPDX-License-Identifier: Apache-2.0
"""What makes a State an API server: who may do what, schemas, defaulting, validation, patch, admission."""
