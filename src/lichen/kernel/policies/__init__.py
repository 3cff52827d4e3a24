# SPDX-License-Identifier: Apache-2.0
"""ValidatingAdmissionPolicy and MutatingAdmissionPolicy: what administrators rule about writes, in CEL. Where none is
installed, no write passes here."""
