# SPDX-License-Identifier: Apache-2.0
"""Kinds that are installed while the cloud runs: CustomResourceDefinitions checked, served, changed and taken away.

What a definition says as data is in `lichen.kinds.installed`; here is what a kernel does with it.
"""
