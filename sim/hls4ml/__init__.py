# SPDX-License-Identifier: Apache-2.0
"""The hls4ml backend ``OpenRTL``, and the registration of all our extensions with hls4ml."""
