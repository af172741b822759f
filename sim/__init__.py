# SPDX-License-Identifier: Apache-2.0
"""Simulation: engines, test bench, traces and their comparison, campaigns."""
