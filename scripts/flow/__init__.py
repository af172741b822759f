# SPDX-License-Identifier: Apache-2.0
"""The whole flow from one configuration file: its keys, its stages, their results and the report."""

CHARACTERS = 2048  # held-out characters on which engines are compared
MINIMUM = 16  # fewest characters; with these the state has met every overlap of the schedule
GENERATED = 400  # characters that each engine then writes
