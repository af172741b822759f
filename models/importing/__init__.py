# SPDX-License-Identifier: Apache-2.0
"""Keras and QKeras models of third parties: read as data, checked, and turned into checkpoints."""
