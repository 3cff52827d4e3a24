# SPDX-License-Identifier: Apache-2.0
"""CEL, the language of rules in policies and CustomResourceDefinitions: Google's own implementation (`cel-expr-python`,
imported when the first rule is installed), and the functions that Kubernetes adds to it. What rules are *for* is said
elsewhere (`kernel.policies`, `kernel.custom`)."""
