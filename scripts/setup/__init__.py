# SPDX-License-Identifier: Apache-2.0
"""Set up the environment; make runs these modules before anything else is installed."""
