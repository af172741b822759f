# SPDX-License-Identifier: Apache-2.0
"""The frozen integer network, its NumPy reference, the choice of characters, and each engine's limits."""
