# SPDX-License-Identifier: Apache-2.0
"""From an engine to a block design: its packaged IP, and its register map for tools and drivers."""
