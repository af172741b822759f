# SPDX-License-Identifier: Apache-2.0
"""The whole flow from one configuration file: its definitions, its stages, what they leave, the report."""

CHARACTERS = 2048  # held out, to compare engines on
MINIMUM = 16  # of these; the state has then been through all of the schedule's overlaps
GENERATED = 400  # characters that each engine then writes
