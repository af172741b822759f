# SPDX-License-Identifier: Apache-2.0
"""The verbs of ``zynq-lstm``, one module each; :mod:`zynq_lstm.scripts.main` finds them."""
