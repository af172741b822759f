# SPDX-License-Identifier: Apache-2.0
"""The whole flow from one configuration file: its definitions, its stages, what they leave, the report."""
