# SPDX-License-Identifier: Apache-2.0
"""The command ``zynq-lstm``: its verbs, the flow from a text to a report, and the setup."""
