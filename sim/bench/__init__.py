# SPDX-License-Identifier: Apache-2.0
"""The cocotb test bench: tests of the engine, its model, drivers, monitors and coverage."""
