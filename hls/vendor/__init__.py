# SPDX-License-Identifier: Apache-2.0
"""AMD's tools, where they are installed: their projects, running them, and reading their reports.

:mod:`zynq_lstm.hls.vendor.projects` writes files only, so that a project can be taken to another machine.
"""
