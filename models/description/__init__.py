# SPDX-License-Identifier: Apache-2.0
"""What a network is before it has weights (shape, presets, formats of signals), and its checkpoint file."""
