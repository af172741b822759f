# SPDX-License-Identifier: Apache-2.0
"""The RTL's generator: schedule, memories, widths, registers, and the estimate of cycles and resources."""
