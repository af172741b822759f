# SPDX-License-Identifier: Apache-2.0
"""Recurrent cells as data: one file of equations each, from which every engine is made."""
