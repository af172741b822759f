# SPDX-License-Identifier: Apache-2.0
"""AMD's tools: their projects, running the tools where they are installed, and reading their reports.

:mod:`zynq_lstm.hls.vendor.projects` only writes files, so that a project can be taken to another machine.
"""
