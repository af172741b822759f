# SPDX-License-Identifier: Apache-2.0
"""Measures of networks on text: bits per character, ranges, and what each step of quantization costs."""
