# SPDX-License-Identifier: Apache-2.0
"""Campaigns on the RTL: mutants, coverage, random networks, proofs, soft errors, and their records."""
