# SPDX-License-Identifier: Apache-2.0
"""The command ``zynq-lstm VERB``: one module a verb, found by :mod:`zynq_lstm.scripts.main`."""
