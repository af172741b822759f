# SPDX-License-Identifier: Apache-2.0
"""Synthesis for 7-series FPGAs with Yosys, its netlists and its figures."""
