# SPDX-License-Identifier: Apache-2.0
"""Training: truncated back-propagation through time, its options and its recipe."""
