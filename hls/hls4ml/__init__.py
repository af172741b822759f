# SPDX-License-Identifier: Apache-2.0
"""The hls4ml extension: parsing, layers, conversion, and the C simulation in integers."""
