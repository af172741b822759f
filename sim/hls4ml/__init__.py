# SPDX-License-Identifier: Apache-2.0
"""The hls4ml backend ``OpenRTL``, and the registration of everything of ours with hls4ml."""
