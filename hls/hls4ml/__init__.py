# SPDX-License-Identifier: Apache-2.0
"""The extension of hls4ml: parsing, layers, conversion, and the C simulation in integers."""
