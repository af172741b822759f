# SPDX-License-Identifier: Apache-2.0
"""Simulators: building an RTL project for Verilator or Icarus, and running cocotb on it."""
