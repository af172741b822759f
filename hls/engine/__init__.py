# SPDX-License-Identifier: Apache-2.0
"""The RTL generator: schedule, memories, widths, registers, and estimates of cycles and resources."""
