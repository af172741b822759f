# SPDX-License-Identifier: Apache-2.0
"""The description of a network: its shape, presets and formats of signals, and its checkpoint file."""
